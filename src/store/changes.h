/* SPDX-License-Identifier: MIT
 * An operator's changes of the queue, and the record of every change: used by orders/, inside the ledger or in
 * `parcelpost` while no server runs. */
#ifndef STORE_CHANGES_H
#define STORE_CHANGES_H
#include "store/spool.h"

enum changes_kind { CHANGES_HOLD, CHANGES_RELEASE, CHANGES_RETRY, CHANGES_BOUNCE, CHANGES_REMOVE };
/* Adds the change to the batch that spool_finish ends: for those recipients that it can be about (a release: the held
 * ones) among these, or among all that wait when there are none. words: the reply that CHANGES_BOUNCE gives. *affected:
 * how many it is about. SPOOL_NOTHING when there is nobody. */
enum spool_outcome changes_add(struct spool *spool, enum changes_kind kind, const char *mail_id,
                               const uint32_t *recipients, size_t count, struct text words, size_t *affected);
/* Who changed what, into operator_changes. *id 0: a new row, whose id it gets; else that row counts so many more. */
bool changes_record(struct database *database, uint32_t uid, const char *what, int64_t affected, int64_t now,
                    int64_t *id);
#endif
