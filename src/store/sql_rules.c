/* SPDX-License-Identifier: MIT
 * Asking the operator's rules. Called by lookup (as parcelpost-auth, for receivers) and by `parcelpost rules`, on
 * facts that strangers wrote: they are bound. Whatever goes wrong is an outcome of its own, never "no objection". */
#include "store/sql_rules.h"
#include "base/clock.h"
#include "base/memory.h"
#include "store/sql_rules_private.h"
#include "store/statements.h"
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_BETWEEN_LOOKS 1000 /* of SQLite's virtual machine */

struct sql_engine {
    struct database *database;
    const struct sql_rules *rules;
    struct sql_lock lock;
    struct sql_file files[RULE_FILES];
    int64_t deadline;
};

/* ---- opening ---- */

static int is_late(void *context) {
    const struct sql_engine *engine = context;
    return clock_now_ms() >= engine->deadline;
}

/* Without it the statements that read users fail, and no others. */
static void attach_users(struct sqlite3 *handle, const char *path) {
    sqlite3_stmt *attach = NULL;
    if (sqlite3_prepare_v2(handle, "ATTACH ?1 AS users", -1, &attach, NULL) == SQLITE_OK &&
        sqlite3_bind_text(attach, 1, path, -1, SQLITE_STATIC) == SQLITE_OK) {
        (void)sqlite3_step(attach);
    }
    (void)sqlite3_finalize(attach);
}

struct sql_engine *sql_engine_open(const char *database, const char *users, const struct sql_rules *rules,
                                   struct buffer *error) {
    struct database *opened = database_open(database, DATABASE_MAIN, DATABASE_READ, error);
    if (opened == NULL) {
        return NULL;
    }
    struct sql_engine *engine = memory_new(1, sizeof *engine);
    engine->database = opened;
    engine->rules = rules;
    engine->deadline = CLOCK_NEVER;
    attach_users(opened->handle, users);
    sql_lock_down(opened->handle, &engine->lock);
    sqlite3_progress_handler(opened->handle, STEPS_BETWEEN_LOOKS, is_late, engine);
    for (size_t i = 0; i < RULE_FILES; i++) {
        sql_file_prepare(opened->handle, &engine->lock, &rules->files[i], (enum rule_stage)i, &engine->files[i]);
    }
    return engine;
}

void sql_engine_close(struct sql_engine *engine) {
    if (engine == NULL) {
        return;
    }
    for (size_t i = 0; i < RULE_FILES; i++) {
        sql_file_free(&engine->files[i]);
    }
    database_close(engine->database);
    free(engine);
}

/* ---- the answer ---- */

struct asking {
    struct sql_engine *engine;
    const struct sql_question *question;
    const struct sql_statement *statement;
    const char *rule;
    enum rule_stage stage;
    struct reply *reply;
    struct buffer lines; /* the reply's text so far */
    bool placed;         /* there is a row of RULE_CLIENT_LOOKUP */
    struct buffer *error;
};

static bool fail(struct asking *asking, const char *what, const char *detail) {
    char shown[160];
    (void)text_printable(shown, sizeof shown, text_of(detail));
    (void)buffer_format(asking->error, "%s:%u: %s%s", asking->engine->rules->files[asking->stage].path,
                        asking->statement->line, what, shown);
    return false;
}

/* RFC 3463: the class of the enhanced code is the first digit of the code. */
static bool take_code(struct asking *asking, unsigned code, struct text *words, const char *line) {
    struct reply *reply = asking->reply;
    char enhanced[sizeof reply->enhanced];
    reply_split_enhanced(words, enhanced);
    if (enhanced[0] == '\0') {
        (void)text_copy(enhanced, sizeof enhanced, code < 400 ? TEXT("2.0.0") : TEXT("5.7.1"));
        enhanced[0] = (char)('0' + code / 100);
    }
    if (!sql_rule_may_give(code) || enhanced[0] != (char)('0' + code / 100)) {
        return fail(asking, "gives what is no reply of a rule (" SQL_RULE_CODES "): ", line);
    }
    if (asking->lines.length > 0 && code != reply->code) {
        return fail(asking, "gives lines with different codes: ", line);
    }
    reply->code = code;
    (void)text_copy(reply->enhanced, sizeof reply->enhanced, text_of(enhanced));
    return true;
}

/* A row is a line of the reply. */
static bool take_line(struct asking *asking, const char *line) {
    unsigned code;
    bool more;
    struct text words;
    if (!reply_parse_line(text_of(line), &code, &more, &words)) {
        return fail(asking, "gives what is no SMTP reply: ", line);
    }
    bool first = asking->lines.length == 0;
    if (!take_code(asking, code, &words, line)) {
        return false;
    }
    if ((first || buffer_append_byte(&asking->lines, '\n')) && buffer_append_text(&asking->lines, words) &&
        (words.length > 0 || buffer_append_byte(&asking->lines, ' '))) {
        return true;
    }
    return fail(asking, "gives a reply that is too long: ", line);
}

static bool take_action(struct asking *asking, int column) {
    sqlite3_stmt *handle = asking->statement->handle;
    enum sql_action action = sql_action_find(text_of(sqlite3_column_name(handle, column)));
    const char *bytes = (const char *)sqlite3_column_text(handle, column);
    if (bytes == NULL || action == SQL_ACTIONS) {
        return true;
    }
    struct text value =
        text_first((struct text){bytes, (size_t)sqlite3_column_bytes(handle, column)},
                   SQL_ACTION_VALUE_MAXIMUM); /* what a client wrote may be in it: too long is no error */
    if (!sql_actions[action].takes(value)) {
        char what[96];
        (void)snprintf(what, sizeof what, "%s is to be %s, not: ", sql_actions[action].name, sql_actions[action].wants);
        return fail(asking, what, bytes);
    }
    if (asking->question->take != NULL) {
        asking->question->take(asking->question->context, asking->rule, action, value);
    }
    return true;
}

/* Where an address leads, and who answers for the list. */
static bool take_place(struct asking *asking) {
    sqlite3_stmt *handle = asking->statement->handle;
    const char *target = (const char *)sqlite3_column_text(handle, 0);
    const char *owner = sqlite3_column_count(handle) > 1 ? (const char *)sqlite3_column_text(handle, 1) : NULL;
    if (target == NULL) {
        return true;
    }
    asking->placed = true;
    if (target[0] == '\0' || strpbrk(target, "\t\n") != NULL || (owner != NULL && strpbrk(owner, "\t\n") != NULL)) {
        return fail(asking, "gives what is no place for mail: ", target);
    }
    return asking->question->places == NULL ||
           buffer_format(asking->question->places, "%s\t%s\n", target, owner != NULL ? owner : "") ||
           fail(asking, "gives too many places", "");
}

static bool take_row(struct asking *asking) {
    if (asking->stage == RULE_CLIENT_LOOKUP) {
        return take_place(asking);
    }
    sqlite3_stmt *handle = asking->statement->handle;
    const char *line = (const char *)sqlite3_column_text(handle, 0);
    bool good = line == NULL || take_line(asking, line);
    for (int column = 1; good && column < sqlite3_column_count(handle); column++) {
        good = take_action(asking, column);
    }
    return good;
}

static void bind_fact(sqlite3_stmt *handle, int place, enum sql_fact fact, struct text value) {
    if (value.data == NULL) {
        (void)sqlite3_bind_null(handle, place);
    } else if (sql_facts[fact].number) {
        char digits[24];
        (void)text_copy(digits, sizeof digits, value);
        (void)sqlite3_bind_int64(handle, place, strtoll(digits, NULL, 10));
    } else {
        (void)sqlite3_bind_text(handle, place, value.data, (int)value.length, SQLITE_TRANSIENT);
    }
}

static void bind_facts(sqlite3_stmt *handle, const struct text values[SQL_FACTS]) {
    for (int i = 1; i <= sqlite3_bind_parameter_count(handle); i++) {
        enum sql_fact fact = sql_fact_find(text_of(sqlite3_bind_parameter_name(handle, i) + 1));
        bind_fact(handle, i, fact, values[fact]);
    }
}

static enum sql_outcome ask_statement(struct asking *asking, const struct text values[SQL_FACTS]) {
    sqlite3_stmt *handle = asking->statement->handle;
    int result;
    if (handle == NULL) {
        (void)fail(asking, "", asking->statement->problem);
        return SQL_FAILED;
    }
    bool good = true;
    bind_facts(handle, values);
    while (good && (result = statement_advance(handle)) == SQLITE_ROW) {
        good = take_row(asking);
    }
    if (good && result != SQLITE_DONE) {
        good = result == SQLITE_INTERRUPT ? fail(asking, "takes longer than rules_timeout_ms", "")
                                          : fail(asking, "", database_error(asking->engine->database));
    }
    (void)sqlite3_reset(handle);
    (void)sqlite3_clear_bindings(handle);
    if (!good) {
        return SQL_FAILED;
    }
    return asking->lines.length > 0 || asking->placed ? SQL_SPOKE : SQL_SILENT;
}

/* ---- the contact's counts ---- */

struct counts {
    char text[4][24];
};

/* What the contact's row says, where the asker did not. */
static void add_counts(struct sql_engine *engine, struct text values[SQL_FACTS], struct counts *counts) {
    static const struct {
        enum sql_fact fact;
        int column; /* of STATEMENT_CONTACT_BY_IP */
    } rows[] = {{SQL_FACT_HITS, 2}, {SQL_FACT_LOCKS, 3}, {SQL_FACT_VIOLATIONS, 4}, {SQL_FACT_ACCEPTED_AT, 7}};
    struct text contact = values[SQL_FACT_CONTACT];
    if (contact.data == NULL) {
        return;
    }
    struct sqlite3_stmt *row = statement_query(engine->database, STATEMENT_CONTACT_BY_IP, BINDS(bind_text(contact)));
    bool found = statement_step(row) == STATEMENT_ROW;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct text value = found ? text_of(column_string(row, rows[i].column)) : TEXT_NONE;
        bool given = values[rows[i].fact].data != NULL || (!sql_facts[rows[i].fact].number && value.length == 0);
        if (!given && text_copy(counts->text[i], sizeof counts->text[i], value.length > 0 ? value : TEXT("0"))) {
            values[rows[i].fact] = text_of(counts->text[i]);
        }
    }
    statement_end(row);
}

/* ---- asking ---- */

enum sql_outcome sql_engine_ask(struct sql_engine *engine, const struct sql_question *question, struct reply *reply,
                                char rule[SQL_RULE_NAME_SIZE], struct buffer *error) {
    const struct sql_file *file = &engine->files[question->stage];
    struct asking asking = {
        .engine = engine, .question = question, .rule = rule, .stage = question->stage, .reply = reply, .error = error};
    struct text values[SQL_FACTS];
    struct counts counts;
    enum sql_outcome outcome = SQL_SILENT;
    memcpy(values, question->values, sizeof values);
    engine->deadline = clock_deadline(question->milliseconds);
    (void)sqlite3_busy_timeout(engine->database->handle, (int)question->milliseconds);
    add_counts(engine, values, &counts);
    buffer_init(&asking.lines, sizeof reply->text - 1);
    for (size_t i = 0; i < file->count && outcome == SQL_SILENT; i++) {
        asking.statement = &file->statements[i];
        (void)snprintf(rule, SQL_RULE_NAME_SIZE, "sql:%s:%zu", rule_stage_names[question->stage], i + 1);
        outcome = ask_statement(&asking, values);
    }
    if (outcome == SQL_SPOKE && asking.lines.length > 0) {
        (void)text_copy(reply->text, sizeof reply->text, buffer_text(&asking.lines));
    }
    buffer_free(&asking.lines);
    engine->deadline = CLOCK_NEVER;
    return outcome;
}

void sql_engine_list(const struct sql_engine *engine, sql_visit *visit, void *context) {
    char rule[SQL_RULE_NAME_SIZE];
    for (size_t stage = 0; stage < RULE_FILES; stage++) {
        const struct sql_file *file = &engine->files[stage];
        for (size_t i = 0; i < file->count; i++) {
            const struct sql_statement *statement = &file->statements[i];
            (void)snprintf(rule, sizeof rule, "sql:%s:%zu", rule_stage_names[stage], i + 1);
            visit(context, rule, engine->rules->files[stage].path, statement->line,
                  statement->handle != NULL ? sqlite3_sql(statement->handle) : statement->problem);
        }
    }
}
