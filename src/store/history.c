/* SPDX-License-Identifier: MIT
 * The purge by age. Called from the ledger's timer; each step is one short transaction of one table; errors are
 * returned. What still waits is never touched, however old. */
#include "store/history.h"
#include "store/statements.h"

#define ROWS_AT_ONCE 200
#define CONTACTS_AT_ONCE 2000 /* looked at: they have no index by age, which each connection would pay for */

static bool purge_contacts(struct database *database, struct history *history, bool *more) {
    int64_t upto = history->contact + CONTACTS_AT_ONCE;
    struct sqlite3_stmt *row = statement_query(database, STATEMENT_CONTACTS_LAST, BINDS_NONE);
    bool good = statement_step(row) == STATEMENT_ROW;
    int64_t last = good ? column_integer(row, 0) : 0;
    statement_end(row);
    good = good && statement_run(database, STATEMENT_PURGE_CONTACTS,
                                 BINDS(bind_time(history->before), bind_integer(history->contact), bind_integer(upto)));
    *more = *more || (good && upto < last);
    history->contact = good && upto < last ? upto : 0;
    return good;
}

bool history_purge(struct database *database, struct history *history, bool *more) {
    const struct {
        enum statement_name statement;
        size_t count;
        struct bind binds[3];
    } steps[] = {
        {STATEMENT_PURGE_VIOLATIONS, 2, {bind_time(history->before), bind_integer(ROWS_AT_ONCE)}},
        {STATEMENT_PURGE_ATTEMPTS, 2, {bind_time(history->before), bind_integer(ROWS_AT_ONCE)}},
        {STATEMENT_PURGE_PARCELS, 2, {bind_time(history->before), bind_integer(ROWS_AT_ONCE)}},
        {STATEMENT_PURGE_MAILS, 2, {bind_time(history->before), bind_integer(ROWS_AT_ONCE)}},
        {STATEMENT_PURGE_DESTINATIONS,
         3,
         {bind_time(history->before), bind_integer(ROWS_AT_ONCE), bind_time(history->tls_before)}},
        {STATEMENT_PURGE_GREYLIST, 2, {bind_time(history->now), bind_integer(ROWS_AT_ONCE)}},
        {STATEMENT_PURGE_LOGINS, 2, {bind_time(history->before), bind_integer(ROWS_AT_ONCE)}},
    };
    *more = false;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (!statement_run(database, steps[i].statement, steps[i].binds, steps[i].count)) {
            return false;
        }
        *more = *more || statement_changes(database) == ROWS_AT_ONCE;
    }
    return purge_contacts(database, history, more);
}
