/* SPDX-License-Identifier: MIT
 * Greylisting (RFC 6647): a stranger's first try is put off, the same one again after a while is taken. Called by the
 * ledger alone, one statement a try; false on a database error. */
#ifndef STORE_GREYLIST_H
#define STORE_GREYLIST_H
#include "base/text.h"
#include "store/database.h"
struct greylist_policy { /* seconds */
    int64_t delay;       /* from the first try to one that is taken */
    int64_t window;      /* until it must have come again, else the next is a first one */
    int64_t lifetime;    /* one that was taken is taken again for so long after its last try */
};
struct greylist_try {
    struct text network, sender, recipient;
};
/* Records the try; *wait: seconds until it is taken, 0 now. */
bool greylist_check(struct database *database, const struct greylist_policy *policy, const struct greylist_try *what,
                    int64_t now, int64_t *wait);
#endif
