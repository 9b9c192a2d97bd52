/* SPDX-License-Identifier: MIT
 * An operator's changes of the queue: used by orders/, inside the ledger or in `parcelpost` while no server runs. */
#ifndef SPOOL_CHANGES_H
#define SPOOL_CHANGES_H
#include "spool/spool.h"

enum changes_kind { CHANGES_HOLD, CHANGES_RELEASE, CHANGES_RETRY, CHANGES_BOUNCE, CHANGES_REMOVE };
/* Adds the change to the batch that spool_finish ends: for those recipients that it can be about (a release: the held
 * ones) among these, or among all that wait when there are none. words: the reply that CHANGES_BOUNCE gives. *affected:
 * how many it is about. SPOOL_NOTHING when there is nobody. */
enum spool_outcome changes_add(struct spool *spool, enum changes_kind kind, const char *mail_id,
                               const uint32_t *recipients, size_t count, struct text words, size_t *affected);
#endif
