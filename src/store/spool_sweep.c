/* SPDX-License-Identifier: MIT
 * After rows were edited by hand: mails whose recipients have all ended leave, parcels without a message end. Called by
 * the ledger's timer, a bounded step at a time that follows an index, so that a million parcels hold nobody up.
 * Failures are logged and tried again. */
#include "base/log.h"
#include "store/spool_private.h"
#include <string.h>
#include <time.h>

#define MAILS_A_STEP 500
#define PARCELS_A_STEP 1500
#define ENDED_A_STEP 64

static void add_leaver(struct spool *spool, const char *mail_id) {
    struct piece *piece = spool_piece_new(PIECE_ATTEMPT, mail_id, NULL);
    if (mails_place(spool->database, mail_id, &piece->place_kind, &piece->place) == PARCELS_YES &&
        piece->place_kind != PLACE_GONE && spool_append_gone(spool, mail_id, GONE_ENDED) == JOURNAL_OK) {
        piece->ended = piece->in_journal = true;
        spool_piece_add(spool, piece);
    } else {
        spool_piece_free(piece);
    }
}

/* True when the step ended before the last row: the cursor says where the next one goes on. */
static bool sweep_mails(struct spool *spool) {
    struct sweep *sweep = &spool->sweep;
    char ids[ENDED_A_STEP][MAIL_ID_SIZE];
    size_t count = 0, rows_seen = 0;
    struct sqlite3_stmt *rows =
        statement_query(spool->database, STATEMENT_MAILS_SWEEP,
                        BINDS(bind_string(sweep->place), bind_string(sweep->mail_id), bind_integer(MAILS_A_STEP)));
    while (count < ENDED_A_STEP && statement_step(rows) == STATEMENT_ROW) {
        (void)text_copy(sweep->place, sizeof sweep->place, text_of(column_string(rows, 0)));
        (void)text_copy(sweep->mail_id, sizeof sweep->mail_id, text_of(column_string(rows, 1)));
        rows_seen++;
        if (column_integer(rows, 2) == 0) {
            memcpy(ids[count++], sweep->mail_id, MAIL_ID_SIZE);
        }
    }
    statement_end(rows);
    for (size_t i = 0; i < count; i++) {
        add_leaver(spool, ids[i]);
    }
    return rows_seen == MAILS_A_STEP || count == ENDED_A_STEP;
}

static bool sweep_parcels(struct spool *spool) {
    struct sweep *sweep = &spool->sweep;
    int64_t ids[ENDED_A_STEP], now = (int64_t)time(NULL);
    size_t count = 0, rows_seen = 0;
    struct sqlite3_stmt *rows =
        statement_query(spool->database, STATEMENT_PARCELS_SWEEP,
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
        if (!statement_run(spool->database, STATEMENT_PARCEL_WITHOUT_MAIL,
                           BINDS(bind_time(now), bind_integer(ids[i])))) {
            log_warn("a parcel without a message cannot be ended: %s", database_error(spool->database));
        }
    }
    return rows_seen == PARCELS_A_STEP || count == ENDED_A_STEP;
}

bool spool_sweep(struct spool *spool, bool anew) {
    struct sweep *sweep = &spool->sweep;
    if (anew) {
        *sweep = (struct sweep){.mails = true, .parcels = true};
    }
    if (sweep->mails || sweep->parcels) {
        spool_settle(spool); /* else there would be no step while mail comes */
    }
    if (!spool->rows_wait && spool->first == NULL) {
        sweep->mails = sweep->mails && sweep_mails(spool);
        sweep->parcels = sweep->parcels && sweep_parcels(spool);
    }
    return sweep->mails || sweep->parcels;
}
