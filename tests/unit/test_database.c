/* SPDX-License-Identifier: MIT
 * Opening databases: the schema, versions, who may write, every statement of the closed list. */
#include "store/statements.h"
#include "store_fixture.h"
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

static char path[64];
static struct buffer error;

static int start(void **state) {
    (void)state;
    buffer_init(&error, 1024);
    (void)snprintf(path, sizeof path, "/tmp/parcelpost-database-XXXXXX");
    (void)close(mkstemp(path));
    return 0;
}

static int end(void **state) {
    (void)state;
    buffer_free(&error);
    (void)unlink(path);
    return 0;
}

static void set_version(int version) {
    char sql[64];
    sqlite3 *handle;
    sqlite3_stmt *statement;
    (void)snprintf(sql, sizeof sql, "PRAGMA user_version = %d", version);
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
    sqlite3_close(handle);
}

static void every_statement_can_be_prepared_in_one_of_the_two_databases(void **state) {
    char users_path[80];
    (void)state;
    (void)snprintf(users_path, sizeof users_path, "%s.users", path);
    struct database *mails = database_open(path, DATABASE_MAIN, DATABASE_WRITE, &error);
    struct database *users = database_open(users_path, DATABASE_USERS, DATABASE_WRITE, &error);
    assert_true(mails != NULL && users != NULL);
    for (int name = 0; name < STATEMENTS; name++) {
        sqlite3_stmt *statement = NULL;
        assert_non_null(statement_text((enum statement_name)name));
        if (sqlite3_prepare_v2(mails->handle, statement_text((enum statement_name)name), -1, &statement, NULL) !=
                SQLITE_OK &&
            sqlite3_prepare_v2(users->handle, statement_text((enum statement_name)name), -1, &statement, NULL) !=
                SQLITE_OK) {
            fail_msg("%s: %s", statement_text((enum statement_name)name), sqlite3_errmsg(mails->handle));
        }
        sqlite3_finalize(statement);
    }
    database_close(mails);
    database_close(users);
    (void)unlink(users_path);
}

static void a_database_of_a_newer_version_is_refused_with_a_clear_sentence(void **state) {
    (void)state;
    database_close(database_open(path, DATABASE_MAIN, DATABASE_WRITE, &error));
    set_version(4711);
    assert_null(database_open(path, DATABASE_MAIN, DATABASE_WRITE, &error));
    assert_non_null(strstr(buffer_string(&error), path));
    assert_non_null(strstr(buffer_string(&error), "newer Parcelpost"));
    assert_non_null(strstr(buffer_string(&error), "4711"));
}

static void a_reader_makes_nothing(void **state) {
    (void)state;
    assert_null(database_open(path, DATABASE_MAIN, DATABASE_READ, &error));
    assert_non_null(strstr(buffer_string(&error), "start parcelpostd"));
    (void)unlink(path);
    buffer_clear(&error);
    assert_null(database_open(path, DATABASE_MAIN, DATABASE_READ, &error));
    assert_int_equal(access(path, F_OK), -1);
    assert_non_null(strstr(buffer_string(&error), "cannot be opened: No such file or directory"));
}

static void a_directory_that_is_missing_is_named(void **state) {
    (void)state;
    buffer_clear(&error);
    assert_null(database_open("/nonexistent/lib/x.db", DATABASE_USERS, DATABASE_WRITE, &error));
    assert_string_equal(buffer_string(&error),
                        "/nonexistent/lib/x.db: cannot be opened: there is no directory /nonexistent/lib");
}

static void what_is_no_database_is_refused(void **state) {
    (void)state;
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    for (int i = 0; i < 100; i++) {
        assert_true(file_write_all(fd, "this is not a database, it is a letter\n", 39));
    }
    (void)close(fd);
    assert_null(database_open(path, DATABASE_MAIN, DATABASE_WRITE, &error));
    assert_true(error.length > 0);
}

static void it_runs_in_wal_mode_with_normal_flushes_and_foreign_keys(void **state) {
    static const struct {
        const char *pragma, *value;
    } rows[] = {{"PRAGMA journal_mode", "wal"}, {"PRAGMA synchronous", "1"}, {"PRAGMA foreign_keys", "1"}};
    (void)state;
    struct database *database = database_open(path, DATABASE_MAIN, DATABASE_WRITE, &error);
    assert_non_null(database);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        sqlite3_stmt *statement;
        assert_int_equal(sqlite3_prepare_v2(database->handle, rows[i].pragma, -1, &statement, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
        assert_string_equal(column_string(statement, 0), rows[i].value);
        sqlite3_finalize(statement);
    }
    database_close(database);
}

static void a_foreign_write_is_noticed_and_an_own_one_is_not(void **state) {
    int64_t now = 1700000000;
    (void)state;
    struct database *ours = database_open(path, DATABASE_MAIN, DATABASE_WRITE, &error);
    struct database *theirs = database_open(path, DATABASE_MAIN, DATABASE_WRITE, &error);
    int64_t version = database_data_version(ours);
    assert_true(statement_run(ours, STATEMENT_CONTACT_ADD, BINDS(bind_string("192.0.2.1"), bind_time(now))));
    assert_int_equal(database_data_version(ours), version);
    assert_true(statement_run(theirs, STATEMENT_CONTACT_ADD, BINDS(bind_string("192.0.2.2"), bind_time(now))));
    assert_int_not_equal(database_data_version(ours), version);
    database_close(ours);
    database_close(theirs);
}

static void values_are_bound_never_pasted(void **state) {
    const char *evil = "x'); DROP TABLE contacts; --";
    (void)state;
    struct database *database = database_open(path, DATABASE_MAIN, DATABASE_WRITE, &error);
    assert_true(statement_run(database, STATEMENT_CONTACT_ADD, BINDS(bind_string(evil), bind_time(1700000000))));
    struct sqlite3_stmt *row = statement_query(database, STATEMENT_CONTACT_BY_IP, BINDS(bind_string(evil)));
    assert_int_equal(statement_step(row), STATEMENT_ROW);
    assert_string_equal(column_string(row, 1), evil);
    statement_end(row);
    database_close(database);
}

/* ---- a reader that may only read ---- */

static int line[2]; /* parent and child take turns */

static void ask_parent(char what) {
    (void)!write(line[1], &what, 1);
    (void)!read(line[1], &what, 1);
}

static void ask_for_repair(void) {
    ask_parent('r');
}

/* As lookup: another user, who may read the database and its log, and no more. */
static _Noreturn void read_beside_a_writer(void) {
    if (geteuid() == 0 && seteuid(65534) != 0) {
        _exit(2);
    }
    statement_pause = ask_for_repair;
    ask_parent('o');
    struct database *database = database_open(path, DATABASE_MAIN, DATABASE_READ, &error);
    if (database == NULL) {
        _exit(3);
    }
    ask_parent('t');
    struct sqlite3_stmt *row = statement_query(database, STATEMENT_CONTACT_BY_IP, BINDS(bind_string("::1")));
    _exit(statement_step(row) == STATEMENT_ROW ? 0 : 1);
}

static struct database *open_writer(char **header) {
    char name[80];
    struct database *writer = database_open(path, DATABASE_MAIN, DATABASE_WRITE, &error);
    assert_true(statement_run(writer, STATEMENT_CONTACT_ADD, BINDS(bind_string("::1"), bind_time(1700000000))));
    (void)snprintf(name, sizeof name, "%s-wal", path);
    assert_true(chmod(path, 0644) == 0 && chmod(name, 0644) == 0);
    (void)snprintf(name, sizeof name, "%s-shm", path);
    int index = open(name, O_RDWR | O_CLOEXEC);
    assert_true(index >= 0 && chmod(name, 0444) == 0);
    *header = mmap(NULL, 96, PROT_READ | PROT_WRITE, MAP_SHARED, index, 0);
    assert_true(*header != MAP_FAILED);
    return writer; /* index stays open: closing it would drop SQLite's locks on that file */
}

/* The second copy of the index's header differs from the first one while the writer is between the two. */
static void a_reader_that_meets_the_writer_tries_again(void **state) {
    struct database *writer = NULL;
    char *header = NULL, what;
    int wait_status, repairs = 0;
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, line), 0);
    pid_t pid = fork(); /* before SQLite knows the file: a fork would share its locks */
    if (pid == 0) {
        (void)close(line[0]);
        read_beside_a_writer();
    }
    (void)close(line[1]);
    while (read(line[0], &what, 1) == 1) {
        writer = what == 'o' ? open_writer(&header) : writer;
        header[52] ^= what == 'o' ? 0 : 1; /* torn at the first request, whole again at the second */
        repairs += what == 'r';
        (void)!write(line[0], &what, 1);
    }
    assert_int_equal(waitpid(pid, &wait_status, 0), pid);
    assert_int_equal(wait_status, 0);
    assert_int_equal(repairs, 1);
    (void)close(line[0]);
    database_close(writer);
    (void)munmap(header, 96);
}

/* ---- another program's lock ---- */

static int64_t milliseconds_to_begin(struct database *database, bool expected) {
    int64_t began = clock_now_ms();
    assert_int_equal(database_begin(database), expected);
    return clock_now_ms() - began;
}

static void a_lock_is_waited_for_once_for_long_and_then_again_after_something_was_written(void **state) {
    (void)state;
    struct database *database = database_open(path, DATABASE_MAIN, DATABASE_WRITE, &error);
    struct database *other = database_open(path, DATABASE_MAIN, DATABASE_WRITE, &error);
    assert_true(database != NULL && other != NULL && database_begin(other));
    assert_in_range(milliseconds_to_begin(database, false), 4900, 20000);
    assert_in_range(milliseconds_to_begin(database, false), 0, 1000);
    assert_in_range(milliseconds_to_begin(database, false), 0, 1000);
    database_rollback(other);
    assert_in_range(milliseconds_to_begin(database, true), 0, 1000);
    assert_true(statement_run(database, STATEMENT_DOMAIN_ADD, BINDS(bind_string("example.test"))));
    assert_true(database_commit(database) && !database->impatient);
    database_close(other);
    database_close(database);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(every_statement_can_be_prepared_in_one_of_the_two_databases),
        TEST(a_database_of_a_newer_version_is_refused_with_a_clear_sentence),
        TEST(a_reader_makes_nothing),
        TEST(a_directory_that_is_missing_is_named),
        TEST(what_is_no_database_is_refused),
        TEST(it_runs_in_wal_mode_with_normal_flushes_and_foreign_keys),
        TEST(a_foreign_write_is_noticed_and_an_own_one_is_not),
        TEST(values_are_bound_never_pasted),
        TEST(a_reader_that_meets_the_writer_tries_again),
        TEST(a_lock_is_waited_for_once_for_long_and_then_again_after_something_was_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
