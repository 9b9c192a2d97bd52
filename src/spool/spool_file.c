/* SPDX-License-Identifier: MIT
 * Mail comes to rest: from the journal into queue/mail/ID, with the status bytes of recipients that have ended. Called
 * by spool_attempt.c in the ledger. A mail that cannot be moved stays in the journal, which is as safe. */
#include "base/log.h"
#include "base/memory.h"
#include "spool/spool_private.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void spool_file_count(struct spool *spool, int64_t bytes) {
    int64_t sum = (int64_t)spool->file_bytes + bytes;
    spool->file_bytes = sum < 0 ? 0 : (uint64_t)sum;
    journal_set_file_bytes(spool->journal, spool->file_bytes);
}

/* What the rows say, then what this batch adds. Pieces of a batch that is not flushed yet count too: were the flush to
 * fail, the file would say that a delivered recipient has ended, which is true. */
static bool set_status_bytes(struct spool *spool, const struct piece *piece, const struct envelope *envelope,
                             char *text) {
    struct mail_status *statuses;
    size_t count;
    bool good = parcels_statuses(spool->database, piece->mail_id, &statuses, &count);
    if (!good) {
        log_error("%s: its recipients cannot be read: %s", piece->mail_id, database_error(spool->database));
        errno = EIO;
    }
    for (size_t i = 0; i < count; i++) {
        enum recipient_status status = statuses[i].status;
        if (spool_piece_has(piece, statuses[i].recipient) && !parcels_status_is_final(status)) {
            status = RECIPIENT_HELD; /* a mail moves for a hold alone */
        }
        if (statuses[i].recipient < envelope->recipient_count) {
            text[envelope->recipients[statuses[i].recipient].status_offset] = (char)status;
        }
    }
    free(statuses);
    return good;
}

static void set_batch_bytes(const struct piece *pieces, const char *mail_id, const struct envelope *envelope,
                            char *text) {
    for (const struct piece *piece = pieces; piece != NULL; piece = piece->next) {
        for (size_t i = 0; strcmp(piece->mail_id, mail_id) == 0 && i < piece->ending_count; i++) {
            const struct piece_ending *ending = &piece->endings[i];
            if (ending->status == RECIPIENT_DELIVERED && ending->recipient < envelope->recipient_count) {
                text[envelope->recipients[ending->recipient].status_offset] = (char)ending->status;
            }
        }
    }
}

static bool write_file(struct spool *spool, struct piece *piece, const struct cargo_lengths *lengths, char *cargo) {
    struct envelope envelope;
    struct text text = {cargo, cargo_total(lengths)};
    size_t offset = lengths->message + lengths->headers;
    bool good = envelope_parse(text_from(text, offset), &envelope);
    if (!good) {
        errno = EBADMSG;
    } else if ((good = set_status_bytes(spool, piece, &envelope, cargo + offset))) {
        set_batch_bytes(spool->first, piece->mail_id, &envelope, cargo + offset);
        set_batch_bytes(piece, piece->mail_id, &envelope, cargo + offset);
        good = mail_file_write(&spool->files, piece->mail_id, text, lengths, &envelope);
    }
    envelope_free(&envelope);
    return good;
}

/* Counted already: a failed batch left it. */
static bool is_stray(const struct spool *spool, const char *mail_id) {
    struct cargo_lengths lengths;
    int fd = spool->strays ? mail_file_open(&spool->files, mail_id, O_RDONLY, &lengths) : -1;
    if (fd >= 0) {
        (void)close(fd);
    }
    return fd >= 0;
}

bool spool_file_from_journal(struct spool *spool, struct piece *piece) {
    struct cargo_lengths lengths;
    bool counted = is_stray(spool, piece->mail_id);
    char *cargo;
    if (!journal_read_mail(spool->journal, piece->place, piece->mail_id, &lengths, &cargo)) {
        log_error("%s: not found in the journal", piece->mail_id);
        return false;
    }
    bool good = write_file(spool, piece, &lengths, cargo);
    free(cargo);
    if (good) {
        spool_file_count(spool, counted ? 0 : (int64_t)mail_file_size(&lengths));
    } else {
        log_warn("%s: cannot come to rest in a file and stays in the journal: %s", piece->mail_id, strerror(errno));
    }
    return good;
}

bool spool_piece_has(const struct piece *piece, uint32_t recipient) {
    for (size_t i = 0; i < piece->recipient_count; i++) {
        if (piece->recipients[i] == recipient) {
            return true;
        }
    }
    return false;
}

bool spool_file_mark(struct spool *spool, const struct piece *piece) {
    bool hold = piece->change == PARCEL_HOLD;
    struct spool_recipient *waiting;
    size_t count, marked = 0;
    if (!spool_waiting(spool, piece->mail_id, &waiting, &count)) {
        return false;
    }
    struct mail_status *statuses = memory_new(count + 1, sizeof *statuses);
    for (size_t i = 0; i < count; i++) {
        if (waiting[i].held != hold && spool_piece_has(piece, waiting[i].recipient)) {
            statuses[marked++] = (struct mail_status){waiting[i].recipient, hold ? RECIPIENT_HELD : RECIPIENT_QUEUED};
        }
    }
    bool good = marked == 0 || mail_file_set_status(&spool->files, piece->mail_id, statuses, marked);
    free(statuses);
    free(waiting);
    return good;
}
