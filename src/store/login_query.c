/* SPDX-License-Identifier: MIT
 * Asking the operator's database for a login, see login_query.h. Called by lookup (as parcelpost-auth) with names of
 * strangers, which are bound, and by the check before the server starts. It can read that database and nothing else. */
#include "store/login_query.h"
#include "base/clock.h"
#include "base/memory.h"
#include "store/sql_rules_private.h"
#include "store/statements.h"
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_BETWEEN_LOOKS 1000 /* of SQLite's virtual machine */
#define COLUMNS_MINIMUM 2
#define COLUMNS_MAXIMUM 3

struct login_query {
    sqlite3 *handle;
    sqlite3_stmt *statement;
    struct sql_lock lock;
    int64_t deadline;
};

void login_query_close(struct login_query *query) {
    if (query != NULL) {
        (void)sqlite3_finalize(query->statement);
        (void)sqlite3_close(query->handle);
        free(query);
    }
}

static int is_late(void *context) {
    const struct login_query *query = context;
    return clock_now_ms() >= query->deadline;
}

static const char *check(struct sqlite3_stmt *statement, const char *rest) {
    int columns = sqlite3_column_count(statement);
    if (rest[strspn(rest, " \t\r\n;")] != '\0') {
        return "is more than one statement";
    }
    if (statement == NULL || sqlite3_stmt_readonly(statement) == 0 || sqlite3_stmt_isexplain(statement) != 0) {
        return "is no SELECT";
    }
    if (columns < COLUMNS_MINIMUM || columns > COLUMNS_MAXIMUM) {
        return "has other columns than account, hash and perhaps scram";
    }
    for (int i = 1; i <= sqlite3_bind_parameter_count(statement); i++) {
        const char *name = sqlite3_bind_parameter_name(statement, i);
        if (name == NULL || strcmp(name, ":user") != 0) {
            return "has another parameter than :user";
        }
    }
    return sqlite3_bind_parameter_count(statement) == 1 ? NULL : "does not ask for :user";
}

static bool prepare(struct login_query *query, const char *sql, struct buffer *error) {
    const char *rest = "";
    database_settle_aside(query->handle);
    sql_lock_down(query->handle, &query->lock);
    if (sqlite3_prepare_v2(query->handle, sql, -1, &query->statement, &rest) != SQLITE_OK) {
        (void)buffer_format(error, "login_query: %s%s",
                            query->lock.refused[0] != '\0' ? query->lock.refused : sqlite3_errmsg(query->handle),
                            query->lock.refused[0] != '\0' ? " is not allowed" : "");
        return false;
    }
    const char *problem = check(query->statement, rest);
    if (problem != NULL) {
        (void)buffer_format(error, "login_query %s", problem);
    }
    return problem == NULL;
}

struct login_query *login_query_open(const char *database, const char *sql, struct buffer *error) {
    struct login_query *query = memory_new(1, sizeof *query);
    query->deadline = CLOCK_NEVER;
    if (sqlite3_open_v2(database, &query->handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
        (void)buffer_format(error, "login_database %s: %s", database, sqlite3_errmsg(query->handle));
    } else if (prepare(query, sql, error)) {
        sqlite3_progress_handler(query->handle, STEPS_BETWEEN_LOOKS, is_late, query);
        return query;
    }
    login_query_close(query);
    return NULL;
}

static bool take_column(sqlite3_stmt *statement, int column, char *value, size_t size) {
    value[0] = '\0';
    return column >= sqlite3_column_count(statement) ||
           text_copy(value, size, text_of((const char *)sqlite3_column_text(statement, column)));
}

static enum users_found take_row(sqlite3_stmt *statement, char *account, size_t size, struct users_proofs *proofs) {
    if (!take_column(statement, 0, account, size) || !take_column(statement, 1, proofs->hash, sizeof proofs->hash) ||
        !take_column(statement, 2, proofs->scram, sizeof proofs->scram)) {
        return USERS_ERROR;
    }
    return account[0] != '\0' ? USERS_YES : USERS_NO;
}

enum users_found login_query_ask(struct login_query *query, struct text user, int64_t milliseconds, char *account,
                                 size_t size, struct users_proofs *proofs, struct buffer *error) {
    enum users_found found = USERS_ERROR;
    query->deadline = clock_deadline(milliseconds);
    (void)sqlite3_busy_timeout(query->handle, (int)milliseconds);
    (void)sqlite3_bind_text(query->statement, 1, user.data, (int)user.length, SQLITE_STATIC);
    switch (sqlite3_step(query->statement)) {
    case SQLITE_ROW:
        found = take_row(query->statement, account, size, proofs);
        (void)(found == USERS_ERROR && buffer_append_string(error, "a column is too long"));
        break;
    case SQLITE_DONE:
        found = USERS_NO;
        break;
    default:
        (void)buffer_append_string(error, sqlite3_errmsg(query->handle));
        break;
    }
    (void)sqlite3_reset(query->statement);
    (void)sqlite3_clear_bindings(query->statement);
    query->deadline = CLOCK_NEVER;
    return found;
}
