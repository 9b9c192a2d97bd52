/* SPDX-License-Identifier: MIT
 * Rows of aliases and vacations; see aliases.h. Called by lookup (as parcelpost-auth) and the queue runner, reading,
 * and by the ledger or an offline `parcelpost`, writing. Addresses come from strangers: they are bound, never text of a
 * statement. Errors are returned; the reason is in database_error. */
#include "store/aliases.h"
#include "store/known.h"

static enum aliases_found ended(enum statement_result result, bool any) {
    return result != STATEMENT_DONE ? ALIASES_ERROR : any ? ALIASES_YES : ALIASES_NO;
}

static enum aliases_found ask_targets(struct database *database, struct text address, unsigned limit,
                                      struct buffer *rows) {
    struct sqlite3_stmt *statement =
        statement_query(database, STATEMENT_ALIAS_TARGETS, BINDS(bind_text(address), bind_integer(limit)));
    enum statement_result result;
    bool any = false, fits = true;
    while ((result = statement_step(statement)) == STATEMENT_ROW) {
        any = true;
        fits = fits && buffer_format(rows, "%s\t%s\n", column_string(statement, 0), column_string(statement, 1));
    }
    statement_end(statement);
    return fits ? ended(result, any) : ALIASES_ERROR;
}

/* What is kept is so short that no limit cuts it. */
enum aliases_found aliases_targets(struct database *database, struct text address, unsigned limit,
                                   struct buffer *rows) {
    struct text kept;
    if (text_find(address, '\0') < address.length) {
        return ALIASES_NO;
    }
    enum known known =
        limit > KNOWN_MAXIMUM ? known_find(database, STATEMENT_ALIAS_TARGETS, address, &kept) : KNOWN_NOT;
    if (known != KNOWN_NOT) {
        return known == KNOWN_NO ? ALIASES_NO : buffer_append_text(rows, kept) ? ALIASES_YES : ALIASES_ERROR;
    }
    size_t before = rows->length;
    known_ask(database);
    enum aliases_found found = ask_targets(database, address, limit, rows);
    known = found == ALIASES_ERROR || limit <= KNOWN_MAXIMUM ? KNOWN_NOT : found == ALIASES_YES ? KNOWN_YES : KNOWN_NO;
    known_end(database, STATEMENT_ALIAS_TARGETS, address, known, text_from(buffer_text(rows), before));
    return found;
}

bool aliases_add(struct database *database, const char *address, const char *target, const char *owner, int64_t now) {
    return statement_run(database, STATEMENT_ALIAS_ADD,
                         BINDS(bind_string(address), bind_string(target), bind_string(owner), bind_time(now)));
}

bool aliases_remove(struct database *database, const char *address, const char *target, int64_t *changed) {
    bool good = target != NULL
                    ? statement_run(database, STATEMENT_ALIAS_REMOVE, BINDS(bind_string(address), bind_string(target)))
                    : statement_run(database, STATEMENT_ALIAS_REMOVE_ALL, BINDS(bind_string(address)));
    *changed = good ? statement_changes(database) : 0;
    return good;
}

/* Both strings, each with its NUL. */
static bool keep_strings(struct buffer *text, const char *subject, const char *message) {
    buffer_clear(text);
    return buffer_append_string(text, subject) && buffer_append_byte(text, '\0') &&
           buffer_append_string(text, message) && buffer_append_byte(text, '\0');
}

enum aliases_found vacations_find(struct database *database, struct text address, int64_t now, struct buffer *text,
                                  struct vacation_row *row) {
    struct sqlite3_stmt *statement =
        statement_query(database, STATEMENT_VACATION_FIND, BINDS(bind_text(address), bind_time(now)));
    enum statement_result result = statement_step(statement);
    enum aliases_found found = result == STATEMENT_ROW ? ALIASES_YES : ended(result, false);
    if (found == ALIASES_YES) {
        size_t subject_length = text_of(column_string(statement, 0)).length;
        row->days = column_integer(statement, 2);
        if (keep_strings(text, column_string(statement, 0), column_string(statement, 1))) {
            row->subject = text->data;
            row->message = text->data + subject_length + 1;
        } else {
            found = ALIASES_ERROR;
        }
    }
    statement_end(statement);
    return found;
}

enum aliases_found vacations_answered(struct database *database, struct text account, struct text correspondent,
                                      int64_t since) {
    struct sqlite3_stmt *statement = statement_query(
        database, STATEMENT_VACATION_ANSWERED, BINDS(bind_text(account), bind_text(correspondent), bind_time(since)));
    enum statement_result result = statement_step(statement);
    statement_end(statement);
    return result == STATEMENT_ROW ? ALIASES_YES : ended(result, false);
}

bool vacations_set(struct database *database, const struct vacation_setting *setting, int64_t now) {
    return statement_run(database, STATEMENT_VACATION_SET,
                         BINDS(bind_string(setting->address), bind_string(setting->subject),
                               bind_string(setting->message), bind_time(setting->starts_at),
                               bind_time(setting->ends_at), bind_integer(setting->days), bind_time(now)));
}

bool vacations_remove(struct database *database, const char *address, int64_t *changed) {
    bool good = statement_run(database, STATEMENT_VACATION_REMOVE, BINDS(bind_string(address)));
    *changed = good ? statement_changes(database) : 0;
    return good;
}
