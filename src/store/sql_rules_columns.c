/* SPDX-License-Identifier: MIT
 * What can be told of a rule's columns before it is ever asked: that each column behind the reply is an action, one
 * that can be done at this stage, and that a reply which begins with a constant begins with a code that rules may give.
 * Called when a statement is prepared, under its process's privileges. */
#include "mail/reply.h"
#include "mail/sql_action.h"
#include "store/sql_rules_private.h"
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

/* ---- actions ---- */

static void name_actions(enum rule_stage stage, struct buffer *words) {
    bool first = true;
    for (size_t i = 0; i < SQL_ACTIONS; i++) {
        if ((sql_actions[i].stages & 1u << stage) != 0) {
            (void)buffer_format(words, "%s%s", first ? "" : ", ", sql_actions[i].name);
            first = false;
        }
    }
}

static bool check_actions(struct sqlite3_stmt *handle, enum rule_stage stage, struct buffer *problem) {
    for (int column = 1; column < sqlite3_column_count(handle); column++) {
        const char *name = sqlite3_column_name(handle, column);
        enum sql_action action = sql_action_find(text_of(name));
        if (action < SQL_ACTIONS && (sql_actions[action].stages & 1u << stage) != 0) {
            continue;
        }
        (void)buffer_format(problem, "column %d, \"%.60s\", is no action%s%s; accepted: ", column + 1, name,
                            action < SQL_ACTIONS ? " at " : "", action < SQL_ACTIONS ? rule_stage_names[stage] : "");
        name_actions(stage, problem);
        return false;
    }
    return true;
}

/* ---- the reply's code ---- */

static struct text skip_blanks(struct text sql) {
    size_t length = 0;
    while (length < sql.length && strchr(" \t\r\n", sql.data[length]) != NULL) {
        length++;
    }
    return text_from(sql, length);
}

/* Behind "SELECT" or "VALUES (", where the first column begins; "" for anything else. */
static struct text first_column(struct text sql) {
    if (text_starts_nocase(sql, TEXT("SELECT"))) {
        return skip_blanks(text_from(sql, strlen("SELECT")));
    }
    if (!text_starts_nocase(sql, TEXT("VALUES"))) {
        return TEXT_NONE;
    }
    sql = skip_blanks(text_from(sql, strlen("VALUES")));
    return text_starts_nocase(sql, TEXT("(")) ? skip_blanks(text_from(sql, 1)) : TEXT_NONE;
}

/* What follows says that the string before it is the reply, or all of its beginning. */
static bool ends_column(struct text rest) {
    static const char *const words[] = {",", ")", "AS ", "FROM", "WHERE", "UNION", "ORDER", "LIMIT", "EXCEPT"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (text_starts_nocase(rest, text_of(words[i]))) {
            return true;
        }
    }
    return rest.length == 0;
}

/* The reply's constant beginning; "" when it cannot be told. */
static struct text constant_reply(struct text sql) {
    struct text column = first_column(sql);
    if (column.length == 0 || column.data[0] != '\'') {
        return TEXT_NONE;
    }
    struct text constant = text_first(text_from(column, 1), text_find(text_from(column, 1), '\''));
    struct text rest = skip_blanks(text_from(column, constant.length + 2));
    bool goes_on = text_starts_nocase(rest, TEXT("||"));
    if (!ends_column(rest) && !goes_on) {
        return TEXT_NONE;
    }
    return goes_on && constant.length < 3 ? TEXT_NONE : constant;
}

static bool check_reply(struct text sql, struct buffer *problem) {
    struct text constant = constant_reply(sql), words;
    unsigned code = 0;
    bool more;
    if (constant.length == 0) {
        return true;
    }
    bool reply = reply_parse_line(constant, &code, &more, &words);
    if (reply && sql_rule_may_give(code)) {
        return true;
    }
    (void)buffer_format(problem, "gives what is no %s: %.*s%s", reply ? "reply of a rule" : "SMTP reply",
                        TEXT_ARGS(text_first(constant, 60)), reply ? "; accepted: " SQL_RULE_CODES : "");
    return false;
}

static bool check_places(struct sqlite3_stmt *handle, struct buffer *problem) {
    int count = sqlite3_column_count(handle);
    if (count == 1 || (count == 2 && sqlite3_stricmp(sqlite3_column_name(handle, 1), "owner") == 0)) {
        return true;
    }
    (void)buffer_format(problem, "has other columns than where the address leads, and owner");
    return false;
}

bool sql_columns_check(struct sqlite3_stmt *handle, enum rule_stage stage, struct text sql, struct buffer *problem) {
    if (stage == RULE_CLIENT_LOOKUP) {
        return check_places(handle, problem);
    }
    return check_actions(handle, stage, problem) && check_reply(sql, problem);
}
