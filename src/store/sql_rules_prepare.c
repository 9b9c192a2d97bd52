/* SPDX-License-Identifier: MIT
 * Preparing the operator's statements under an authorizer. Called by sql_rules_check.c and sql_rules.c, in a process
 * of the listener's, in lookup (as parcelpost-auth) and in `parcelpost`; what is wrong stays with its statement. */
#include "base/memory.h"
#include "store/sql_rules_private.h"
#include "store/statements.h"
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAXIMUM (1024 * 1024) /* bytes of a text within a statement */
#define PATTERN_MAXIMUM 500         /* of LIKE and GLOB: what strangers wrote may be the pattern */

/* ---- what a rule may do ---- */

static int refuse(struct sql_lock *lock, const char *what, const char *name) {
    (void)snprintf(lock->refused, sizeof lock->refused, "%s%.60s", what, name != NULL ? name : "");
    return SQLITE_DENY;
}

/* Of the users everything may be read but what proves a password; of a column added later nobody knows that. */
static bool may_read(const char *database, const char *table, const char *column) {
    static const char *const columns[] = {"", "address", "created_at", "updated_at"};
    if (database == NULL || strcmp(database, "users") != 0 || strncmp(table, "sqlite_", 7) == 0) {
        return true;
    }
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        if (strcmp(column, columns[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_function_refused(const char *name) {
    static const char *const names[] = {"load_extension", "fts3_tokenizer", "randomblob", "zeroblob"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (sqlite3_stricmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static const char *action_words(int action) {
    static const struct {
        int action;
        const char *words;
    } rows[] = {
        {SQLITE_DELETE, "DELETE"},
        {SQLITE_INSERT, "INSERT"},
        {SQLITE_UPDATE, "UPDATE"},
        {SQLITE_PRAGMA, "PRAGMA"},
        {SQLITE_ATTACH, "ATTACH"},
        {SQLITE_DETACH, "DETACH"},
        {SQLITE_TRANSACTION, "a transaction"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].action == action) {
            return rows[i].words;
        }
    }
    return "this statement";
}

static int authorize(void *context, int action, const char *first, const char *second, const char *database,
                     const char *trigger) {
    struct sql_lock *lock = context;
    (void)trigger;
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE:
        return SQLITE_OK;
    case SQLITE_READ:
        return may_read(database, first, second) ? SQLITE_OK : refuse(lock, "reading users.", second);
    case SQLITE_FUNCTION:
        return is_function_refused(second) ? refuse(lock, "the function ", second) : SQLITE_OK;
    default:
        return refuse(lock, action_words(action), NULL);
    }
}

void sql_lock_down(struct sqlite3 *handle, struct sql_lock *lock) {
    static const struct {
        int what, value;
    } settings[] = {
        {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
        {SQLITE_DBCONFIG_DEFENSIVE, 1},
        {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
    };
    sqlite3_stmt *only = NULL;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        (void)sqlite3_db_config(handle, settings[i].what, settings[i].value, NULL);
    }
    sql_add_functions(handle);
    (void)sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, VALUE_MAXIMUM);
    (void)sqlite3_limit(handle, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, PATTERN_MAXIMUM);
    if (sqlite3_prepare_v2(handle, "PRAGMA query_only = ON", -1, &only, NULL) == SQLITE_OK) {
        (void)sqlite3_step(only);
    }
    (void)sqlite3_finalize(only);
    (void)sqlite3_set_authorizer(handle, authorize, lock);
}

/* ---- what is wrong with a statement ---- */

static void set_problem(struct sql_statement *statement, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void set_problem(struct sql_statement *statement, const char *format, ...) {
    struct buffer words;
    va_list list;
    buffer_init(&words, 1024);
    va_start(list, format);
    bool fits = buffer_format_list(&words, format, list);
    va_end(list);
    statement->problem = memory_string(fits ? buffer_text(&words) : TEXT("is wrong"));
    buffer_free(&words);
    (void)sqlite3_finalize(statement->handle);
    statement->handle = NULL;
}

/* The fact that a parameter names, SQL_FACTS for none. */
static enum sql_fact fact_of(const char *parameter) {
    return parameter != NULL && parameter[0] == ':' ? sql_fact_find(text_of(parameter + 1)) : SQL_FACTS;
}

static void check_parameters(struct sql_statement *statement, enum rule_stage stage) {
    for (int i = 1; statement->handle != NULL && i <= sqlite3_bind_parameter_count(statement->handle); i++) {
        const char *name = sqlite3_bind_parameter_name(statement->handle, i);
        enum sql_fact fact = fact_of(name);
        if (fact == SQL_FACTS) {
            set_problem(statement, "%s is no fact; parcelpost-rules(5) lists them", name != NULL ? name : "?");
        } else if ((sql_facts[fact].stages & 1u << stage) == 0) {
            set_problem(statement, "%s is not known at %s", name, rule_stage_names[stage]);
        }
    }
}

static void check_columns(struct sql_statement *statement, enum rule_stage stage, struct text sql) {
    struct buffer problem;
    buffer_init(&problem, 512);
    if (statement->problem == NULL && !sql_columns_check(statement->handle, stage, sql, &problem)) {
        set_problem(statement, "%s", buffer_string(&problem));
    }
    buffer_free(&problem);
}

static unsigned count_lines(const char *from, const char *to) {
    unsigned lines = 0;
    for (; from < to; from++) {
        lines += *from == '\n';
    }
    return lines;
}

/* Behind the comment that begins here; where there is none, `at`. */
static const char *skip_comment(const char *at) {
    if (at[0] == '-' && at[1] == '-') {
        return at + strcspn(at, "\n");
    }
    if (at[0] == '/' && at[1] == '*') {
        const char *end = strstr(at + 2, "*/");
        return end != NULL ? end + 2 : at + strlen(at);
    }
    return at;
}

/* Blanks and comments before a statement: so its line is the one it begins in. */
static const char *skip_blank(const char *at) {
    const char *before;
    do {
        before = at;
        at = skip_comment(at + strspn(at, " \t\r\n\f;"));
    } while (at != before);
    return at;
}

/* Behind the string or quoted name that begins here. A doubled quote is the next one's beginning. */
static const char *skip_quoted(const char *at) {
    const char *end = strchr(at + 1, at[0] == '[' ? ']' : at[0]);
    return end != NULL ? end + 1 : at + strlen(at);
}

/* The ';' that ends a statement, or the end of the text. SQLite would tell only of statements that it understands. */
static const char *end_of_statement(const char *at) {
    while (*at != '\0' && *at != ';') {
        const char *behind = strchr("'\"`[", *at) != NULL ? skip_quoted(at) : skip_comment(at);
        at = behind != at ? behind : at + 1;
    }
    return at;
}

static void note_error(struct sqlite3 *handle, const struct sql_lock *lock, struct text sql,
                       struct sql_statement *statement) {
    int offset = sqlite3_error_offset(handle);
    bool refused = (sqlite3_errcode(handle) & 0xff) == SQLITE_AUTH && lock->refused[0] != '\0';
    if (offset > 0 && (size_t)offset <= sql.length) {
        statement->line += count_lines(sql.data, sql.data + offset);
    }
    if (refused) {
        set_problem(statement, "%s is not allowed: a rule is a SELECT that changes nothing and reads no password",
                    lock->refused);
    } else {
        set_problem(statement, "%s", sqlite3_errmsg(handle));
    }
}

static void prepare(struct sqlite3 *handle, struct sql_lock *lock, enum rule_stage stage, struct text sql,
                    struct sql_statement *statement) {
    lock->refused[0] = '\0';
    /* SQLite stops at the same ';' that we stopped at. */
    if (statement_prepare(handle, sql.data, SQLITE_PREPARE_PERSISTENT, &statement->handle) != SQLITE_OK) {
        note_error(handle, lock, sql, statement);
    } else if (sqlite3_stmt_isexplain(statement->handle) != 0 || sqlite3_stmt_readonly(statement->handle) == 0 ||
               sqlite3_column_count(statement->handle) < 1) {
        set_problem(statement, "is no SELECT");
    } else {
        check_parameters(statement, stage);
        check_columns(statement, stage, sql);
    }
}

void sql_file_prepare(struct sqlite3 *handle, struct sql_lock *lock, const struct sql_rule_file *source,
                      enum rule_stage stage, struct sql_file *file) {
    const char *text = source->text != NULL ? source->text : "", *at = skip_blank(text);
    while (*at != '\0') {
        const char *end = end_of_statement(at);
        file->statements = memory_resize(file->statements, file->count + 1, sizeof file->statements[0]);
        struct sql_statement *statement = &file->statements[file->count++];
        *statement = (struct sql_statement){.line = 1 + count_lines(text, at)};
        prepare(handle, lock, stage, (struct text){at, (size_t)(end - at)}, statement);
        at = skip_blank(end);
    }
}

void sql_file_free(struct sql_file *file) {
    for (size_t i = 0; i < file->count; i++) {
        (void)sqlite3_finalize(file->statements[i].handle);
        free(file->statements[i].problem);
    }
    free(file->statements);
    *file = (struct sql_file){NULL, 0};
}

void sql_file_facts(const struct sql_file *file, struct sql_fact_set *named) {
    bool *facts = named->facts;
    *named = (struct sql_fact_set){.asks = file->count > 0};
    for (size_t i = 0; i < file->count; i++) {
        sqlite3_stmt *handle = file->statements[i].handle;
        for (int n = 1; handle != NULL && n <= sqlite3_bind_parameter_count(handle); n++) {
            enum sql_fact fact = fact_of(sqlite3_bind_parameter_name(handle, n));
            if (fact < SQL_FACTS) {
                facts[fact] = true;
            }
        }
    }
    /* whose they are is what they are looked up by */
    facts[SQL_FACT_CONTACT] = facts[SQL_FACT_CONTACT] || facts[SQL_FACT_HITS] || facts[SQL_FACT_LOCKS] ||
                              facts[SQL_FACT_VIOLATIONS] || facts[SQL_FACT_ACCEPTED_AT];
}
