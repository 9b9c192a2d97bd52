/* SPDX-License-Identifier: MIT
 * What lookup remembers of the databases (store/known.h): a reading sees all that was committed before it began, and
 * asks again only when something was. */
#include "base/file.h"
#include "store/aliases.h"
#include "store/statements.h"
#include "store/users.h"
#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "open_database.h"

#define NAMES 40
#define STEPS 1500
#define LIMIT 65536

struct fixture {
    char directory[32], main_path[64], users_path[64];
    struct database *main, *users;             /* written */
    struct database *read_main, *read_users;   /* as lookup reads them */
    struct database *plain_main, *plain_users; /* never in a reading */
};

static int set_up(void **state) {
    static struct fixture f;
    (void)snprintf(f.directory, sizeof f.directory, "/tmp/test_known.XXXXXX");
    assert_non_null(mkdtemp(f.directory));
    (void)snprintf(f.main_path, sizeof f.main_path, "%s/parcelpost.db", f.directory);
    (void)snprintf(f.users_path, sizeof f.users_path, "%s/users.db", f.directory);
    f.main = open_or_fail(f.main_path, DATABASE_MAIN, DATABASE_WRITE);
    f.users = open_or_fail(f.users_path, DATABASE_USERS, DATABASE_WRITE);
    f.read_main = open_or_fail(f.main_path, DATABASE_MAIN, DATABASE_READ);
    f.read_users = open_or_fail(f.users_path, DATABASE_USERS, DATABASE_READ);
    f.plain_main = open_or_fail(f.main_path, DATABASE_MAIN, DATABASE_READ);
    f.plain_users = open_or_fail(f.users_path, DATABASE_USERS, DATABASE_READ);
    assert_true(users_set(f.users, TEXT("coco@example.test"), "$6$coco", NULL));
    assert_true(statement_run(f.main, STATEMENT_DOMAIN_ADD, BINDS(bind_string("example.test"))));
    assert_true(aliases_add(f.main, "info@example.test", "coco@example.test", "", 1));
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    struct database *const all[] = {f->read_main, f->read_users, f->plain_main, f->plain_users, f->main, f->users};
    static const char *const names[] = {"parcelpost.db", "parcelpost.db-wal", "parcelpost.db-shm", "users.db"};
    char path[128];
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        database_close(all[i]);
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", f->directory, names[i]);
        (void)unlink(path);
    }
    return rmdir(f->directory);
}

static enum users_found user(struct database *database, const char *address) {
    char canonical[128];
    return users_find(database, text_of(address), canonical, sizeof canonical);
}

static enum users_found user_in_a_reading(struct fixture *f, const char *address) {
    database_read_begin(f->read_users);
    enum users_found found = user(f->read_users, address);
    database_read_end(f->read_users);
    return found;
}

/* "target\towner\n" of each row, in a buffer of static life. */
static const char *targets(struct database *database, const char *address) {
    static char said[2][4096];
    static unsigned turn;
    struct buffer rows;
    char *text = said[turn++ % 2];
    buffer_init(&rows, sizeof said[0] - 1);
    enum aliases_found found = aliases_targets(database, text_of(address), LIMIT, &rows);
    assert_int_not_equal(found, ALIASES_ERROR);
    assert_int_equal(found == ALIASES_YES, rows.length > 0);
    (void)text_copy(text, sizeof said[0], buffer_text(&rows));
    buffer_free(&rows);
    return text;
}

/* What a reading says twice over, so that it is remembered, is what the database says. */
static const char *targets_in_a_reading(struct fixture *f, const char *address) {
    database_read_begin(f->read_main);
    const char *said = targets(f->read_main, address);
    database_read_end(f->read_main);
    assert_string_equal(said, targets(f->plain_main, address));
    return said;
}

static enum users_found domain_in_a_reading(struct fixture *f, const char *domain) {
    database_read_begin(f->read_main);
    enum users_found found = users_local_domain(f->read_main, text_of(domain));
    database_read_end(f->read_main);
    return found;
}

static void a_user_who_comes_or_goes_is_seen_by_the_next_reading(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(user_in_a_reading(f, "late@example.test"), USERS_NO);
        assert_true(users_set(f->users, TEXT("late@example.test"), "$6$late", NULL));
        assert_int_equal(user_in_a_reading(f, "late@example.test"), USERS_YES);
        assert_int_equal(user_in_a_reading(f, "LATE@example.test"), USERS_YES);
        assert_int_equal(users_remove(f->users, TEXT("late@example.test")), USERS_YES);
    }
}

static void aliases_and_domains_that_change_are_seen_by_the_next_reading(void **state) {
    struct fixture *f = *state;
    int64_t changed;
    for (int i = 0; i < 20; i++) {
        assert_string_equal(targets_in_a_reading(f, "late@example.test"), "");
        assert_true(aliases_add(f->main, "late@example.test", "coco@example.test", "", 1));
        assert_string_equal(targets_in_a_reading(f, "late@example.test"), "coco@example.test\t\n");
        assert_true(aliases_add(f->main, "late@example.test", "mike@example.test", "coco@example.test", 1));
        assert_string_equal(targets_in_a_reading(f, "late@example.test"),
                            "coco@example.test\t\nmike@example.test\tcoco@example.test\n");
        assert_true(aliases_remove(f->main, "late@example.test", NULL, &changed));
        assert_int_equal(domain_in_a_reading(f, "late.test"), USERS_NO);
        assert_true(statement_run(f->main, STATEMENT_DOMAIN_ADD, BINDS(bind_string("late.test"))));
        assert_int_equal(domain_in_a_reading(f, "late.test"), USERS_YES);
        assert_true(statement_run(f->main, STATEMENT_DOMAIN_REMOVE, BINDS(bind_string("late.test"))));
    }
}

static void a_reading_sees_one_moment(void **state) {
    struct fixture *f = *state;
    int64_t changed;
    database_read_begin(f->read_main);
    assert_string_equal(targets(f->read_main, "one@example.test"), "");
    assert_true(aliases_add(f->main, "one@example.test", "coco@example.test", "", 1));
    assert_true(aliases_add(f->main, "other@example.test", "coco@example.test", "", 1));
    assert_string_equal(targets(f->read_main, "one@example.test"), "");
    assert_string_equal(targets(f->read_main, "other@example.test"), "");
    database_read_end(f->read_main);
    assert_string_equal(targets_in_a_reading(f, "other@example.test"), "coco@example.test\t\n");
    assert_string_equal(targets_in_a_reading(f, "one@example.test"), "coco@example.test\t\n");
    assert_true(aliases_remove(f->main, "one@example.test", NULL, &changed));
    assert_true(aliases_remove(f->main, "other@example.test", NULL, &changed));
}

static void what_was_rolled_back_was_never_seen(void **state) {
    struct fixture *f = *state;
    assert_int_equal(user_in_a_reading(f, "undone@example.test"), USERS_NO);
    assert_true(database_begin(f->users));
    assert_true(users_set(f->users, TEXT("undone@example.test"), "$6$undone", NULL));
    assert_int_equal(user_in_a_reading(f, "undone@example.test"), USERS_NO);
    assert_int_equal(user_in_a_reading(f, "coco@example.test"), USERS_YES);
    database_rollback(f->users);
    assert_int_equal(user_in_a_reading(f, "undone@example.test"), USERS_NO);
}

/* What a writer that fails has written already is taken back, and the version with it. */
static void what_was_seen_of_a_version_that_came_to_nothing_is_not_kept(void **state) {
    struct fixture *f = *state;
    struct buffer before;
    assert_true(users_set(f->users, TEXT("gone@example.test"), "$6$x", NULL));
    buffer_init(&before, 1024 * 1024);
    int fd = open(f->users_path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && file_read_into(fd, &before));
    assert_int_equal(user_in_a_reading(f, "other@example.test"), USERS_NO);
    database_read_begin(f->read_users);
    assert_int_equal(users_remove(f->users, TEXT("gone@example.test")), USERS_YES);
    assert_int_equal(user(f->read_users, "gone@example.test"), USERS_NO);
    database_read_end(f->read_users);
    assert_true(file_pwrite_all(fd, before.data, before.length, 0));
    assert_int_equal(user_in_a_reading(f, "gone@example.test"), USERS_YES);
    (void)close(fd);
    buffer_free(&before);
}

static int count_statement(unsigned kind, void *count, void *statement, void *text) {
    (void)kind;
    (void)statement;
    (void)text;
    ++*(unsigned *)count;
    return 0;
}

static void what_is_known_is_not_asked_for_again(void **state) {
    struct fixture *f = *state;
    unsigned asked = 0;
    assert_int_equal(user_in_a_reading(f, "coco@example.test"), USERS_YES);
    assert_int_equal(user_in_a_reading(f, "nobody@example.test"), USERS_NO);
    assert_int_equal(domain_in_a_reading(f, "example.test"), USERS_YES);
    assert_int_equal(domain_in_a_reading(f, "far.test"), USERS_NO);
    (void)targets_in_a_reading(f, "info@example.test");
    (void)targets_in_a_reading(f, "coco@example.test");
    (void)sqlite3_trace_v2(f->read_users->handle, SQLITE_TRACE_STMT, count_statement, &asked);
    (void)sqlite3_trace_v2(f->read_main->handle, SQLITE_TRACE_STMT, count_statement, &asked);
    assert_int_equal(user_in_a_reading(f, "coco@example.test"), USERS_YES);
    assert_int_equal(user_in_a_reading(f, "nobody@example.test"), USERS_NO);
    assert_int_equal(domain_in_a_reading(f, "example.test"), USERS_YES);
    assert_int_equal(domain_in_a_reading(f, "far.test"), USERS_NO);
    assert_string_equal(targets_in_a_reading(f, "info@example.test"), "coco@example.test\t\n");
    assert_string_equal(targets_in_a_reading(f, "coco@example.test"), "");
    assert_int_equal(asked, 0);
    assert_true(users_set(f->users, TEXT("new@example.test"), "$6$new", NULL));
    assert_int_equal(user_in_a_reading(f, "coco@example.test"), USERS_YES);
    assert_int_equal(asked, 3); /* BEGIN, SELECT, COMMIT */
    (void)sqlite3_trace_v2(f->read_users->handle, 0, NULL, NULL);
    (void)sqlite3_trace_v2(f->read_main->handle, 0, NULL, NULL);
    assert_int_equal(users_remove(f->users, TEXT("new@example.test")), USERS_YES);
}

static void between_readings_a_writer_waits_for_nobody(void **state) {
    struct fixture *f = *state;
    database_read_begin(f->read_users);
    assert_int_equal(user(f->read_users, "somebody@example.test"), USERS_NO);
    assert_true(users_set(f->users, TEXT("somebody@example.test"), "$6$x", NULL)); /* the lock is given back */
    database_read_end(f->read_users);
    assert_int_equal(user_in_a_reading(f, "somebody@example.test"), USERS_YES);
    assert_int_equal(domain_in_a_reading(f, "example.test"), USERS_YES);
    assert_true(database_restart_wal(f->main));
    assert_int_equal(domain_in_a_reading(f, "example.test"), USERS_YES);
}

static void a_list_too_long_to_remember_is_whole(void **state) {
    struct fixture *f = *state;
    char target[64];
    for (unsigned i = 0; i < 60; i++) {
        (void)snprintf(target, sizeof target, "member-number-%u@example.test", i);
        assert_true(aliases_add(f->main, "list@example.test", target, "", 1));
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(strlen(targets_in_a_reading(f, "list@example.test")), 60 * 31 - 10);
    }
}

/* Names that share places, changes that others make between and within readings: never another answer than SQLite's. */
static void a_reading_never_says_what_the_database_does_not(void **state) {
    struct fixture *f = *state;
    char name[64];
    int64_t changed;
    srandom(1);
    for (int step = 0; step < STEPS; step++) {
        (void)snprintf(name, sizeof name, "name%ld@example.test", random() % NAMES);
        switch (random() % 16) {
        case 0:
            assert_true(users_set(f->users, text_of(name), "$6$x", NULL));
            break;
        case 1:
            assert_int_not_equal(users_remove(f->users, text_of(name)), USERS_ERROR);
            break;
        case 2:
            assert_true(aliases_add(f->main, name, "coco@example.test", "", 1) || database_refused_value(f->main));
            break;
        case 3:
            assert_true(aliases_remove(f->main, name, NULL, &changed));
            break;
        case 4:
            (void)database_restart_wal(f->main);
            break;
        default:
            assert_int_equal(user_in_a_reading(f, name), user(f->plain_users, name));
            (void)targets_in_a_reading(f, name);
            break;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_user_who_comes_or_goes_is_seen_by_the_next_reading),
        cmocka_unit_test(aliases_and_domains_that_change_are_seen_by_the_next_reading),
        cmocka_unit_test(a_reading_sees_one_moment),
        cmocka_unit_test(what_was_rolled_back_was_never_seen),
        cmocka_unit_test(what_was_seen_of_a_version_that_came_to_nothing_is_not_kept),
        cmocka_unit_test(what_is_known_is_not_asked_for_again),
        cmocka_unit_test(between_readings_a_writer_waits_for_nobody),
        cmocka_unit_test(a_list_too_long_to_remember_is_whole),
        cmocka_unit_test(a_reading_never_says_what_the_database_does_not),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
