/* SPDX-License-Identifier: MIT
 * An operator's changes of the queue: used by the ledger, and by `parcelpost` while no daemon runs. */
#ifndef STORE_CHANGES_H
#define STORE_CHANGES_H
#include "store/spool.h"

enum changes_kind { CHANGES_REMOVE, CHANGES_HOLD, CHANGES_RELEASE };
/* Waiting parcels of this mail, or of all with NULL, are due now; held ones are not touched. */
bool changes_retry(struct database *database, const char *mail_id, int64_t now, int64_t *changed);
/* Adds the change to the batch that spool_finish ends. *count: recipients it is about. */
enum spool_outcome changes_add(struct spool *spool, const char *mail_id, enum changes_kind kind, size_t *count);
/* Who changed what, into operator_changes. */
bool changes_record(struct database *database, uint32_t uid, const char *verb, const char *argument, int64_t now);
#endif
