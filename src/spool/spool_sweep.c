/* SPDX-License-Identifier: MIT
 * After rows were edited by hand: mails whose recipients have all ended leave, parcels without a message end. Called by
 * the ledger's timer, a step at a time (store/sweep.h). Failures are logged and tried again. */
#include "spool/spool_private.h"
#include <time.h>

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

bool spool_sweep(struct spool *spool, bool anew) {
    struct sweep *sweep = &spool->sweep;
    if (anew) {
        *sweep = (struct sweep){.mails = true, .parcels = true};
    }
    if (sweep->mails || sweep->parcels) {
        spool_settle(spool); /* else there would be no step while mail comes */
    }
    if (!spool->rows_wait && spool->first == NULL) {
        char ids[SWEEP_MAILS][MAIL_ID_SIZE];
        size_t count = sweep_mails(spool->database, sweep, ids);
        for (size_t i = 0; i < count; i++) {
            add_leaver(spool, ids[i]);
        }
        sweep_parcels(spool->database, sweep, (int64_t)time(NULL));
    }
    return sweep->mails || sweep->parcels;
}
