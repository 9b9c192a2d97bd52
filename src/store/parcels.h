/* SPDX-License-Identifier: MIT
 * Rows of mails, parcels and attempts, and journal_position: typed wrappers of their statements. Used by spool*.c
 * inside its transactions; false on a database error, with the reason in database_error. */
#ifndef STORE_PARCELS_H
#define STORE_PARCELS_H
#include "mail/envelope.h"
#include "store/spool.h"
#include "store/statements.h"

#define PLACE_SIZE 64
enum parcels_found { PARCELS_YES, PARCELS_NO, PARCELS_ERROR };
struct parcels_row {
    int64_t id, expires_at;
    bool waiting; /* queued, deferred or held */
};
struct parcels_attempt {
    const char *route, *host, *address, *tls, *reply;
    int64_t started_at, milliseconds;
};
enum place_kind { PLACE_JOURNAL, PLACE_FILE, PLACE_GONE };

/* mails.place: where a message lies. */
void place_format(enum place_kind kind, struct journal_place place, char text[PLACE_SIZE]);
bool place_parse(const char *text, enum place_kind *kind, struct journal_place *place);
enum parcels_found mails_place(struct database *database, const char *mail_id, enum place_kind *kind,
                               struct journal_place *place);
bool mails_set_place(struct database *database, const char *mail_id, enum place_kind kind, struct journal_place place);
bool mails_add(struct database *database, const struct envelope *envelope, int64_t contact_id, enum place_kind kind,
               struct journal_place place, uint64_t size);
/* The name of a recipient's state; queued for anything unknown. */
const char *parcels_state(enum recipient_status status);
bool parcels_status_is_final(enum recipient_status status);
struct parcels_fresh {
    int64_t contact_id, retry_at, expires_at, now;
    const char *words; /* its delivery_msg */
};
/* An id that no row has, and that none but the caller's is going to have. */
bool parcels_new_id(struct database *database, int64_t *parcel_id);
/* One row a recipient of the envelope, in the state of its status byte; a waiting one is due at retry_at. *parcel_id:
 * of parcels_new_id, or 0 for any; the row's own afterwards. */
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
/* What an operator wants of a waiting recipient; it does nothing to others. words: for SPOOL_BOUNCE. */
bool parcels_change(struct database *database, const char *mail_id, uint32_t recipient, enum spool_change_kind change,
                    int64_t at, struct text words);
bool attempts_add(struct database *database, int64_t parcel_id, const struct parcels_attempt *attempt);
bool position_read(struct database *database, struct journal_place *place);
bool position_write(struct database *database, struct journal_place place);
#endif
