/* SPDX-License-Identifier: MIT
 * The purge by age. Called from the ledger's timer; each step is one short transaction of one table; errors are
 * returned. What still waits is never touched, however old. */
#include "store/history.h"
#include "store/statements.h"

#define ROWS_AT_ONCE 200

bool history_purge(struct database *database, int64_t before, bool *more) {
    static const enum statement_name steps[] = {STATEMENT_PURGE_VIOLATIONS, STATEMENT_PURGE_ATTEMPTS,
                                                STATEMENT_PURGE_PARCELS, STATEMENT_PURGE_MAILS,
                                                STATEMENT_PURGE_CONTACTS};
    *more = false;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (!statement_run(database, steps[i], BINDS(bind_time(before), bind_integer(ROWS_AT_ONCE)))) {
            return false;
        }
        *more = *more || statement_changes(database) == ROWS_AT_ONCE;
    }
    return true;
}
