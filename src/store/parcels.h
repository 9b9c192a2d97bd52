/* SPDX-License-Identifier: MIT
 * Rows of parcels and attempts, and journal_position: typed wrappers of their statements. Used by the spool inside its
 * transactions; false on a database error, with the reason in database_error. */
#ifndef STORE_PARCELS_H
#define STORE_PARCELS_H
#include "mail/envelope.h"
#include "mail/place.h"
#include "store/database.h"
#include "store/mails.h"

struct parcels_row {
    int64_t id, expires_at;
    bool waiting; /* queued, deferred or held */
};
struct parcels_attempt {
    const char *route, *host, *address, *tls, *reply;
    int64_t started_at, milliseconds;
};

/* The name of a recipient's state; queued for anything unknown. */
const char *parcels_state(enum recipient_status status);
bool parcels_status_is_final(enum recipient_status status);
struct parcels_fresh {
    int64_t contact_id, retry_at, expires_at, now;
    const char *words; /* its delivery_msg */
};
/* What ids rows have by now, also those that were put in by hand: before ids are told. */
bool parcels_learn_last(struct database *database);
/* An id that no row had then, and that none but the caller's is going to have. */
int64_t parcels_new_id(struct database *database);
/* One row a recipient of the envelope, in the state of its status byte; a waiting one is due at retry_at. *parcel_id:
 * of parcels_new_id, and its own whatever was put in by hand meanwhile; or 0 for any, and then what it got. */
bool parcels_add(struct database *database, const struct envelope *envelope, uint32_t recipient,
                 const struct parcels_fresh *fresh, int64_t *parcel_id);
struct parcels_refused {
    int64_t contact_id;
    struct text mail_id, from_url, to_url, reply;
    bool discarded; /* the mail was accepted, and forgotten: state "removed" */
};
bool parcels_add_refused(struct database *database, const struct parcels_refused *refused, int64_t now);
enum parcels_found parcels_find(struct database *database, const char *mail_id, uint32_t recipient,
                                struct parcels_row *row);
/* What the rows say of each of a mail's recipients, in their order; *statuses is the caller's, free() it in any case.
 */
bool parcels_statuses(struct database *database, const char *mail_id, struct mail_status **statuses, size_t *count);
/* Waiting recipients of a mail; -1 on an error. */
int64_t parcels_waiting(struct database *database, const char *mail_id);
/* A waiting recipient ends; one that has ended already stays as it is. tried: an attempt led to it. */
bool parcels_end(struct database *database, const char *mail_id, uint32_t recipient, enum recipient_status status,
                 int64_t at, struct text reply, bool tried);
struct parcels_deferral {
    int64_t at, retry_at;
    struct text reply;
    bool tried;      /* an attempt led to it */
    bool delay_told; /* its sender is told now */
};
bool parcels_defer(struct database *database, const char *mail_id, uint32_t recipient,
                   const struct parcels_deferral *deferral);
/* What an operator wants of a waiting recipient. */
enum parcel_change {
    PARCEL_HOLD,
    PARCEL_RELEASE,
    PARCEL_RETRY, /* due now */
    PARCEL_BOUNCE /* due now, for the queue runner to end it as failed with these words and a notice */
};
/* It does nothing to recipients that do not wait. words: for PARCEL_BOUNCE. */
bool parcels_change(struct database *database, const char *mail_id, uint32_t recipient, enum parcel_change change,
                    int64_t at, struct text words);
bool attempts_add(struct database *database, int64_t parcel_id, const struct parcels_attempt *attempt);
bool position_read(struct database *database, struct journal_place *place);
bool position_write(struct database *database, struct journal_place place);
#endif
