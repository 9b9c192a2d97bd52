/* SPDX-License-Identifier: MIT
 * A message enters the batch: checked, then appended to the journal or made a file. Called by the ledger for commits
 * and by spool_attempt.c for notices. What an asker got wrong is SPOOL_INVALID; nothing of it stays. */
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "spool/spool_private.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LATEST_TIME INT64_C(253402300800) /* the year 10000, which does not fit the rows */
#define HEADERS_MAXIMUM (4u << 20)        /* headers that the receiver added; theirs are part of the message */

enum spool_outcome spool_new_file(struct spool *spool, const char *mail_id, int *fd) {
    *fd = -1;
    if (!mail_id_is_valid(text_of(mail_id))) {
        return SPOOL_INVALID;
    }
    if (spool->rows_wait || !journal_has_space(spool->journal, spool->options.journal_max_message)) {
        return SPOOL_FULL;
    }
    *fd = mail_file_new(&spool->files, mail_id);
    if (*fd >= 0) {
        return SPOOL_OK;
    }
    int reason = errno;
    log_error("%s: a file for a large message cannot be made: %s", mail_id, strerror(reason));
    return reason == EEXIST ? SPOOL_INVALID : reason == ENOSPC || reason == EDQUOT ? SPOOL_FULL : SPOOL_FAILED;
}

void spool_drop_file(struct spool *spool, const char *mail_id) {
    mail_file_drop_new(&spool->files, mail_id);
}

/* ---- checks ---- */

static bool lengths_are_sane(const struct spool_cargo *cargo) {
    const struct cargo_lengths *lengths = &cargo->lengths;
    if (lengths->message > INT64_MAX / 4 || lengths->headers > HEADERS_MAXIMUM || lengths->envelope == 0 ||
        lengths->envelope > ENVELOPE_TEXT_MAXIMUM) {
        return false;
    }
    uint64_t there = cargo->bytes.length;
    if (cargo->bytes.data == NULL) {
        int64_t size = file_size(cargo->fd);
        there = size < 0 ? 0 : (uint64_t)size;
    }
    return cargo_total(lengths) == there;
}

/* The envelope is the caller's to free in any case. */
static bool read_envelope(const struct spool_cargo *cargo, struct envelope *envelope) {
    uint64_t offset = cargo->lengths.message + cargo->lengths.headers;
    if (cargo->bytes.data != NULL) {
        return envelope_parse(text_from(cargo->bytes, offset), envelope);
    }
    char *bytes = memory_new(1, cargo->lengths.envelope + 1);
    bool read = file_pread_all(cargo->fd, bytes, cargo->lengths.envelope, (off_t)offset);
    bool good = envelope_parse((struct text){bytes, cargo->lengths.envelope}, envelope) && read;
    free(bytes);
    return good;
}

static bool envelope_is_new(const struct envelope *envelope) {
    for (size_t i = 0; i < envelope->recipient_count; i++) {
        if (envelope->recipients[i].status != RECIPIENT_QUEUED) {
            return false;
        }
    }
    return envelope->received_at > 0 && envelope->received_at < LATEST_TIME && envelope->hold_until >= 0 &&
           envelope->hold_until < LATEST_TIME && envelope->recipient_count > 0 &&
           mail_id_is_valid(text_of(envelope->mail_id));
}

static bool id_is_in_batch(const struct spool *spool, const char *mail_id) {
    for (const struct piece *piece = spool->first; piece != NULL; piece = piece->next) {
        if (piece->kind == PIECE_MAIL && strcmp(piece->mail_id, mail_id) == 0) {
            return true;
        }
    }
    return false;
}

static enum spool_outcome check_id(struct spool *spool, const char *mail_id) {
    enum place_kind kind;
    struct journal_place place;
    if (id_is_in_batch(spool, mail_id)) {
        return SPOOL_NOTHING;
    }
    switch (mails_place(spool->database, mail_id, &kind, &place)) {
    case PARCELS_YES:
        return SPOOL_NOTHING;
    case PARCELS_NO:
        return SPOOL_OK;
    case PARCELS_ERROR:
        break;
    }
    log_error("%s: the database cannot be read: %s", mail_id, database_error(spool->database));
    return SPOOL_FAILED;
}

/* ---- storing ---- */

static enum spool_outcome outcome_of_errno(const char *mail_id) {
    int reason = errno;
    log_error("%s: the file cannot be stored: %s", mail_id, strerror(reason));
    return reason == ENOSPC || reason == EDQUOT ? SPOOL_FULL : SPOOL_FAILED;
}

static enum spool_outcome store_as_file(struct spool *spool, const struct spool_cargo *cargo, struct piece *piece,
                                        enum journal_right right) {
    uint64_t size = mail_file_size(&piece->lengths);
    bool good;
    if (cargo->bytes.data == NULL) {
        if (cargo->file_id == NULL || strcmp(cargo->file_id, piece->mail_id) != 0) {
            return SPOOL_INVALID;
        }
        if (right == JOURNAL_ORDINARY && !journal_within_maximum(spool->journal, size)) {
            return SPOOL_FULL;
        }
        good = mail_file_commit(&spool->files, piece->mail_id, cargo->fd, &piece->lengths, &piece->envelope);
    } else {
        if (right == JOURNAL_ORDINARY && !journal_has_space(spool->journal, size)) {
            return SPOOL_FULL;
        }
        good = mail_file_write(&spool->files, piece->mail_id, cargo->bytes, &piece->lengths, &piece->envelope);
    }
    if (!good) {
        return outcome_of_errno(piece->mail_id);
    }
    piece->place_kind = PLACE_FILE;
    spool_file_count(spool, (int64_t)size);
    return SPOOL_OK;
}

static enum spool_outcome store_in_journal(struct spool *spool, const struct spool_cargo *cargo, struct piece *piece,
                                           enum journal_right right) {
    unsigned char head[RECORD_MAIL_HEAD_SIZE];
    struct record_mail mail = {.lengths = piece->lengths};
    memcpy(mail.mail_id, piece->mail_id, sizeof mail.mail_id);
    record_mail_head(&mail, head);
    switch (journal_append(spool->journal, RECORD_MAIL, right, (struct text){(const char *)head, sizeof head},
                           cargo->bytes, &piece->place)) {
    case JOURNAL_OK:
        piece->place_kind = PLACE_JOURNAL;
        piece->in_journal = true;
        return SPOOL_OK;
    case JOURNAL_FULL:
        return SPOOL_FULL;
    case JOURNAL_FAILED:
        break;
    }
    return SPOOL_FAILED;
}

/* ---- holds ---- */

static bool is_held(const struct piece *piece) {
    return piece->held_by != NULL;
}

/* What holds this recipient: the receiver's word for the whole message, or an operator's rule. The caller frees it. */
static char *find_hold(const struct spool *spool, const struct envelope *envelope, uint32_t recipient) {
    const struct hold_rule *rule;

    if (envelope->hold[0] != '\0') {
        return memory_string(text_of(envelope->hold));
    }
    rule = spool->hold_rules.count > 0 ? hold_rules_find(&spool->hold_rules, envelope, recipient) : NULL;
    return rule != NULL ? hold_rule_words(rule) : NULL;
}

/* Marks the recipients that are held, and says so in the log. */
static void apply_holds(const struct spool *spool, struct piece *piece) {
    struct envelope *envelope = &piece->envelope;
    char to[400], words[600];
    for (uint32_t i = 0; i < envelope->recipient_count; i++) {
        char *held_by = find_hold(spool, envelope, i);
        if (held_by == NULL) {
            continue;
        }
        if (piece->held_by == NULL) {
            piece->held_by = memory_new(envelope->recipient_count, sizeof *piece->held_by);
        }
        piece->held_by[i] = held_by;
        envelope->recipients[i].status = RECIPIENT_HELD;
        log_info("%s: from <%s> to <%s>: %s", piece->mail_id, envelope->from_url,
                 text_printable(to, sizeof to, text_of(envelope->recipients[i].to_url)),
                 text_printable(words, sizeof words, text_of(held_by)));
    }
}

/* A held message is at rest from the start, with its status letters as they are: what a crash leaves is held too. */
static enum spool_outcome store_held(struct spool *spool, const struct spool_cargo *cargo, struct piece *piece,
                                     enum journal_right right) {
    const char held = RECIPIENT_HELD;
    uint64_t text = cargo->lengths.message + cargo->lengths.headers;
    struct spool_cargo marked = *cargo;
    char *copy = cargo->bytes.data != NULL ? memory_new(1, cargo->bytes.length) : NULL;
    bool good = true;
    if (copy != NULL) {
        memcpy(copy, cargo->bytes.data, cargo->bytes.length);
        marked.bytes.data = copy;
    }
    for (uint32_t i = 0; good && i < piece->envelope.recipient_count; i++) {
        uint64_t place = text + piece->envelope.recipients[i].status_offset;
        if (piece->held_by[i] != NULL && copy != NULL) {
            copy[place] = held;
        } else if (piece->held_by[i] != NULL) {
            good = file_pwrite_all(cargo->fd, &held, 1, (off_t)place);
        }
    }
    enum spool_outcome outcome = good ? store_as_file(spool, &marked, piece, right) : outcome_of_errno(piece->mail_id);
    free(copy);
    return outcome;
}

static enum spool_outcome store(struct spool *spool, const struct spool_cargo *cargo, struct piece *piece,
                                enum journal_right right) {
    apply_holds(spool, piece);
    if (is_held(piece)) {
        return store_held(spool, cargo, piece, right);
    }
    if (cargo->bytes.data == NULL || cargo->lengths.message > spool->options.journal_max_message ||
        !journal_fits(spool->journal, cargo_total(&cargo->lengths) + RECORD_MAIL_HEAD_SIZE)) {
        return store_as_file(spool, cargo, piece, right);
    }
    return store_in_journal(spool, cargo, piece, right);
}

enum spool_outcome spool_take_mail(struct spool *spool, const struct spool_cargo *cargo, enum journal_right right,
                                   void *ticket) {
    struct envelope envelope;
    enum spool_outcome outcome = SPOOL_INVALID;
    if (!lengths_are_sane(cargo)) {
        return outcome;
    }
    if (read_envelope(cargo, &envelope) && envelope_is_new(&envelope)) {
        outcome = check_id(spool, envelope.mail_id);
    }
    if (outcome != SPOOL_OK) {
        envelope_free(&envelope);
        return outcome;
    }
    struct piece *piece = spool_piece_new(PIECE_MAIL, envelope.mail_id, ticket);
    envelope_free(&piece->envelope);
    piece->envelope = envelope;
    piece->lengths = cargo->lengths;
    piece->parcel_ids = memory_new(envelope.recipient_count, sizeof *piece->parcel_ids);
    outcome = store(spool, cargo, piece, right);
    if (outcome == SPOOL_OK) {
        spool_piece_add(spool, piece);
    } else {
        spool_piece_free(piece);
    }
    return outcome;
}

enum spool_outcome spool_add_mail(struct spool *spool, const struct spool_cargo *cargo, void *ticket) {
    if (spool->rows_wait) {
        return SPOOL_FULL;
    }
    enum spool_outcome outcome = spool_take_mail(spool, cargo, JOURNAL_ORDINARY, ticket);
    /* a second message under a known id is a mistake of the asker; only notices are repeated on purpose */
    return outcome == SPOOL_NOTHING ? SPOOL_INVALID : outcome;
}
