/* SPDX-License-Identifier: MIT
 * See clock_shift.h. Called by the ledger between two transactions of its own. */
#include "store/clock_shift.h"
#include "store/statements.h"

bool clock_shift(struct database *database, int64_t seconds, int64_t now, int64_t furthest) {
    const struct bind binds[] = {bind_integer(seconds), bind_time(now - seconds), bind_time(now - seconds + furthest),
                                 bind_time(now)};
    if (!database_begin(database)) {
        return false;
    }
    if (statement_run(database, STATEMENT_SHIFT_PARCELS, binds, 4) &&
        statement_run(database, STATEMENT_SHIFT_CONTACTS, binds, 3) &&
        statement_run(database, STATEMENT_SHIFT_DESTINATIONS, binds, 3) && database_commit(database)) {
        return true;
    }
    database_rollback(database);
    return false;
}
