/* SPDX-License-Identifier: MIT
 * See clock_shift.h. Called by the ledger between two transactions of its own. */
#include "store/clock_shift.h"
#include "store/statements.h"

static const struct shift {
    enum statement_name name;
    size_t binds;
} shifts[] = {{STATEMENT_SHIFT_PARCELS, 4},  {STATEMENT_SHIFT_HELD, 3},         {STATEMENT_SHIFT_MAILS, 4},
              {STATEMENT_SHIFT_CONTACTS, 4}, {STATEMENT_SHIFT_DESTINATIONS, 4}, {STATEMENT_SHIFT_GREYLIST, 4},
              {STATEMENT_SHIFT_LOGINS, 4}};

bool clock_shift(struct database *database, int64_t seconds, int64_t now, int64_t furthest) {
    int64_t before = now - seconds;
    const struct bind binds[] = {bind_integer(seconds), bind_time(before), bind_time(before + furthest),
                                 bind_time(before - furthest)};
    bool good = database_begin(database);
    if (!good) {
        return false;
    }
    for (size_t i = 0; good && i < sizeof shifts / sizeof shifts[0]; i++) {
        good = statement_run(database, shifts[i].name, binds, shifts[i].binds);
    }
    if (good && database_commit(database)) {
        return true;
    }
    database_rollback(database);
    return false;
}
