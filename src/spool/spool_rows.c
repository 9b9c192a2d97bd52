/* SPDX-License-Identifier: MIT
 * The rows of a batch, in one transaction with journal_position. Called by spool.c after the flush; false leaves the
 * database as it was, so that it can be tried again. */
#include "base/clock.h"
#include "base/log.h"
#include "spool/spool_private.h"
#include "store/clock_shift.h"
#include "store/contacts.h"
#include "store/destinations.h"
#include <stdio.h>

/* FUTURERELEASE (RFC 4865): due when its sender said, and its time begins then. */
struct parcels_fresh spool_fresh(const struct spool *spool, const struct envelope *envelope, int64_t now,
                                 char words[SPOOL_WORDS_SIZE]) {
    bool later = envelope->hold_until > now;
    char at[CLOCK_TEXT_SIZE];
    clock_text((time_t)envelope->hold_until, at);
    words[0] = '\0';
    if (later) {
        snprintf(words, SPOOL_WORDS_SIZE, "its sender asked for it to be released at %s UTC", at);
    }
    return (struct parcels_fresh){.contact_id = envelope->contact_id,
                                  .retry_at = later ? envelope->hold_until : now,
                                  .expires_at = envelope_begins_at(envelope) + spool->options.queue_lifetime,
                                  .now = now,
                                  .words = words};
}

static bool write_mail(struct spool *spool, struct piece *piece) {
    struct database *database = spool->database;
    const struct envelope *envelope = &piece->envelope;
    char words[SPOOL_WORDS_SIZE];
    struct parcels_fresh fresh = spool_fresh(spool, envelope, piece->at, words);
    const char *waits = fresh.words;
    if (!mails_add(database, envelope, envelope->contact_id, piece->place_kind, piece->place,
                   piece->lengths.message + piece->lengths.headers)) {
        return false;
    }
    for (uint32_t i = 0; i < envelope->recipient_count; i++) {
        const char *held_by = piece->held_by != NULL ? piece->held_by[i] : NULL;
        fresh.words = held_by != NULL ? held_by : waits;
        if (!parcels_add(database, envelope, i, &fresh, &piece->parcel_ids[i])) {
            return false;
        }
    }
    return contacts_note_accepted(&spool->notes, envelope->contact_id, piece->at) ||
           contacts_accepted(database, envelope->contact_id, piece->at);
}

static bool write_ending(struct spool *spool, struct piece *piece, const struct piece_ending *ending) {
    struct database *database = spool->database;
    struct text reply = text_of(ending->reply);
    int64_t retry_at = clock_shift_before(database, piece->mail_id, ending->parcel_id, ending->retry_at);
    const struct parcels_deferral deferral = {piece->at, retry_at, reply, piece->tried, ending->delay_told};
    bool good =
        ending->status == RECIPIENT_QUEUED
            ? parcels_defer(database, piece->mail_id, ending->recipient, &deferral)
            : parcels_end(database, piece->mail_id, ending->recipient, ending->status, piece->at, reply, piece->tried);
    if (!good || !piece->tried) {
        return good;
    }
    piece->attempt.reply = ending->reply;
    return attempts_add(database, ending->parcel_id, &piece->attempt);
}

static bool write_destination(struct database *database, const struct piece *piece) {
    const struct spool_destination *destination = &piece->destination;
    struct text reason = piece->ending_count > 0 ? text_of(piece->endings[0].reply) : TEXT_NONE;
    return (!destination->failed ||
            destinations_failed(database, destination->name, destination->rests_until, reason, piece->at)) &&
           (!destination->answered || destinations_answered(database, destination->name, destination->tls, piece->at));
}

static bool write_change(struct spool *spool, struct piece *piece) {
    bool good = true;
    for (size_t i = 0; good && i < piece->recipient_count; i++) {
        good = parcels_change(spool->database, piece->mail_id, piece->recipients[i], piece->change, piece->at,
                              text_of(piece->words));
    }
    /* who asks for it by name wants it tried even where no server was found the last time */
    bool tries = piece->change == PARCEL_RETRY || piece->change == PARCEL_RELEASE;
    return good &&
           (piece->recipient_count == 0 || !tries || destinations_allow(spool->database, piece->mail_id, piece->at));
}

static bool write_piece(struct spool *spool, struct piece *piece) {
    if (piece->kind == PIECE_MAIL) {
        return write_mail(spool, piece);
    }
    bool good = write_change(spool, piece);
    for (size_t i = 0; good && i < piece->ending_count; i++) {
        good = write_ending(spool, piece, &piece->endings[i]);
    }
    good = good && write_destination(spool->database, piece);
    if (good && (piece->ended || piece->to_file)) {
        enum place_kind kind = piece->ended ? PLACE_GONE : PLACE_FILE;
        good = mails_set_place(spool->database, piece->mail_id, kind, (struct journal_place){0, 0});
    }
    return good;
}

bool spool_rows_write(struct spool *spool) {
    if (!database_begin(spool->database)) {
        return false;
    }
    bool good = true;
    for (struct piece *piece = spool->first; good && piece != NULL && piece->flushed; piece = piece->next) {
        good = write_piece(spool, piece);
        if (!good && database_refused_value(spool->database)) {
            /* it would be refused for ever, and everything behind it with it; the journal still has the message */
            log_error("%s: a bug: its rows are not accepted: %s", piece->mail_id, database_error(spool->database));
            good = true;
        }
    }
    if (good && contacts_write_notes(spool->database, &spool->notes) && position_write(spool->database, spool->end) &&
        database_commit(spool->database)) {
        spool->notes.count = 0;
        return true;
    }
    log_error("rows: %s", database_error(spool->database));
    database_rollback(spool->database);
    return false;
}
