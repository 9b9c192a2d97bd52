/* SPDX-License-Identifier: MIT
 * Rows of greylist, see greylist.h. Runs in the ledger; a row is found by the index of its three columns, however many
 * there are, and history.c takes away what has expired. */
#include "store/greylist.h"
#include "store/statements.h"

bool greylist_check(struct database *database, const struct greylist_policy *policy, const struct greylist_try *what,
                    int64_t now, int64_t *wait) {
    struct sqlite3_stmt *row = statement_query(
        database, STATEMENT_GREYLIST_TRY,
        BINDS(bind_text(what->network), bind_text(what->sender), bind_text(what->recipient), bind_time(now),
              bind_time(now - policy->delay), bind_time(now + policy->window), bind_time(now + policy->lifetime)));
    bool good = statement_step(row) == STATEMENT_ROW;
    if (good) {
        int64_t left = column_time(row, 0) + policy->delay - now;
        bool passed = column_time(row, 1) != 0;
        *wait = passed ? 0 : left > 0 ? left : 1;
        good = statement_step(row) == STATEMENT_DONE;
    }
    statement_end(row);
    return good;
}
