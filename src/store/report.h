/* SPDX-License-Identifier: MIT
 * What `parcelpost` shows of the database: rows as texts, with the names of their columns. Read-only. */
#ifndef STORE_REPORT_H
#define STORE_REPORT_H
#include "store/database.h"
#include <stddef.h>
#define REPORT_COLUMNS_MAXIMUM 32
enum report_kind {
    REPORT_MAIL,            /* key: mail id */
    REPORT_MAIL_PARCELS,    /* key: mail id */
    REPORT_MAIL_ATTEMPTS,   /* key: mail id */
    REPORT_CONTACTS,        /* no key */
    REPORT_CONTACT,         /* key: remote_ip */
    REPORT_VIOLATIONS,      /* key: remote_ip */
    REPORT_ADDRESS,         /* key: an address, as sender or recipient */
    REPORT_FROM_CONTACT,    /* key: remote_ip */
    REPORT_STATES,          /* how many parcels in which state; no key */
    REPORT_TLS,             /* what destinations have shown of TLS; no key */
    REPORT_ALIASES,         /* no key */
    REPORT_ALIAS,           /* key: its address */
    REPORT_VACATIONS,       /* no key */
    REPORT_HOLD_RULES,      /* no key */
    REPORT_GREYLIST,        /* the latest first; no key */
    REPORT_CHANGES,         /* of operators, the latest first; no key */
    REPORT_PARCEL_ATTEMPTS, /* key: a parcel's id */
    REPORT_MAIL_VIOLATIONS, /* of its session; key: mail id */
    REPORT_DESTINATION,     /* what is remembered of it; key: a domain, "" for local mail */
    REPORT_DOMAIN_WAITING,  /* how many are deferred and held; key: a domain in lower case, as the next two */
    REPORT_DOMAIN_REASONS,  /* the answers that most of them got last */
    REPORT_DOMAIN,          /* its newest parcels */
    REPORT_AGES,            /* what waits, by age; no key, as all of the following */
    REPORT_DOMAINS,         /* of the most waiting parcels */
    REPORT_HOUR,            /* what was accepted, delivered, deferred, refused, who is locked out */
    REPORT_MINUTE,          /* the same of the last minute */
    REPORT_WAITING_NOW,     /* how many wait, by indexes alone */
    REPORT_REPLAY,          /* recipients since then, columns named as facts; key: UTC text */
    REPORT_KINDS
};
enum report_value { REPORT_TEXT, REPORT_NUMBER, REPORT_NULL };
struct report_row { /* borrowed until the visit returns */
    size_t count;
    const char *names[REPORT_COLUMNS_MAXIMUM], *values[REPORT_COLUMNS_MAXIMUM];
    enum report_value kinds[REPORT_COLUMNS_MAXIMUM];
};
typedef bool report_visit(void *context, const struct report_row *row); /* false: stop */
/* Visits every row; key: NULL for reports without one. False on a database error (database_error). */
bool report_run(struct database *database, enum report_kind kind, const char *key, report_visit *visit, void *context);
#endif
