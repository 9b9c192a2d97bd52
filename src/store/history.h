/* SPDX-License-Identifier: MIT
 * History is purged by age, in small steps, so that nothing waits for it. Called from the ledger's timer. */
#ifndef STORE_HISTORY_H
#define STORE_HISTORY_H
#include "store/database.h"
/* Deletes at most some hundred rows of what ended before `before`. *more: there may be others. False on an error. */
bool history_purge(struct database *database, int64_t before, bool *more);
#endif
