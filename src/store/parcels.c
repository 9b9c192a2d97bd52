/* SPDX-License-Identifier: MIT
 * Rows of mails, parcels and attempts. Called by spool*.c in the ledger, inside its transactions; errors are returned.
 */
#include "store/parcels.h"
#include <stdio.h>
#include <string.h>

static const struct {
    enum recipient_status status;
    const char *state;
    bool final;
} states[] = {
    {RECIPIENT_QUEUED, "queued", false}, {RECIPIENT_HELD, "held", false},      {RECIPIENT_DELIVERED, "delivered", true},
    {RECIPIENT_FAILED, "failed", true},  {RECIPIENT_EXPIRED, "expired", true}, {RECIPIENT_REMOVED, "removed", true},
};

const char *parcels_state(enum recipient_status status) {
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        if (states[i].status == status) {
            return states[i].state;
        }
    }
    return states[0].state;
}

bool parcels_status_is_final(enum recipient_status status) {
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        if (states[i].status == status) {
            return states[i].final;
        }
    }
    return false;
}

/* ---- mails ---- */

void place_format(enum place_kind kind, struct journal_place place, char text[PLACE_SIZE]) {
    if (kind == PLACE_JOURNAL) {
        (void)snprintf(text, PLACE_SIZE, "journal %llu %llu", (unsigned long long)place.segment,
                       (unsigned long long)place.offset);
    } else {
        (void)snprintf(text, PLACE_SIZE, "%s", kind == PLACE_FILE ? "file" : "gone");
    }
}

bool place_parse(const char *text, enum place_kind *kind, struct journal_place *place) {
    struct text rest = text_of(text), word, number;
    *place = (struct journal_place){0, 0};
    if (strcmp(text, "file") == 0 || strcmp(text, "gone") == 0) {
        *kind = text[0] == 'f' ? PLACE_FILE : PLACE_GONE;
        return true;
    }
    *kind = PLACE_JOURNAL;
    return text_split(&rest, ' ', &word) && text_equal(word, TEXT("journal")) && text_split(&rest, ' ', &number) &&
           text_number(number, INT64_MAX, &place->segment) && text_number(rest, INT64_MAX, &place->offset);
}

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

static struct bind bind_contact(int64_t contact_id) {
    return contact_id > 0 ? bind_integer(contact_id) : bind_string(NULL);
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

/* ---- parcels ---- */

#define DOMAIN_SIZE 512

/* In lower case, so that one domain is one run of the index. */
static struct text domain_of(const char *address, char domain[DOMAIN_SIZE]) {
    const char *at = strrchr(address, '@');
    (void)text_copy(domain, DOMAIN_SIZE, at != NULL ? text_of(at + 1) : TEXT_NONE);
    text_lower(domain);
    return text_of(domain);
}

/* Only the ledger adds rows, so what it knows holds; but for what an operator puts in by hand. */
static bool learn_last(struct database *database) {
    struct sqlite3_stmt *statement = statement_query(database, STATEMENT_PARCELS_LAST, BINDS_NONE);
    bool good = statement_step(statement) == STATEMENT_ROW;
    int64_t last = good ? column_integer(statement, 0) : 0;
    statement_end(statement);
    database->last_parcel = last > database->last_parcel ? last : database->last_parcel;
    database->parcels_known = database->parcels_known || good;
    return good;
}

bool parcels_new_id(struct database *database, int64_t *parcel_id) {
    if (!database->parcels_known && !learn_last(database)) {
        return false;
    }
    *parcel_id = ++database->last_parcel;
    return true;
}

#define ADD_BINDS 17

static bool add_row(struct database *database, struct bind binds[ADD_BINDS], int64_t *parcel_id) {
    binds[ADD_BINDS - 1] = bind_integer(*parcel_id);
    bool good = statement_run(database, STATEMENT_PARCEL_ADD, binds, ADD_BINDS);
    if (!good && *parcel_id != 0 && database_refused_value(database) && learn_last(database)) {
        /* somebody put in a row with this id: one that nobody else has been told */
        binds[ADD_BINDS - 1] = bind_integer(database->last_parcel + 1);
        good = statement_run(database, STATEMENT_PARCEL_ADD, binds, ADD_BINDS);
    }
    if (good) { /* else it is tried again with the id that was told */
        *parcel_id = statement_row_id(database);
        database->last_parcel = *parcel_id > database->last_parcel ? *parcel_id : database->last_parcel;
    }
    return good;
}

bool parcels_add(struct database *database, const struct envelope *envelope, uint32_t recipient,
                 const struct parcels_fresh *fresh, int64_t *parcel_id) {
    const struct envelope_recipient *to = &envelope->recipients[recipient];
    bool final = parcels_status_is_final(to->status);
    char domain[DOMAIN_SIZE];
    struct bind binds[ADD_BINDS] = {bind_contact(fresh->contact_id),
                                    bind_string(envelope->mail_id),
                                    bind_integer(recipient),
                                    bind_string(to->sender[0] != '\0' ? to->sender : envelope->from_url),
                                    bind_string(to->to_url),
                                    bind_string(to->target),
                                    bind_text(domain_of(to->target, domain)),
                                    bind_string(envelope_delivery_name(to->delivery)),
                                    bind_string(parcels_state(to->status)),
                                    bind_time(final ? fresh->now : 0),
                                    bind_string(fresh->words),
                                    bind_time(final ? 0 : fresh->retry_at),
                                    bind_time(fresh->expires_at),
                                    bind_string(to->notify),
                                    bind_string(to->orcpt),
                                    bind_time(fresh->now)};
    return add_row(database, binds, parcel_id);
}

bool parcels_add_refused(struct database *database, const struct parcels_refused *refused, int64_t now) {
    char address[DOMAIN_SIZE], domain[DOMAIN_SIZE];
    int64_t id;
    (void)text_copy(address, sizeof address, refused->to_url);
    struct bind binds[ADD_BINDS] = {bind_contact(refused->contact_id),
                                    bind_text(refused->mail_id),
                                    bind_integer(-1),
                                    bind_text(refused->from_url),
                                    bind_text(refused->to_url),
                                    bind_text(refused->to_url),
                                    bind_text(domain_of(address, domain)),
                                    bind_string("none"),
                                    bind_string(refused->discarded ? "removed" : "refused"),
                                    bind_time(now),
                                    bind_text(refused->reply),
                                    bind_time(0),
                                    bind_time(0),
                                    bind_string(""),
                                    bind_string(""),
                                    bind_time(now)};
    return parcels_new_id(database, &id) && add_row(database, binds, &id);
}

enum parcels_found parcels_find(struct database *database, const char *mail_id, uint32_t recipient,
                                struct parcels_row *row) {
    struct sqlite3_stmt *statement =
        statement_query(database, STATEMENT_PARCEL_FIND, BINDS(bind_string(mail_id), bind_integer(recipient)));
    enum statement_result result = statement_step(statement);
    if (result == STATEMENT_ROW) {
        const char *state = column_string(statement, 1);
        *row = (struct parcels_row){.id = column_integer(statement, 0), .expires_at = column_time(statement, 2)};
        row->waiting = strcmp(state, "queued") == 0 || strcmp(state, "deferred") == 0 || strcmp(state, "held") == 0;
    }
    statement_end(statement);
    return result == STATEMENT_ROW ? PARCELS_YES : result == STATEMENT_DONE ? PARCELS_NO : PARCELS_ERROR;
}

int64_t parcels_waiting(struct database *database, const char *mail_id) {
    struct sqlite3_stmt *statement = statement_query(database, STATEMENT_PARCELS_WAITING, BINDS(bind_string(mail_id)));
    int64_t count = statement_step(statement) == STATEMENT_ROW ? column_integer(statement, 0) : -1;
    statement_end(statement);
    return count;
}

bool parcels_end(struct database *database, const char *mail_id, uint32_t recipient, enum recipient_status status,
                 int64_t at, struct text reply, bool tried) {
    return statement_run(database, STATEMENT_PARCEL_END,
                         BINDS(bind_string(mail_id), bind_integer(recipient), bind_string(parcels_state(status)),
                               bind_time(at), bind_text(reply), bind_integer(tried)));
}

bool parcels_defer(struct database *database, const char *mail_id, uint32_t recipient,
                   const struct parcels_deferral *deferral) {
    return statement_run(database, STATEMENT_PARCEL_DEFER,
                         BINDS(bind_string(mail_id), bind_integer(recipient), bind_time(deferral->at),
                               bind_text(deferral->reply), bind_time(deferral->retry_at), bind_integer(deferral->tried),
                               bind_integer(deferral->delay_told)));
}

bool parcels_change(struct database *database, const char *mail_id, uint32_t recipient, enum spool_change_kind change,
                    int64_t at, struct text words) {
    static const enum statement_name names[] = {[SPOOL_HOLD] = STATEMENT_PARCEL_HOLD,
                                                [SPOOL_RELEASE] = STATEMENT_PARCEL_RELEASE,
                                                [SPOOL_RETRY] = STATEMENT_PARCEL_RETRY};
    if (change == SPOOL_BOUNCE) {
        return statement_run(database, STATEMENT_PARCEL_BOUNCE,
                             BINDS(bind_string(mail_id), bind_integer(recipient), bind_time(at), bind_text(words)));
    }
    return statement_run(database, names[change], BINDS(bind_string(mail_id), bind_integer(recipient), bind_time(at)));
}

bool attempts_add(struct database *database, int64_t parcel_id, const struct parcels_attempt *attempt) {
    return statement_run(database, STATEMENT_ATTEMPT_ADD,
                         BINDS(bind_integer(parcel_id), bind_time(attempt->started_at), bind_string(attempt->route),
                               bind_string(attempt->host), bind_string(attempt->address), bind_string(attempt->tls),
                               bind_string(attempt->reply), bind_integer(attempt->milliseconds)));
}

/* ---- journal_position ---- */

bool position_read(struct database *database, struct journal_place *place) {
    struct sqlite3_stmt *statement = statement_query(database, STATEMENT_POSITION_READ, BINDS_NONE);
    bool good = statement_step(statement) == STATEMENT_ROW;
    if (good) {
        *place = (struct journal_place){(uint64_t)column_integer(statement, 0), (uint64_t)column_integer(statement, 1)};
    }
    statement_end(statement);
    return good;
}

bool position_write(struct database *database, struct journal_place place) {
    return statement_run(database, STATEMENT_POSITION_WRITE,
                         BINDS(bind_integer((int64_t)place.segment), bind_integer((int64_t)place.offset)));
}
