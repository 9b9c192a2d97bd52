/* SPDX-License-Identifier: MIT
 * Lists of parcels by what an operator asks for. Read-only; each list uses an index for what it names, so that one
 * domain of a million parcels is found at once. */
#ifndef STORE_REPORT_PARCELS_H
#define STORE_REPORT_PARCELS_H
#include "store/report.h"

#define REPORT_WAITING ",queued,deferred,held,"
struct report_filter { /* NULL and 0: any */
    const char *mail_id;
    const char *sender, *recipient; /* addresses, perhaps with '*' for any run of bytes; "" is <> */
    const char *domain;             /* of a recipient, as above */
    const char *reason;             /* a part of the last answer */
    int64_t before, after;          /* came at or before, came after; seconds since 1970 */
    const char *states;             /* ",queued,held,"; NULL: REPORT_WAITING */
    int64_t limit;                  /* rows at most; 0: all */
};
/* Columns: mail_id, state, size, received_at, retry_at, attempts, from_url, to_url, delivery_msg, parcel, recipient,
 * target, domain, delivery, delivery_at, expires_at, created_at. What waits comes in the order of its next attempt;
 * with an ended state among them, the newest come first. False on a database error. */
bool report_parcels(struct database *database, const struct report_filter *filter, int64_t now, report_visit *visit,
                    void *context);
#endif
