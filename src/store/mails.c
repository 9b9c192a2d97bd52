/* SPDX-License-Identifier: MIT
 * Rows of mails. Called by the spool inside its transactions; errors are returned. */
#include "store/mails.h"
#include "store/statements.h"

enum parcels_found mails_place(struct database *database, const char *mail_id, enum place_kind *kind,
                               struct journal_place *place) {
    struct sqlite3_stmt *statement = statement_query(database, STATEMENT_MAIL_PLACE, BINDS(bind_string(mail_id)));
    enum statement_result result = statement_step(statement);
    enum parcels_found found = result == STATEMENT_DONE ? PARCELS_NO : PARCELS_ERROR;
    if (result == STATEMENT_ROW && place_parse(column_string(statement, 0), kind, place)) {
        found = PARCELS_YES;
    }
    statement_end(statement);
    return found;
}

bool mails_set_place(struct database *database, const char *mail_id, enum place_kind kind, struct journal_place place) {
    char text[PLACE_SIZE];
    place_format(kind, place, text);
    return statement_run(database, STATEMENT_MAIL_SET_PLACE, BINDS(bind_string(mail_id), bind_string(text)));
}

bool mails_add(struct database *database, const struct envelope *envelope, int64_t contact_id, enum place_kind kind,
               struct journal_place place, uint64_t size) {
    char text[PLACE_SIZE];
    place_format(kind, place, text);
    return statement_run(
        database, STATEMENT_MAIL_ADD,
        BINDS(bind_string(envelope->mail_id), bind_contact(contact_id), bind_string(text),
              bind_time(envelope->received_at), bind_integer((int64_t)size), bind_string(envelope->role),
              bind_integer(envelope->local_port), bind_string(envelope->remote_ip), bind_string(envelope->remote_name),
              bind_string(envelope->ehlo), bind_string(envelope->from_url), bind_string(envelope->protocol),
              bind_string(envelope->tls), bind_string(envelope->account), bind_string(envelope->verdicts),
              bind_string(envelope->message_id), bind_integer(envelope->auto_generated),
              bind_time(envelope->hold_until), bind_string(envelope->reverse), bind_string(envelope->listed_in),
              bind_string(envelope->dnsbl_score)));
}

bool mails_in_journal(struct database *database, mails_journal_visit *visit, void *context) {
    struct sqlite3_stmt *rows = statement_query(database, STATEMENT_MAILS_IN_JOURNAL, BINDS_NONE);
    enum statement_result result = STATEMENT_DONE;
    bool more = true;
    while (more && (result = statement_step(rows)) == STATEMENT_ROW) {
        enum place_kind kind;
        struct journal_place place;
        if (place_parse(column_string(rows, 1), &kind, &place) && kind == PLACE_JOURNAL) {
            more = visit(context, column_string(rows, 0), place);
        }
    }
    statement_end(rows);
    return !more || result == STATEMENT_DONE;
}

bool mails_in_files(struct database *database, void (*visit)(void *context, const char *mail_id), void *context) {
    struct sqlite3_stmt *rows = statement_query(database, STATEMENT_MAILS_IN_FILES, BINDS_NONE);
    enum statement_result result;
    while ((result = statement_step(rows)) == STATEMENT_ROW) {
        visit(context, column_string(rows, 0));
    }
    statement_end(rows);
    return result == STATEMENT_DONE;
}
