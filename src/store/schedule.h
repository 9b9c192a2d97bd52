/* SPDX-License-Identifier: MIT
 * What the queue runner reads: which parcels are due. Read-only; each reading follows an index and is bounded, so that
 * what is not due costs nothing. */
#ifndef STORE_SCHEDULE_H
#define STORE_SCHEDULE_H
#include "base/text.h"
#include "mail/mail_id.h"
#include "store/database.h"
struct schedule_parcel { /* strings borrowed until the callback returns */
    int64_t parcel_id, retry_at, expires_at, delayed_at /* its sender was told; 0: not */;
    const char *mail_id, *from_url, *target, *to_url, *domain;
    const char *bounce; /* an operator's words: it is to end with them; "" */
    uint32_t recipient, attempts, delivery /* enum envelope_delivery */;
    /* of its mail: filled by schedule_facts */
    int64_t size, received_at;
    const char *account;
    uint32_t auto_generated;
};
typedef bool schedule_visit(void *context, struct schedule_parcel *parcel); /* false: stop */
enum schedule_choice {
    SCHEDULE_ALL,
    SCHEDULE_DOMAIN, /* this domain's, found among all that are due */
    SCHEDULE_LOCAL,  /* with local delivery */
    SCHEDULE_WAITING /* this domain's that have been deferred: by their own index, also when they are not due for long
                      */
};
struct schedule_query {
    enum schedule_choice choice;
    int64_t from, until; /* retry_at: both included; queued or deferred */
    int64_t after_id;    /* SCHEDULE_ALL: of those with retry_at = from only the ids after this one */
    struct text domain;  /* in lower case */
    size_t limit;
};
/* Visits the oldest first. False on a database error. */
bool schedule_due(struct database *database, const struct schedule_query *query, schedule_visit *visit, void *context);
/* The queued and deferred parcels of a mail, whatever their time. */
bool schedule_mail(struct database *database, const char *mail_id, size_t limit, schedule_visit *visit, void *context);
enum schedule_found { SCHEDULE_FOUND, SCHEDULE_NO_MAIL, SCHEDULE_ERROR };
/* Fills in what its mail knows. The strings last until the next call. */
enum schedule_found schedule_facts(struct database *database, struct schedule_parcel *parcel);
/* Whether this parcel still waits; true on an error: then nothing is known to have changed. */
bool schedule_waits(struct database *database, int64_t parcel_id);
/* The earliest retry_at of a waiting parcel that lies after this time; CLOCK_NEVER when there is none. */
bool schedule_next(struct database *database, int64_t after, int64_t *next);
#endif
