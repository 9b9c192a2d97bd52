/* SPDX-License-Identifier: MIT
 * Rows of parcels and attempts. Called by the spool in the ledger, inside its transactions; errors are returned. */
#include "store/parcels.h"
#include "base/memory.h"
#include "store/statements.h"
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

static enum recipient_status status_of(const char *state) {
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        if (strcmp(state, states[i].state) == 0) {
            return states[i].status;
        }
    }
    return RECIPIENT_QUEUED; /* "deferred" */
}

#define DOMAIN_SIZE 512

/* In lower case, so that one domain is one run of the index. */
static struct text domain_of(const char *address, char domain[DOMAIN_SIZE]) {
    const char *at = strrchr(address, '@');
    (void)text_copy(domain, DOMAIN_SIZE, at != NULL ? text_of(at + 1) : TEXT_NONE);
    text_lower(domain);
    return text_of(domain);
}

bool parcels_learn_last(struct database *database) {
    struct sqlite3_stmt *statement = statement_query(database, STATEMENT_PARCELS_LAST, BINDS_NONE);
    bool good = statement_step(statement) == STATEMENT_ROW;
    int64_t last = good ? column_integer(statement, 0) : 0;
    statement_end(statement);
    database->last_parcel = last > database->last_parcel ? last : database->last_parcel;
    return good;
}

int64_t parcels_new_id(struct database *database) {
    return ++database->last_parcel;
}

/* A row that somebody has put in by hand since the id was told: nobody else knows that one by it. */
static bool move_away(struct database *database, int64_t parcel_id) {
    return parcels_learn_last(database) &&
           statement_run(database, STATEMENT_PARCEL_MOVE,
                         BINDS(bind_integer(parcel_id), bind_integer(parcels_new_id(database))));
}

#define ADD_BINDS 17

static bool add_row(struct database *database, struct bind binds[ADD_BINDS], int64_t *parcel_id) {
    binds[ADD_BINDS - 1] = bind_integer(*parcel_id);
    bool good = statement_run(database, STATEMENT_PARCEL_ADD, binds, ADD_BINDS);
    if (!good && *parcel_id != 0 && database_refused_value(database) && move_away(database, *parcel_id)) {
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
    if (!parcels_learn_last(database)) {
        return false;
    }
    id = parcels_new_id(database);
    return add_row(database, binds, &id);
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

bool parcels_change(struct database *database, const char *mail_id, uint32_t recipient, enum parcel_change change,
                    int64_t at, struct text words) {
    static const enum statement_name names[] = {[PARCEL_HOLD] = STATEMENT_PARCEL_HOLD,
                                                [PARCEL_RELEASE] = STATEMENT_PARCEL_RELEASE,
                                                [PARCEL_RETRY] = STATEMENT_PARCEL_RETRY};
    if (change == PARCEL_BOUNCE) {
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

bool parcels_statuses(struct database *database, const char *mail_id, struct mail_status **statuses, size_t *count) {
    struct sqlite3_stmt *rows = statement_query(database, STATEMENT_PARCELS_OF_MAIL, BINDS(bind_string(mail_id)));
    enum statement_result result;
    size_t room = 0;
    *statuses = NULL;
    *count = 0;
    while ((result = statement_step(rows)) == STATEMENT_ROW) {
        if (*count == room) {
            room = room ? room * 2 : 16;
            *statuses = memory_resize(*statuses, room, sizeof **statuses);
        }
        (*statuses)[(*count)++] =
            (struct mail_status){(uint32_t)column_integer(rows, 1), status_of(column_string(rows, 2))};
    }
    statement_end(rows);
    return result == STATEMENT_DONE;
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
