/* SPDX-License-Identifier: MIT
 * Results and operators' changes enter the batch: `mail` record of a notice, `done` records, `gone`, and the move to a
 * file before a deferral or hold is recorded. Called by the ledger. A group that a segment can hold is taken whole or
 * not at all. */
#include "base/log.h"
#include "base/memory.h"
#include "spool/spool_private.h"
#include "store/clock_shift.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_FURTHEST (366 * 86400)

static const enum recipient_status statuses[] = {
    [SPOOL_DELIVERED] = RECIPIENT_DELIVERED,   [SPOOL_DEFERRED] = RECIPIENT_QUEUED,
    [SPOOL_ENDED_FAILED] = RECIPIENT_FAILED,   [SPOOL_ENDED_EXPIRED] = RECIPIENT_EXPIRED,
    [SPOOL_ENDED_REMOVED] = RECIPIENT_REMOVED,
};

/* Rows must take what comes: an absurd time becomes the nearest that is none. 0 is "not told". */
static int64_t clamp_time(int64_t at, int64_t earliest, int64_t latest) {
    return at == 0 || at > latest ? latest : at < earliest ? earliest : at;
}

static bool ends_in_batch(const struct spool *spool, const char *mail_id, uint32_t recipient) {
    for (const struct piece *piece = spool->first; piece != NULL; piece = piece->next) {
        for (size_t i = 0; strcmp(piece->mail_id, mail_id) == 0 && i < piece->ending_count; i++) {
            if (piece->endings[i].recipient == recipient && piece->endings[i].status != RECIPIENT_QUEUED) {
                return true;
            }
        }
    }
    return false;
}

/* RFC 3463 X.4.7, delivery time expired, in "554 4.4.7 …". */
static enum recipient_status status_of(const struct spool_ending *ending) {
    struct text enhanced = text_first(text_from(ending->reply, 4), 5);
    return ending->result == SPOOL_ENDED_FAILED && text_equal(enhanced, TEXT("4.4.7")) ? RECIPIENT_EXPIRED
                                                                                       : statuses[ending->result];
}

static bool is_taken(const struct piece *piece, uint32_t recipient) {
    for (size_t i = 0; i < piece->ending_count; i++) {
        if (piece->endings[i].recipient == recipient) {
            return true;
        }
    }
    return false;
}

/* fresh: the message, when its rows are still to be written. */
static enum parcels_found find_parcel(struct spool *spool, const struct piece *fresh, const char *mail_id,
                                      uint32_t recipient, struct parcels_row *row) {
    if (fresh == NULL) {
        return parcels_find(spool->database, mail_id, recipient, row);
    }
    if (recipient >= fresh->envelope.recipient_count) {
        return PARCELS_NO;
    }
    *row = (struct parcels_row){.id = fresh->parcel_ids[recipient],
                                .waiting = !parcels_status_is_final(fresh->envelope.recipients[recipient].status)};
    return PARCELS_YES;
}

static int64_t count_waiting(struct spool *spool, const struct piece *fresh, const char *mail_id) {
    int64_t count = 0;
    if (fresh == NULL) {
        return parcels_waiting(spool->database, mail_id);
    }
    for (size_t i = 0; i < fresh->envelope.recipient_count; i++) {
        count += !parcels_status_is_final(fresh->envelope.recipients[i].status);
    }
    return count;
}

/* Keeps those endings whose recipients still wait, each once. False on a database error. */
static bool take_endings(struct spool *spool, const struct spool_attempt *attempt, const struct piece *fresh,
                         struct piece *piece) {
    piece->endings = memory_new(attempt->count + 1, sizeof *piece->endings);
    for (size_t i = 0; i < attempt->count; i++) {
        const struct spool_ending *ending = &attempt->endings[i];
        struct parcels_row row;
        enum parcels_found found = find_parcel(spool, fresh, piece->mail_id, ending->recipient, &row);
        if (found == PARCELS_ERROR) {
            return false;
        }
        if (found == PARCELS_NO || !row.waiting || is_taken(piece, ending->recipient) ||
            ends_in_batch(spool, piece->mail_id, ending->recipient)) {
            continue;
        }
        piece->endings[piece->ending_count++] =
            (struct piece_ending){.recipient = ending->recipient,
                                  .status = status_of(ending),
                                  .retry_at = clamp_time(ending->retry_at, piece->at, piece->at + RETRY_FURTHEST),
                                  .parcel_id = row.id,
                                  .delay_told = ending->delay_told,
                                  .reply = memory_string(ending->reply)};
    }
    return true;
}

static size_t count_ended(const struct piece *piece) {
    size_t count = 0;
    for (size_t i = 0; i < piece->ending_count; i++) {
        count += piece->endings[i].status != RECIPIENT_QUEUED;
    }
    return count;
}

/* Waiting rows, less those that end in this batch. */
static bool nobody_waits(struct spool *spool, const struct piece *fresh, const struct piece *piece) {
    int64_t waiting = count_waiting(spool, fresh, piece->mail_id);
    for (const struct piece *other = spool->first; other != NULL; other = other->next) {
        if (strcmp(other->mail_id, piece->mail_id) == 0) {
            waiting -= (int64_t)count_ended(other);
        }
    }
    return waiting == (int64_t)count_ended(piece);
}

/* ---- records ---- */

enum journal_result spool_append_gone(struct spool *spool, const char *mail_id, enum gone_reason reason) {
    struct record_gone gone = {.reason = reason};
    struct buffer payload;
    memcpy(gone.mail_id, mail_id, sizeof gone.mail_id);
    buffer_init(&payload, RECORD_SMALL_MAXIMUM);
    enum journal_result result = JOURNAL_FAILED;
    if (record_gone_format(&gone, &payload)) {
        result = journal_append(spool->journal, RECORD_GONE, JOURNAL_RESERVE, TEXT_NONE, buffer_text(&payload), NULL);
    }
    buffer_free(&payload);
    return result;
}

static enum journal_result append_done(struct spool *spool, const struct piece *piece,
                                       const struct piece_ending *ending) {
    struct record_done done = {.recipient = ending->recipient,
                               .status = (uint32_t)ending->status,
                               .at = piece->at,
                               .reply = text_of(ending->reply)};
    struct buffer payload;
    memcpy(done.mail_id, piece->mail_id, sizeof done.mail_id);
    buffer_init(&payload, RECORD_SMALL_MAXIMUM);
    enum journal_result result = JOURNAL_FAILED;
    if (record_done_format(&done, &payload)) {
        result = journal_append(spool->journal, RECORD_DONE, JOURNAL_RESERVE, TEXT_NONE, buffer_text(&payload), NULL);
    }
    buffer_free(&payload);
    return result;
}

static enum journal_result append_records(struct spool *spool, const struct piece *piece) {
    enum journal_result result = JOURNAL_OK;
    for (size_t i = 0; result == JOURNAL_OK && i < piece->ending_count; i++) {
        if (piece->endings[i].status != RECIPIENT_QUEUED) {
            result = append_done(spool, piece, &piece->endings[i]);
        }
    }
    if (result == JOURNAL_OK && (piece->ended || piece->to_file)) {
        result = spool_append_gone(spool, piece->mail_id, piece->ended ? GONE_ENDED : GONE_TO_FILE);
    }
    return result;
}

/* ---- a group of records, whole or not at all ---- */

static uint64_t room_needed(const struct spool_attempt *attempt, const struct piece *piece) {
    uint64_t room = record_room(MAIL_ID_SIZE);
    for (size_t i = 0; i < piece->ending_count; i++) {
        room += record_room(MAIL_ID_SIZE + 16 + strlen(piece->endings[i].reply));
    }
    for (size_t i = 0; i < attempt->notice_count; i++) {
        room += record_room(RECORD_MAIL_HEAD_SIZE + cargo_total(&attempt->notices[i].lengths));
    }
    return room;
}

static enum spool_outcome outcome_of(enum journal_result result) {
    return result == JOURNAL_OK ? SPOOL_OK : result == JOURNAL_FULL ? SPOOL_FULL : SPOOL_FAILED;
}

static enum spool_outcome append_group(struct spool *spool, const struct spool_attempt *attempt, struct piece *piece) {
    uint64_t room = room_needed(attempt, piece);
    /* what is more than a segment goes on in the next: the order alone keeps it right then */
    enum spool_outcome outcome = journal_fits(spool->journal, room)
                                     ? outcome_of(journal_make_room(spool->journal, JOURNAL_RESERVE, room))
                                     : SPOOL_OK;
    for (size_t i = 0; outcome == SPOOL_OK && i < attempt->notice_count; i++) {
        /* notices go first: a batch torn by a crash must not have the failure without them */
        outcome = spool_take_mail(spool, &attempt->notices[i], JOURNAL_RESERVE, NULL);
        outcome = outcome == SPOOL_NOTHING ? SPOOL_OK : outcome;
    }
    return outcome == SPOOL_OK ? outcome_of(append_records(spool, piece)) : outcome;
}

static void copy_attempt(const struct spool_attempt *attempt, struct piece *piece) {
    piece->tried = attempt->tried;
    piece->destination = attempt->destination;
    piece->destination.name.data = memory_string(attempt->destination.name);
    piece->attempt = (struct parcels_attempt){.route = memory_string(attempt->route),
                                              .host = memory_string(attempt->host),
                                              .address = memory_string(attempt->address),
                                              .tls = memory_string(attempt->tls),
                                              .started_at = clamp_time(attempt->started_at, 1, piece->at),
                                              .milliseconds = attempt->milliseconds};
}

static enum spool_outcome take_attempt(struct spool *spool, const struct spool_attempt *attempt,
                                       const struct piece *fresh, struct piece *piece) {
    if (!take_endings(spool, attempt, fresh, piece)) {
        return SPOOL_FAILED;
    }
    if (piece->ending_count == 0) {
        return SPOOL_NOTHING;
    }
    size_t ended = count_ended(piece);
    piece->ended = ended > 0 && nobody_waits(spool, fresh, piece);
    /* the first deferral: to rest, flushed, before it is recorded; what is put off untried stays where it is, since the
     * journal has it all, and ten thousand for a dead server would be ten thousand flushes */
    if (piece->tried && ended < piece->ending_count && piece->place_kind == PLACE_JOURNAL) {
        piece->to_file = spool_file_from_journal(spool, piece);
    }
    piece->in_journal = ended > 0 || piece->to_file || attempt->notice_count > 0;
    return piece->in_journal ? append_group(spool, attempt, piece) : SPOOL_OK;
}

static enum spool_outcome find_mail(struct spool *spool, const struct piece *fresh, struct piece *piece) {
    if (fresh != NULL) {
        piece->place_kind = fresh->place_kind;
        piece->place = fresh->place;
        return SPOOL_OK;
    }
    switch (mails_place(spool->database, piece->mail_id, &piece->place_kind, &piece->place)) {
    case PARCELS_YES:
        return piece->place_kind == PLACE_GONE ? SPOOL_NOTHING : SPOOL_OK;
    case PARCELS_NO:
        return SPOOL_NOTHING;
    case PARCELS_ERROR:
        break;
    }
    return SPOOL_FAILED;
}

/* Two pieces of one batch must not both move or end a mail from the place its row still names: its segment would count
 * it twice, and be used again while another mail lies in it. */
static void learn_from_batch(const struct spool *spool, struct piece *piece) {
    for (const struct piece *other = spool->first; other != NULL; other = other->next) {
        if (strcmp(other->mail_id, piece->mail_id) == 0 && (other->to_file || other->ended)) {
            piece->place_kind = other->ended ? PLACE_GONE : PLACE_FILE;
        }
    }
}

static void mark_files(struct spool *spool, struct piece *piece) {
    piece->mark_file = piece->to_file || piece->place_kind == PLACE_FILE || spool->strays;
    for (struct piece *other = spool->first; piece->to_file && other != NULL; other = other->next) {
        other->mark_file = other->mark_file || strcmp(other->mail_id, piece->mail_id) == 0;
    }
}

/* What happens to it is told by its rows, unless those are refused. */
static bool settle_mail(struct spool *spool, const char *mail_id) {
    if (spool_find_flushed(spool, mail_id) != NULL) {
        spool_settle(spool);
    }
    return !spool->rows_wait;
}

/* A mail in motion that ends needs no rows before: they and its end are one transaction. */
static const struct piece *find_fresh(const struct spool *spool, const struct spool_attempt *attempt) {
    const struct piece *fresh = attempt->notice_count == 0 ? spool_find_flushed(spool, attempt->mail_id) : NULL;
    for (size_t i = 0; fresh != NULL && i < attempt->count; i++) {
        fresh = attempt->endings[i].result != SPOOL_DEFERRED ? fresh : NULL;
    }
    return fresh != NULL && fresh->told && fresh->place_kind == PLACE_JOURNAL ? fresh : NULL;
}

enum spool_outcome spool_add_attempt(struct spool *spool, const struct spool_attempt *attempt, void *ticket) {
    const struct piece *fresh = find_fresh(spool, attempt);
    if (spool->rows_wait || (fresh == NULL && !settle_mail(spool, attempt->mail_id))) {
        return SPOOL_FAILED;
    }
    struct piece *piece = spool_piece_new(PIECE_ATTEMPT, attempt->mail_id, ticket);
    enum spool_outcome outcome = find_mail(spool, fresh, piece);
    if (outcome == SPOOL_OK) {
        learn_from_batch(spool, piece);
        copy_attempt(attempt, piece);
        outcome = take_attempt(spool, attempt, fresh, piece);
    }
    if (outcome == SPOOL_OK) {
        mark_files(spool, piece);
        spool_piece_add(spool, piece);
    } else {
        spool_piece_drop(spool, piece);
    }
    return outcome;
}

/* ---- operators' changes ---- */

static enum spool_outcome take_change(struct spool *spool, struct piece *piece) {
    if (piece->change == PARCEL_HOLD && piece->place_kind == PLACE_JOURNAL) {
        piece->to_file = spool_file_from_journal(spool, piece);
        piece->in_journal = true;
        return piece->to_file ? outcome_of(spool_append_gone(spool, piece->mail_id, GONE_TO_FILE)) : SPOOL_FAILED;
    }
    return piece->place_kind == PLACE_FILE && piece->change != PARCEL_RETRY && !spool_file_mark(spool, piece)
               ? SPOOL_FAILED
               : SPOOL_OK;
}

static struct piece *change_piece(const struct spool_change *change, void *ticket) {
    struct piece *piece = spool_piece_new(PIECE_CHANGE, change->mail_id, ticket);
    piece->change = change->kind;
    piece->words = memory_string(change->words);
    piece->recipient_count = change->count;
    piece->recipients = memory_new(change->count + 1, sizeof *piece->recipients);
    for (size_t i = 0; i < change->count; i++) {
        piece->recipients[i] = change->recipients[i];
    }
    return piece;
}

/* What is due now would be moved with what waits. */
enum spool_outcome spool_add_change(struct spool *spool, const struct spool_change *change, void *ticket) {
    if (spool->rows_wait || clock_shift_goes_on(spool->database) || !settle_mail(spool, change->mail_id)) {
        return SPOOL_FAILED;
    }
    struct piece *piece = change_piece(change, ticket);
    enum spool_outcome outcome = find_mail(spool, NULL, piece);
    if (outcome == SPOOL_OK) {
        learn_from_batch(spool, piece);
        outcome = piece->place_kind == PLACE_GONE ? SPOOL_NOTHING : take_change(spool, piece);
    }
    if (outcome == SPOOL_OK) {
        mark_files(spool, piece);
        spool_piece_add(spool, piece);
    } else {
        spool_piece_drop(spool, piece);
    }
    return outcome;
}
