/* SPDX-License-Identifier: MIT
 * Opening the spool, and the pieces of its batch, which spool_batch.c ends. Called by the ledger and, while none runs,
 * by `parcelpost`; what cannot be opened is said in a sentence. */
#include "spool/spool.h"
#include "base/memory.h"
#include "spool/spool_private.h"
#include "store/clock_shift.h"
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
        if (spool_read_hold_rules(spool) && clock_shift_learn(spool->database)) {
            return spool;
        }
        buffer_format(error, "hold rules, or a move of rows, cannot be read: %s", database_error(spool->database));
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
