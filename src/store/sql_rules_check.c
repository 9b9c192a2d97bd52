/* SPDX-License-Identifier: MIT
 * Checking the operator's rules before they are used: every statement is prepared against empty tables in memory, which
 * are this program's and those that the operator has added to the database. So a check needs no running server, writes
 * nothing, and holds for a database that does not exist yet or is still of an older version. */
#include "sql_embedded.h"
#include "store/sql_rules_private.h"
#include "store/statements.h"
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool run(struct sqlite3 *handle, const char *sql) {
    sqlite3_stmt *statement = NULL;
    bool good = true;
    while (good && *sql != '\0') {
        good = sqlite3_prepare_v2(handle, sql, -1, &statement, &sql) == SQLITE_OK;
        int result = good && statement != NULL ? sqlite3_step(statement) : SQLITE_DONE;
        good = good && (result == SQLITE_DONE || result == SQLITE_ROW);
        (void)sqlite3_finalize(statement);
        statement = NULL;
    }
    return good;
}

/* The tables of sql/users.sql, made in the attached database "users". */
static bool make_users(struct sqlite3 *handle) {
    static const char create[] = "CREATE TABLE ";
    bool good = run(handle, "ATTACH ':memory:' AS users");
    for (const char *at = strstr(sql_users, create); good && at != NULL; at = strstr(at + 1, create)) {
        struct buffer sql;
        const char *name = at + strlen(create), *end = strstr(name, ";\n");
        buffer_init(&sql, 16384);
        good = end != NULL && buffer_append_string(&sql, create) && buffer_append_string(&sql, "users.") &&
               buffer_append(&sql, name, (size_t)(end - name)) && run(handle, buffer_string(&sql));
        buffer_free(&sql);
    }
    return good;
}

/* Copies what the operator has made; what is there already cannot be made again, and stays. */
static bool copy_tables(struct sqlite3 *from, struct sqlite3 *handle) {
    sqlite3_stmt *tables = NULL;
    bool good = statement_prepare(from, statement_text(STATEMENT_SCHEMA), 0, &tables) == SQLITE_OK;
    int result = SQLITE_ERROR;
    while (good && (result = statement_advance(tables)) == SQLITE_ROW) {
        (void)run(handle, column_string(tables, 0));
    }
    (void)sqlite3_finalize(tables);
    return result == SQLITE_DONE;
}

/* "file:PATH?mode=ro…": what has a meaning in a URI is written as %XX. */
static void make_uri(struct buffer *uri, const char *path, const char *options) {
    (void)buffer_append_string(uri, "file:");
    for (; *path != '\0'; path++) {
        if (strchr("%?#", *path) != NULL) {
            (void)buffer_format(uri, "%%%02X", (unsigned)(unsigned char)*path);
        } else {
            (void)buffer_append_byte(uri, *path);
        }
    }
    (void)buffer_append_string(uri, options);
}

/* A database whose ledger runs is read as everybody reads it. Without a ledger nobody but its owner can, for the log
 * beside it is missing: then it is read as a file that nobody writes, which is so. */
static bool add_tables(struct sqlite3 *handle, const char *path, struct buffer *error) {
    static const char *const options[] = {"?mode=ro", "?mode=ro&immutable=1"};
    bool good = false;
    if (access(path, F_OK) != 0 && errno == ENOENT) {
        return true;
    }
    for (size_t i = 0; i < sizeof options / sizeof options[0] && !good; i++) {
        sqlite3 *from = NULL;
        struct buffer uri;
        buffer_init(&uri, 16384);
        make_uri(&uri, path, options[i]);
        good = sqlite3_open_v2(buffer_string(&uri), &from, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL) == SQLITE_OK &&
               copy_tables(from, handle);
        if (!good && i + 1 == sizeof options / sizeof options[0]) {
            (void)buffer_format(error, "%s: cannot be read: %s", path, sqlite3_errmsg(from));
        }
        (void)sqlite3_close(from);
        buffer_free(&uri);
    }
    return good;
}

static bool check_file(struct sqlite3 *handle, struct sql_lock *lock, struct sql_rule_file *source,
                       enum rule_stage stage, struct buffer *error) {
    struct sql_file file = {NULL, 0};
    bool good = true;
    sql_file_prepare(handle, lock, source, stage, &file);
    for (size_t i = 0; i < file.count && good; i++) {
        const struct sql_statement *statement = &file.statements[i];
        good = statement->problem == NULL;
        if (!good) {
            (void)buffer_format(error, "%s:%u: %s", source->path, statement->line, statement->problem);
        }
    }
    sql_file_facts(&file, &source->named);
    sql_file_free(&file);
    return good;
}

static bool has_rules(const struct sql_rules *rules) {
    for (size_t i = 0; i < RULE_FILES; i++) {
        if (rules->files[i].text != NULL) {
            return true;
        }
    }
    return false;
}

bool sql_rules_check(struct sql_rules *rules, const char *database, struct buffer *error) {
    struct sql_lock lock = {""};
    sqlite3 *handle = NULL;
    if (!has_rules(rules)) {
        return true;
    }
    bool good = sqlite3_open_v2(":memory:", &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) == SQLITE_OK &&
                run(handle, sql_schema) && make_users(handle);
    if (!good) {
        (void)buffer_format(error, "rules cannot be checked: %s", sqlite3_errmsg(handle));
    }
    good = good && add_tables(handle, database, error);
    if (good) {
        sql_lock_down(handle, &lock);
    }
    for (size_t i = 0; i < RULE_FILES && good; i++) {
        good = check_file(handle, &lock, &rules->files[i], (enum rule_stage)i, error);
    }
    (void)sqlite3_close(handle);
    return good;
}
