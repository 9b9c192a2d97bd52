/* SPDX-License-Identifier: MIT
 * The end of a batch: one flush, answers, one transaction, news. Called by the ledger after each round of its loop.
 * After a failed flush every piece that needed it is answered as failed; after a good one the answer is OK, and rows
 * that SQLite refuses wait in memory, as rows of messages do that are about to be written with those of others. */
#include "base/log.h"
#include "base/memory.h"
#include "spool/spool_private.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void answer(const struct spool_events *events, struct piece *piece, enum spool_outcome outcome) {
    if (piece->ticket != NULL && events->answer != NULL) {
        events->answer(events->context, piece->ticket, outcome);
    }
    piece->ticket = NULL;
}

/* After a failed flush: what was in the journal never happened; mail that became a file stays accepted. */
static void drop_unflushed(struct spool *spool, const struct spool_events *events) {
    struct piece **place = &spool->first;
    while (*place != NULL) {
        struct piece *piece = *place;
        if (piece->flushed || !piece->in_journal) {
            place = &piece->next;
            continue;
        }
        answer(events, piece, SPOOL_FAILED);
        *place = piece->next;
        spool_piece_drop(spool, piece);
    }
    spool->last = place;
}

/* The file's own record of who has had the message; the journal has it already. */
static void write_status_bytes(struct spool *spool) {
    for (struct piece *piece = spool->first; piece != NULL; piece = piece->next) {
        size_t count = 0;
        if (piece->flushed || !piece->mark_file || piece->ended) {
            continue;
        }
        struct mail_status *statuses = memory_new(piece->ending_count + 1, sizeof *statuses);
        for (size_t i = 0; i < piece->ending_count; i++) {
            if (piece->endings[i].status != RECIPIENT_QUEUED) {
                statuses[count++] = (struct mail_status){piece->endings[i].recipient, piece->endings[i].status};
            }
        }
        if (count > 0 && !mail_file_set_status(&spool->files, piece->mail_id, statuses, count) &&
            (errno != ENOENT || !spool->strays)) {
            log_error("%s: status bytes cannot be written: %s", piece->mail_id, strerror(errno));
        }
        free(statuses);
    }
}

static void account_for(struct spool *spool, const struct piece *piece) {
    uint64_t bytes;
    if (piece->kind == PIECE_MAIL) {
        if (piece->place_kind == PLACE_JOURNAL) {
            journal_count_open(spool->journal, piece->place.segment, 1);
        }
        return;
    }
    if (piece->place_kind == PLACE_JOURNAL && (piece->ended || piece->to_file)) {
        journal_count_open(spool->journal, piece->place.segment, -1);
    }
    if (piece->ended && (piece->place_kind == PLACE_FILE || piece->to_file || spool->strays)) {
        if (!mail_file_remove(&spool->files, piece->mail_id, &bytes)) {
            log_warn("%s: the file cannot be removed: %s", piece->mail_id, strerror(errno));
        }
        spool_file_count(spool, -(int64_t)bytes);
        spool->names_removed = true;
    }
}

static void tell_news(struct spool *spool, const struct spool_events *events, const struct piece *piece) {
    if (piece->kind == PIECE_MAIL && events->news != NULL) {
        char words[SPOOL_WORDS_SIZE];
        const struct parcels_fresh fresh = spool_fresh(spool, &piece->envelope, piece->at, words);
        struct spool_news news = {.envelope = &piece->envelope,
                                  .parcel_ids = piece->parcel_ids,
                                  .size = piece->lengths.message + piece->lengths.headers,
                                  .due_at = fresh.retry_at,
                                  .expires_at = fresh.expires_at};
        events->news(events->context, &news);
    }
}

/* ---- rows ---- */

static void forget_flushed(struct spool *spool) {
    while (spool->first != NULL && spool->first->flushed) {
        struct piece *piece = spool->first;
        spool->first = piece->next;
        spool_piece_free(piece);
    }
    spool->waiting_rows = 0;
    if (spool->first == NULL) {
        spool->last = &spool->first;
    }
}

/* The time that a row bears is from before the flush, and a lock is waited for. */
static bool are_late(const struct spool *spool) {
    int64_t now = (int64_t)time(NULL);
    for (const struct piece *piece = spool->first; piece != NULL && piece->flushed; piece = piece->next) {
        if (now - piece->at > SPOOL_ROWS_LATE) {
            return true;
        }
    }
    return false;
}

bool spool_rows_were_late(struct spool *spool) {
    bool late = spool->rows_late;
    spool->rows_late = false;
    return late;
}

/* Either way what was flushed is answered. */
static void finish_rows(struct spool *spool, const struct spool_events *events) {
    bool good = spool_rows_write(spool);
    for (struct piece *piece = spool->first; piece != NULL && piece->flushed; piece = piece->next) {
        if (good && !piece->told) {
            account_for(spool, piece);
        }
        answer(events, piece, SPOOL_OK);
    }
    if (!good && !spool->rows_wait) {
        log_error("the database refuses rows, which wait in memory (new mail is answered 452): %s",
                  database_error(spool->database));
    } else if (good && spool->rows_wait) {
        log_info("the database takes rows again");
    }
    spool->rows_late = spool->rows_late || spool->rows_wait || are_late(spool);
    spool->rows_wait = !good;
    if (!good) {
        return;
    }
    for (const struct piece *piece = spool->first; piece != NULL && piece->flushed; piece = piece->next) {
        if (!piece->told) {
            tell_news(spool, events, piece);
        }
    }
    forget_flushed(spool);
}

bool spool_is_unsettled(const struct spool *spool) {
    return spool->waiting_rows > 0 || spool->notes.count > 0;
}

void spool_settle(struct spool *spool) {
    static const struct spool_events none = {NULL, NULL, NULL}; /* unless rows_wait, all of it is told */
    if (!spool->rows_wait && spool_is_unsettled(spool)) {
        finish_rows(spool, &none);
    }
}

const struct piece *spool_find_flushed(const struct spool *spool, const char *mail_id) {
    for (const struct piece *piece = spool->first; piece != NULL && piece->flushed; piece = piece->next) {
        if (piece->kind == PIECE_MAIL && strcmp(piece->mail_id, mail_id) == 0) {
            return piece;
        }
    }
    return NULL;
}

/* ---- after the flush ---- */

/* Nobody needs the rows for that. Results are answered when they are in the rows: their asker reads these. */
static bool flushed(struct spool *spool, const struct spool_events *events) {
    bool mails_alone = true;
    for (struct piece *piece = spool->first; piece != NULL; piece = piece->next) {
        spool->waiting_rows += piece->flushed ? 0 : 1 + piece->envelope.recipient_count;
        piece->flushed = true;
        mails_alone = mails_alone && piece->kind == PIECE_MAIL;
        if (piece->kind == PIECE_MAIL) {
            answer(events, piece, SPOOL_OK);
        }
    }
    return mails_alone;
}

/* Ids that their rows are going to have. */
static bool number_parcels(struct spool *spool) {
    if (!parcels_learn_last(spool->database)) {
        return false;
    }
    for (struct piece *piece = spool->first; piece != NULL; piece = piece->next) {
        for (size_t i = 0; piece->kind == PIECE_MAIL && !piece->told && i < piece->envelope.recipient_count; i++) {
            piece->parcel_ids[i] = parcels_new_id(spool->database);
        }
    }
    return true;
}

static void tell_all(struct spool *spool, const struct spool_events *events) {
    for (struct piece *piece = spool->first; piece != NULL; piece = piece->next) {
        if (!piece->told) {
            piece->told = true;
            account_for(spool, piece);
            tell_news(spool, events, piece);
        }
    }
}

bool spool_finish(struct spool *spool, const struct spool_events *events) {
    bool needs_flush = journal_has_failed(spool->journal), more = false, good = true;
    for (const struct piece *piece = spool->first; piece != NULL; piece = piece->next) {
        needs_flush = needs_flush || (!piece->flushed && piece->in_journal);
        more = more || !piece->flushed;
    }
    if (needs_flush && !journal_finish(spool->journal)) {
        drop_unflushed(spool, events);
        good = false;
    }
    if (!more || spool->first == NULL) {
        return good;
    }
    write_status_bytes(spool);
    spool->end = journal_end(spool->journal);
    if (flushed(spool, events) && !spool->rows_wait && spool->options.rows_maximum > 0 && number_parcels(spool)) {
        tell_all(spool, events);
        if (spool->waiting_rows < spool->options.rows_maximum) {
            return good;
        }
    }
    finish_rows(spool, events);
    return good && !spool->rows_wait;
}

void spool_retry_rows(struct spool *spool, const struct spool_events *events) {
    if (spool->rows_wait) {
        finish_rows(spool, events);
    }
}
