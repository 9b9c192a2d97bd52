/* SPDX-License-Identifier: MIT
 * Opens and migrates the databases. Called by ledger (main, writing), lookup and runner (reading), `parcelpost`. An
 * error comes back as a sentence; the one place that runs whole SQL scripts (schema and migrations). */
#include "base/clock.h"
#include "base/memory.h"
#include "sql_embedded.h"
#include "store/known.h"
#include "store/statements.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUSY_MILLISECONDS 5000 /* how long a foreign write, e.g. of the sqlite3 program, is waited for */

static bool aside_in_memory;

static bool run_text(struct database *database, const char *sql) {
    sqlite3_stmt *statement = NULL;
    bool good = sqlite3_prepare_v2(database->handle, sql, -1, &statement, NULL) == SQLITE_OK;
    if (good) {
        int result = sqlite3_step(statement);
        good = result == SQLITE_ROW || result == SQLITE_DONE;
    }
    return sqlite3_finalize(statement) == SQLITE_OK && good;
}

static bool read_number(struct database *database, const char *sql, int64_t *number) {
    sqlite3_stmt *statement = NULL;
    bool good = statement_prepare(database->handle, sql, 0, &statement) == SQLITE_OK &&
                statement_advance(statement) == SQLITE_ROW;
    if (good) {
        *number = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return good;
}

static const struct sql_migration *migrations_of(enum database_kind kind) {
    return kind == DATABASE_MAIN ? sql_migrations : sql_users_migrations;
}

static int latest_version(enum database_kind kind) {
    int latest = 1;
    for (const struct sql_migration *row = migrations_of(kind); row->sql != NULL; row++) {
        latest = row->version > latest ? row->version : latest;
    }
    return latest;
}

static bool apply_migrations(struct database *database, enum database_kind kind, int64_t version) {
    for (const struct sql_migration *row = migrations_of(kind); row->sql != NULL; row++) {
        if (row->version > version && sqlite3_exec(database->handle, row->sql, NULL, NULL, NULL) != SQLITE_OK) {
            return false;
        }
    }
    return true;
}

/* From nothing: the schema, which is always the newest. From an older version: the migrations after it. */
static bool migrate(struct database *database, enum database_kind kind, const char *path, struct buffer *error) {
    char pragma[40];
    int64_t version = 0;
    sqlite3_snprintf(sizeof pragma, pragma, "PRAGMA user_version = %d", latest_version(kind));
    if (!database_begin(database)) {
        buffer_format(error, "%s: cannot be written: %s", path, database_error(database));
        return false;
    }
    /* another process may have migrated while this one waited for the lock */
    bool good = read_number(database, "PRAGMA user_version", &version);
    if (good && version == 0) {
        const char *schema = kind == DATABASE_MAIN ? sql_schema : sql_users;
        good = sqlite3_exec(database->handle, schema, NULL, NULL, NULL) == SQLITE_OK;
    } else if (good) {
        good = apply_migrations(database, kind, version);
    }
    if (good && run_text(database, pragma) && database_commit(database)) {
        return true;
    }
    buffer_format(error, "%s: could not be brought to version %d: %s", path, latest_version(kind),
                  database_error(database)); /* before the rollback, which resets it */
    database_rollback(database);
    return false;
}

static bool check_version(struct database *database, enum database_kind kind, enum database_mode mode, const char *path,
                          struct buffer *error) {
    int64_t version = 0;
    int latest = latest_version(kind);
    if (!read_number(database, "PRAGMA user_version", &version)) {
        buffer_format(error, "%s: cannot be read: %s", path, database_error(database));
        return false;
    }
    if (version > latest) {
        buffer_format(error,
                      "%s: was made by a newer Parcelpost (its version is %lld, this program knows %d); use the newer "
                      "program",
                      path, (long long)version, latest);
        return false;
    }
    if (version == latest) {
        return true;
    }
    if (mode == DATABASE_READ) {
        buffer_format(error,
                      "%s: has version %lld, this program needs %d; start parcelpostd, which brings it up to date",
                      path, (long long)version, latest);
        return false;
    }
    return migrate(database, kind, path, error);
}

/* Once for long: who has a lock for longer than that is not waited for again by each of those whom the ledger serves,
 * one after the other. They are put off at once, until something has been written. */
static int wait_for_lock(void *context, int times) {
    static const struct timespec pause = {.tv_nsec = 5000000};
    struct database *database = context;
    if (times == 0) {
        database->busy_since = clock_now_ms();
    }
    if (database->impatient || clock_now_ms() - database->busy_since >= BUSY_MILLISECONDS) {
        database->impatient = true;
        return 0;
    }
    (void)nanosleep(&pause, NULL);
    return 1;
}

/* users.db keeps a rollback journal: lookup reads it as another user than those who write it, often while no writer is
 * there, and a reader of a WAL must then be able to make files beside it. parcelpost.db always has its ledger. */
static bool set_up(struct database *database, enum database_kind kind, enum database_mode mode, const char *path,
                   struct buffer *error) {
    const char *journal = kind == DATABASE_USERS ? "PRAGMA journal_mode = DELETE" : "PRAGMA journal_mode = WAL";
    sqlite3_extended_result_codes(database->handle, 1);
    if (kind == DATABASE_MAIN && mode == DATABASE_WRITE) {
        sqlite3_busy_handler(database->handle, wait_for_lock, database);
    } else {
        sqlite3_busy_timeout(database->handle, BUSY_MILLISECONDS);
    }
    database_settle_aside(database->handle);
    bool good = mode == DATABASE_READ ||
                (run_text(database, journal) && run_text(database, "PRAGMA synchronous = NORMAL") &&
                 run_text(database, "PRAGMA wal_autocheckpoint = 0") && run_text(database, "PRAGMA foreign_keys = ON"));
    if (!good) {
        buffer_format(error, "%s: cannot be opened: %s", path, database_error(database));
    }
    return good;
}

static int count_pages(void *context, sqlite3 *handle, const char *name, int pages) {
    struct database *database = context;
    (void)handle;
    (void)name;
    database->wal_pages = pages;
    database->impatient = false;
    return SQLITE_OK;
}

int database_wal_pages(const struct database *database) {
    return database->wal_pages;
}

void database_rest(struct database *database) {
    (void)sqlite3_db_release_memory(database->handle);
}

bool database_fold_wal(struct database *database, int *pages, int *folded) {
    return sqlite3_wal_checkpoint_v2(database->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, pages, folded) == SQLITE_OK;
}

bool database_restart_wal(struct database *database) {
    sqlite3_busy_timeout(database->handle, 0);
    bool good = sqlite3_wal_checkpoint_v2(database->handle, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL) == SQLITE_OK;
    sqlite3_busy_handler(database->handle, wait_for_lock, database);
    database->wal_pages = good ? 0 : database->wal_pages;
    return good;
}

/* Whatever is wrong with parcelpost.db, mail is in journal and files. */
void database_advise(const struct database *database, struct buffer *error) {
    int code = sqlite3_extended_errcode(database->handle) & 0xff;
    if (database->kind == DATABASE_MAIN && (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)) {
        buffer_format(error, "; parcelpost queue rebuild makes it anew");
    }
}

/* Nobody asks how much memory SQLite has: without counting it, it takes no lock each time. Once, before it does
 * anything; children inherit it. */
static void count_no_memory(void) {
    static bool done;
    if (!done) {
        (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
        done = true;
    }
}

/* SQLite's words for each of these are the same. */
static void say_why_closed(const struct database *database, const char *path, struct buffer *error) {
    const char *slash = strrchr(path, '/');
    struct text parent = text_first(text_of(path), slash == NULL ? 0 : (size_t)(slash - path));
    char directory[PATH_MAX];
    if (sqlite3_errcode(database->handle) != SQLITE_CANTOPEN) {
        buffer_format(error, "%s: cannot be opened: %s", path, database_error(database));
    } else if (parent.length > 0 && text_copy(directory, sizeof directory, parent) && access(directory, F_OK) != 0 &&
               errno == ENOENT) {
        buffer_format(error, "%s: cannot be opened: there is no directory %s", path, directory);
    } else {
        int problem = sqlite3_system_errno(database->handle);
        buffer_format(error, "%s: cannot be opened: %s", path,
                      problem != 0 ? strerror(problem) : database_error(database));
    }
}

struct database *database_open(const char *path, enum database_kind kind, enum database_mode mode,
                               struct buffer *error) {
    struct database *database = memory_new(1, sizeof *database);
    count_no_memory();
    database->kind = kind;
    int flags = SQLITE_OPEN_NOMUTEX |
                (mode == DATABASE_WRITE ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY);
    if (sqlite3_open_v2(path, &database->handle, flags, NULL) != SQLITE_OK) {
        say_why_closed(database, path, error);
    } else if (set_up(database, kind, mode, path, error) && check_version(database, kind, mode, path, error)) {
        if (mode == DATABASE_WRITE && kind == DATABASE_MAIN) {
            sqlite3_wal_hook(database->handle, count_pages, database);
        }
        return database;
    }
    database_advise(database, error);
    database_close(database);
    return NULL;
}

void database_settle_aside(struct sqlite3 *handle) {
    sqlite3_stmt *statement = NULL;
    if (aside_in_memory &&
        sqlite3_prepare_v2(handle, "PRAGMA temp_store = MEMORY", -1, &statement, NULL) == SQLITE_OK) {
        (void)sqlite3_step(statement);
    }
    (void)sqlite3_finalize(statement);
}

void database_put_aside(const char *directory) {
    aside_in_memory = directory == NULL;
    sqlite3_temp_directory = directory != NULL ? sqlite3_mprintf("%s", directory) : NULL;
}

void database_close(struct database *database) {
    if (database == NULL) {
        return;
    }
    for (size_t i = 0; i < STATEMENTS; i++) {
        sqlite3_finalize(database->prepared[i]);
    }
    sqlite3_close(database->handle);
    known_free(database);
    free(database);
}

bool database_begin(struct database *database) {
    database_rollback(database); /* the last one, when that could not be undone in its time: no other would begin */
    return statement_run(database, STATEMENT_BEGIN, BINDS_NONE);
}

bool database_commit(struct database *database) {
    return statement_run(database, STATEMENT_COMMIT, BINDS_NONE);
}

void database_rollback(struct database *database) {
    if (sqlite3_get_autocommit(database->handle) == 0) {
        run_text(database, "ROLLBACK");
    }
}

bool database_flush(const struct database *database) {
    /* not the database itself: closing that would drop SQLite's locks */
    int fd = open(sqlite3_filename_wal(sqlite3_db_filename(database->handle, "main")), O_RDWR | O_CLOEXEC);
    bool good = fd >= 0 && fdatasync(fd) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return good;
}

const char *database_error(const struct database *database) {
    return database->handle != NULL ? sqlite3_errmsg(database->handle) : "out of memory";
}

int64_t database_data_version(struct database *database) {
    int64_t version = 0;
    return read_number(database, "PRAGMA data_version", &version) ? version : -1;
}
