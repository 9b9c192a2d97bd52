/* SPDX-License-Identifier: MIT
 * What the queue runner reads: which parcels are due. Read-only. */
#ifndef STORE_SCHEDULE_H
#define STORE_SCHEDULE_H
#include "mail/mail_id.h"
#include "store/database.h"
struct schedule_parcel { /* strings borrowed until the callback returns */
    int64_t parcel_id, size, received_at, retry_at, expires_at, delayed_at /* its sender was told; 0: not */;
    const char *mail_id, *from_url, *account, *target, *to_url, *domain;
    uint32_t recipient, attempts, delivery /* enum envelope_delivery */, auto_generated;
};
typedef bool schedule_visit(void *context, const struct schedule_parcel *parcel); /* false: stop */
/* Every queued or deferred parcel with retry_at <= now, oldest first, at most limit. mail_id: only that mail, whatever
 * its retry_at (NULL for all). False on a database error. */
bool schedule_due(struct database *database, int64_t now, const char *mail_id, size_t limit, schedule_visit *visit,
                  void *context);
/* The earliest retry_at of a waiting parcel that lies after this time; CLOCK_NEVER when there is none. */
bool schedule_next(struct database *database, int64_t after, int64_t *next);
#endif
