/* SPDX-License-Identifier: MIT
 * Opening the spool, and the end of a batch: one flush, one transaction, answers, news. Called by the ledger after each
 * round of its loop. After a failed flush every piece that needed it is answered as failed; after a good one the answer
 * is OK, and rows that SQLite refuses wait in memory. */
#include "store/spool.h"
#include "base/log.h"
#include "base/memory.h"
#include "store/spool_private.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int spool_claim(const char *queue, struct buffer *error) {
    if (mkdir(queue, 0700) != 0 && errno != EEXIST) {
        buffer_format(error, "%s: cannot be made: %s", queue, strerror(errno));
        return -1;
    }
    int claim = open(queue, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (claim >= 0 && flock(claim, LOCK_EX | LOCK_NB) == 0) {
        return claim;
    }
    if (claim >= 0 && errno == EWOULDBLOCK) {
        buffer_format(error, "%s: another server uses this queue, under another lock_file_path", queue);
    } else {
        buffer_format(error, "%s: cannot be opened and locked: %s", queue, strerror(errno));
    }
    if (claim >= 0) {
        (void)close(claim);
    }
    return -1;
}

static bool open_queue(struct spool *spool, struct buffer *error) {
    char path[PATH_MAX];
    const char *queue = spool->options.queue;
    if (!mail_files_open(&spool->files, queue, error)) {
        return false;
    }
    if (snprintf(path, sizeof path, "%s/journal", queue) >= (int)sizeof path) {
        buffer_format(error, "%s: the path is too long", queue);
        return false;
    }
    spool->journal = journal_open(path, &spool->options.limits, error);
    return spool->journal != NULL;
}

struct spool *spool_open(const struct spool_options *options, struct buffer *error) {
    struct spool *spool = memory_new(1, sizeof *spool);
    spool->options = *options;
    spool->last = &spool->first;
    spool->claim = spool_claim(options->queue, error);
    if (spool->claim >= 0) {
        spool->database = database_open(options->database, DATABASE_MAIN, DATABASE_WRITE, error);
    }
    if (spool->database != NULL && open_queue(spool, error) && spool_recover(spool, error)) {
        if (spool_read_hold_rules(spool)) {
            return spool;
        }
        buffer_format(error, "hold rules cannot be read: %s", database_error(spool->database));
    }
    spool_close(spool);
    return NULL;
}

static void forget_batch(struct spool *spool) {
    while (spool->first != NULL) {
        struct piece *piece = spool->first;
        spool->first = piece->next;
        spool_piece_free(piece);
    }
    spool->last = &spool->first;
}

void spool_close(struct spool *spool) {
    if (spool == NULL) {
        return;
    }
    forget_batch(spool);
    hold_rules_free(&spool->hold_rules);
    journal_close(spool->journal);
    database_close(spool->database);
    if (spool->claim >= 0) {
        (void)close(spool->claim);
    }
    free(spool);
}

void spool_set_options(struct spool *spool, const struct spool_options *options) {
    spool->options = *options;
    journal_set_limits(spool->journal, &options->limits);
}

struct database *spool_database(struct spool *spool) {
    return spool->database;
}

bool spool_read_hold_rules(struct spool *spool) {
    return hold_rules_read(spool->database, &spool->hold_rules);
}

const struct hold_rules *spool_hold_rules(const struct spool *spool) {
    return &spool->hold_rules;
}

struct journal *spool_journal(struct spool *spool) {
    return spool->journal;
}

bool spool_has_waiting_rows(const struct spool *spool) {
    return spool->rows_wait;
}

/* ---- pieces ---- */

struct piece *spool_piece_new(enum piece_kind kind, const char *mail_id, void *ticket) {
    struct piece *piece = memory_new(1, sizeof *piece);
    piece->kind = kind;
    piece->ticket = ticket;
    piece->at = (int64_t)time(NULL);
    (void)text_copy(piece->mail_id, sizeof piece->mail_id, text_of(mail_id));
    envelope_init(&piece->envelope);
    return piece;
}

void spool_piece_free(struct piece *piece) {
    for (size_t i = 0; piece->held_by != NULL && i < piece->envelope.recipient_count; i++) {
        free(piece->held_by[i]);
    }
    free(piece->held_by);
    envelope_free(&piece->envelope);
    for (size_t i = 0; i < piece->ending_count; i++) {
        free(piece->endings[i].reply);
    }
    free(piece->endings);
    free(piece->parcel_ids);
    free(piece->recipients);
    free(piece->words);
    free((char *)piece->destination.name.data);
    free((char *)piece->attempt.route);
    free((char *)piece->attempt.host);
    free((char *)piece->attempt.address);
    free((char *)piece->attempt.tls);
    free(piece);
}

void spool_piece_drop(struct spool *spool, struct piece *piece) {
    spool->strays = spool->strays || piece->to_file;
    spool_piece_free(piece);
}

void spool_piece_add(struct spool *spool, struct piece *piece) {
    *spool->last = piece;
    spool->last = &piece->next;
}

/* ---- the end of a batch ---- */

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
        if (!piece->in_journal) {
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
        if (!piece->mark_file || piece->ended) {
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

static void settle(struct spool *spool, const struct piece *piece) {
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

/* The rows are in, or they wait: either way what was flushed is answered. */
static void finish_rows(struct spool *spool, const struct spool_events *events) {
    bool good = spool_rows_write(spool, spool->end);
    for (struct piece *piece = spool->first; piece != NULL; piece = piece->next) {
        if (good) {
            settle(spool, piece);
        }
        answer(events, piece, SPOOL_OK);
    }
    if (!good && !spool->rows_wait) {
        log_error("the database refuses rows, which wait in memory (new mail is answered 452): %s",
                  database_error(spool->database));
    } else if (good && spool->rows_wait) {
        log_info("the database takes rows again");
    }
    spool->rows_wait = !good;
    if (!good) {
        return;
    }
    for (struct piece *piece = spool->first; piece != NULL; piece = piece->next) {
        tell_news(spool, events, piece);
    }
    forget_batch(spool);
}

void spool_finish(struct spool *spool, const struct spool_events *events) {
    if (spool->rows_wait) {
        return;
    }
    bool needs_flush = journal_has_failed(spool->journal);
    for (const struct piece *piece = spool->first; piece != NULL; piece = piece->next) {
        needs_flush = needs_flush || piece->in_journal;
    }
    if (needs_flush && !journal_finish(spool->journal)) {
        drop_unflushed(spool, events);
    }
    if (spool->first != NULL) {
        write_status_bytes(spool);
        spool->end = journal_end(spool->journal);
        finish_rows(spool, events);
    }
}

void spool_retry_rows(struct spool *spool, const struct spool_events *events) {
    if (spool->rows_wait) {
        finish_rows(spool, events);
    }
}
