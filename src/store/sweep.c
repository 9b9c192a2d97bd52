/* SPDX-License-Identifier: MIT
 * The steps of a sweep, see sweep.h. Called by the spool in the ledger. */
#include "store/sweep.h"
#include "base/log.h"
#include "store/statements.h"
#include <string.h>

#define MAILS_A_STEP 500
#define PARCELS_A_STEP 1500
#define ENDED_A_STEP 64

size_t sweep_mails(struct database *database, struct sweep *sweep, char ids[SWEEP_MAILS][MAIL_ID_SIZE]) {
    size_t count = 0, rows_seen = 0;
    if (!sweep->mails) {
        return 0;
    }
    struct sqlite3_stmt *rows =
        statement_query(database, STATEMENT_MAILS_SWEEP,
                        BINDS(bind_string(sweep->place), bind_string(sweep->mail_id), bind_integer(MAILS_A_STEP)));
    while (count < SWEEP_MAILS && statement_step(rows) == STATEMENT_ROW) {
        (void)text_copy(sweep->place, sizeof sweep->place, text_of(column_string(rows, 0)));
        (void)text_copy(sweep->mail_id, sizeof sweep->mail_id, text_of(column_string(rows, 1)));
        rows_seen++;
        if (column_integer(rows, 2) == 0) {
            memcpy(ids[count++], sweep->mail_id, MAIL_ID_SIZE);
        }
    }
    statement_end(rows);
    sweep->mails = rows_seen == MAILS_A_STEP || count == SWEEP_MAILS;
    return count;
}

void sweep_parcels(struct database *database, struct sweep *sweep, int64_t now) {
    int64_t ids[ENDED_A_STEP];
    size_t count = 0, rows_seen = 0;
    if (!sweep->parcels) {
        return;
    }
    struct sqlite3_stmt *rows =
        statement_query(database, STATEMENT_PARCELS_SWEEP,
                        BINDS(bind_string(sweep->retry_at), bind_integer(sweep->parcel), bind_integer(PARCELS_A_STEP)));
    while (count < ENDED_A_STEP && statement_step(rows) == STATEMENT_ROW) {
        (void)text_copy(sweep->retry_at, sizeof sweep->retry_at, text_of(column_string(rows, 0)));
        sweep->parcel = column_integer(rows, 1);
        rows_seen++;
        if (column_integer(rows, 2) == 0) {
            ids[count++] = sweep->parcel;
        }
    }
    statement_end(rows);
    for (size_t i = 0; i < count; i++) {
        if (!statement_run(database, STATEMENT_PARCEL_WITHOUT_MAIL, BINDS(bind_time(now), bind_integer(ids[i])))) {
            log_warn("a parcel without a message cannot be ended: %s", database_error(database));
        }
    }
    sweep->parcels = rows_seen == PARCELS_A_STEP || count == ENDED_A_STEP;
}
