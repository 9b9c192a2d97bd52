/* SPDX-License-Identifier: MIT
 * History is purged by age, in small steps, so that nothing waits for it. Called from the ledger's timer. */
#ifndef STORE_HISTORY_H
#define STORE_HISTORY_H
#include "store/database.h"
struct history {
    int64_t now;        /* what says itself when it expires goes; seconds since 1970 */
    int64_t before;     /* what ended earlier goes */
    int64_t tls_before; /* and what destinations showed of TLS only then */
    int64_t contact;    /* the contacts up to here have been looked at; 0 at first */
};
/* Deletes at most some hundred rows of each table. *more: there may be others. False on an error. */
bool history_purge(struct database *database, struct history *history, bool *more);
#endif
