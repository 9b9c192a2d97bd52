/* SPDX-License-Identifier: MIT
 * Housekeeping of the spool, a little at a time from the ledger's timer: old mails move out of a segment that only they
 * keep from being reused; and `queue rebuild`. Failures are logged and tried again. */
#include "base/file.h"
#include "base/log.h"
#include "spool/spool_private.h"
#include "store/report.h"
#include "store/settings.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define UNPIN_AT_ONCE 16

static void add_mover(struct spool *spool, const char *mail_id) {
    struct piece *piece = spool_piece_new(PIECE_ATTEMPT, mail_id, NULL);
    if (mails_place(spool->database, mail_id, &piece->place_kind, &piece->place) == PARCELS_YES &&
        piece->place_kind == PLACE_JOURNAL && (piece->to_file = spool_file_from_journal(spool, piece)) &&
        spool_append_gone(spool, mail_id, GONE_TO_FILE) == JOURNAL_OK) {
        piece->in_journal = true;
        spool_piece_add(spool, piece);
    } else {
        spool_piece_drop(spool, piece);
    }
}

struct pinned { /* who lies in that segment */
    uint64_t segment;
    char ids[UNPIN_AT_ONCE][MAIL_ID_SIZE];
    size_t count;
};

static bool find_pinned(void *context, const char *mail_id, struct journal_place place) {
    struct pinned *pinned = context;
    if (place.segment == pinned->segment) {
        pinned->count += text_copy(pinned->ids[pinned->count], MAIL_ID_SIZE, text_of(mail_id));
    }
    return pinned->count < UNPIN_AT_ONCE;
}

void spool_unpin(struct spool *spool) {
    struct pinned pinned = {.segment = journal_pinned(spool->journal)};
    if (pinned.segment != 0) {
        spool_settle(spool);
    }
    if (pinned.segment == 0 || spool->rows_wait || spool->first != NULL) {
        return;
    }
    (void)mails_in_journal(spool->database, find_pinned, &pinned);
    for (size_t i = 0; i < pinned.count; i++) {
        add_mover(spool, pinned.ids[i]);
    }
}

/* ---- rebuilding ---- */

static bool move_aside(const char *path, const char *suffix, struct buffer *report) {
    char from[PATH_MAX], to[PATH_MAX];
    if (snprintf(from, sizeof from, "%s%s", path, suffix) >= (int)sizeof from ||
        snprintf(to, sizeof to, "%s.before-rebuild%s", path, suffix) >= (int)sizeof to) {
        buffer_format(report, "%s: the path is too long\n", path);
        return false;
    }
    if (rename(from, to) == 0 || errno == ENOENT) {
        return true;
    }
    buffer_format(report, "%s: cannot be moved aside: %s\n", from, strerror(errno));
    return false;
}

static bool tell_state(void *context, const struct report_row *row) {
    buffer_format(context, "%s %s\n", row->values[1], row->values[0]);
    return true;
}

static bool rebuild_rows(const struct spool_options *options, struct buffer *report) {
    char path[PATH_MAX], former[PATH_MAX];
    struct spool spool = {.options = *options};
    spool.last = &spool.first;
    spool.database = database_open(options->database, DATABASE_MAIN, DATABASE_WRITE, report);
    (void)snprintf(path, sizeof path, "%s/journal", options->queue);
    (void)snprintf(former, sizeof former, "%s.before-rebuild", options->database);
    if (spool.database != NULL) {
        settings_keep(spool.database, former, report);
    }
    bool good = spool.database != NULL && mail_files_open(&spool.files, options->queue, report) &&
                (spool.journal = journal_open(path, &options->limits, report)) != NULL &&
                spool_recover_rows(&spool, true, report);
    if (good) {
        (void)report_run(spool.database, REPORT_STATES, NULL, tell_state, report);
    }
    journal_close(spool.journal);
    database_close(spool.database);
    return good;
}

bool spool_rebuild(const struct spool_options *options, struct buffer *report) {
    int claim = spool_claim(options->queue, report);
    bool good = claim >= 0 && move_aside(options->database, "", report) &&
                move_aside(options->database, "-wal", report) && move_aside(options->database, "-shm", report) &&
                rebuild_rows(options, report);
    if (claim >= 0) {
        (void)close(claim);
    }
    return good;
}
