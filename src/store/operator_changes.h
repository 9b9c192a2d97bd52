/* SPDX-License-Identifier: MIT
 * The record of what operators change: written by orders/, inside the ledger or in `parcelpost` while no server runs.
 */
#ifndef STORE_OPERATOR_CHANGES_H
#define STORE_OPERATOR_CHANGES_H
#include "store/database.h"

/* Who changed what, into operator_changes. *id 0: a new row, whose id it gets; else that row counts so many more. */
bool operator_change_record(struct database *database, uint32_t uid, const char *what, int64_t affected, int64_t now,
                            int64_t *id);
#endif
