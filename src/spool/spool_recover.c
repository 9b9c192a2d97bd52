/* SPDX-License-Identifier: MIT
 * What a start does: applies exactly the journal's records after journal_position, adds files that have no rows, takes
 * files away whose mail is gone, writes local domains, opens a new segment. Called by spool_open and spool_rebuild. One
 * unreadable mail is logged and skipped; only a database or journal that cannot be used at all stops the start. */
#include "base/log.h"
#include "base/memory.h"
#include "spool/checkpoint.h"
#include "spool/spool_private.h"
#include "store/domains.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct recovery {
    struct spool *spool;
    int64_t now;
    bool failed;       /* the database refused something */
    bool own_contacts; /* the rows of contacts are those that the envelopes name */
    unsigned records, mails, files;
    struct journal_place end;
};

/* ---- rows of one mail ---- */

/* Due since it came, by the clock of then: where that was set meanwhile the ledger moves all rows with it. */
static int64_t due_since(const struct envelope *envelope, const struct parcels_fresh *fresh) {
    int64_t began = envelope_begins_at(envelope);
    return began > 0 && began < fresh->retry_at ? began : fresh->retry_at;
}

/* What is held has been so since it came, as far as anybody knows: that time does not count when it is released. */
static int64_t held_since(const struct recovery *recovery, const struct envelope *envelope) {
    return envelope->received_at > 0 && envelope->received_at < recovery->now ? envelope->received_at : recovery->now;
}

static bool add_rows(struct recovery *recovery, struct envelope *envelope, enum place_kind kind,
                     struct journal_place place, uint64_t size) {
    struct database *database = recovery->spool->database;
    int64_t contact = recovery->own_contacts ? envelope->contact_id : 0;
    int64_t parcel_id;
    char words[SPOOL_WORDS_SIZE];
    struct parcels_fresh fresh = spool_fresh(recovery->spool, envelope, recovery->now, words);
    const char *waits = fresh.words;
    fresh.contact_id = contact;
    fresh.retry_at = due_since(envelope, &fresh);
    bool good = mails_add(database, envelope, contact, kind, place, size);
    for (uint32_t i = 0; good && i < envelope->recipient_count; i++) {
        bool held = envelope->recipients[i].status == RECIPIENT_HELD;
        fresh.words = held ? envelope->hold : waits;
        fresh.now = held ? held_since(recovery, envelope) : recovery->now;
        parcel_id = 0;
        good = parcels_add(database, envelope, i, &fresh, &parcel_id);
    }
    recovery->mails++;
    return good;
}

/* ---- records ---- */

static bool apply_mail(struct recovery *recovery, struct journal_place place, struct text payload) {
    struct database *database = recovery->spool->database;
    struct record_mail mail;
    struct envelope envelope;
    struct text cargo;
    enum place_kind kind;
    struct journal_place known;
    if (!record_mail_parse(payload, &mail, &cargo)) {
        cargo = TEXT_NONE;
        mail.lengths = (struct cargo_lengths){0, 0, 0};
    }
    bool read = envelope_parse(text_from(cargo, mail.lengths.message + mail.lengths.headers), &envelope);
    if (!read || strcmp(mail.mail_id, envelope.mail_id) != 0) {
        log_error("journal segment %llu, byte %llu: a mail that cannot be read is skipped",
                  (unsigned long long)place.segment, (unsigned long long)place.offset);
        envelope_free(&envelope);
        return true;
    }
    enum parcels_found found = mails_place(database, mail.mail_id, &kind, &known);
    bool good = found == PARCELS_YES;
    if (found == PARCELS_NO) {
        good = add_rows(recovery, &envelope, PLACE_JOURNAL, place, mail.lengths.message + mail.lengths.headers);
    }
    envelope_free(&envelope);
    return good;
}

static bool apply_done(struct recovery *recovery, struct text payload) {
    struct record_done done;
    struct cargo_lengths lengths;
    if (!record_done_parse(payload, &done) || !parcels_status_is_final((enum recipient_status)done.status)) {
        return true;
    }
    /* the file may have missed its status byte */
    struct mail_status status = {done.recipient, (enum recipient_status)done.status};
    int fd = mail_file_open(&recovery->spool->files, done.mail_id, O_RDONLY, &lengths);
    if (fd >= 0) {
        (void)close(fd);
        (void)mail_file_set_status(&recovery->spool->files, done.mail_id, &status, 1);
    }
    return parcels_end(recovery->spool->database, done.mail_id, done.recipient, (enum recipient_status)done.status,
                       done.at, done.reply, true);
}

/* Recipients that still wait when their mail has left were removed by hand in the rows. */
static bool end_waiting(struct recovery *recovery, const char *mail_id, enum recipient_status status) {
    struct spool_recipient *recipients;
    size_t count;
    bool good = spool_waiting(recovery->spool, mail_id, &recipients, &count);
    for (size_t i = 0; good && i < count; i++) {
        good = parcels_end(recovery->spool->database, mail_id, recipients[i].recipient, status, recovery->now,
                           TEXT_NONE, false);
    }
    free(recipients);
    return good;
}

static bool apply_gone(struct recovery *recovery, struct text payload) {
    struct record_gone gone;
    struct journal_place none = {0, 0};
    uint64_t bytes;
    if (!record_gone_parse(payload, &gone)) {
        return true;
    }
    if (gone.reason == GONE_TO_FILE) {
        return mails_set_place(recovery->spool->database, gone.mail_id, PLACE_FILE, none);
    }
    (void)mail_file_remove(&recovery->spool->files, gone.mail_id, &bytes);
    return end_waiting(recovery, gone.mail_id, RECIPIENT_REMOVED) &&
           mails_set_place(recovery->spool->database, gone.mail_id, PLACE_GONE, none);
}

static bool apply_record(void *context, const struct record_header *header, struct journal_place place,
                         struct text payload) {
    struct recovery *recovery = context;
    bool good = true;
    switch (header->type) {
    case RECORD_MAIL:
        good = apply_mail(recovery, place, payload);
        break;
    case RECORD_DONE:
        good = apply_done(recovery, payload);
        break;
    case RECORD_GONE:
        good = apply_gone(recovery, payload);
        break;
    case RECORD_OPEN:
    case RECORD_CUT:
        return true;
    }
    recovery->records++;
    recovery->failed = recovery->failed || !good;
    recovery->end = (struct journal_place){place.segment, place.offset + record_room(header->length)};
    return good;
}

/* ---- files ---- */

/* moved: the journal says so. Else a hold in the file is one that failed, or that nobody was told of. */
static bool merge_statuses(struct recovery *recovery, const struct envelope *envelope, bool moved) {
    bool good = true;
    for (uint32_t i = 0; good && i < envelope->recipient_count; i++) {
        enum recipient_status status = envelope->recipients[i].status;
        if (status == RECIPIENT_HELD && moved) { /* no record has it: for rows made anew the file must do */
            good = parcels_change(recovery->spool->database, envelope->mail_id, i, PARCEL_HOLD,
                                  held_since(recovery, envelope), TEXT_NONE);
        }
        if (parcels_status_is_final(status)) {
            good =
                parcels_end(recovery->spool->database, envelope->mail_id, i, status, recovery->now, TEXT_NONE, false);
        }
    }
    return good;
}

static bool add_file_rows(struct recovery *recovery, const char *mail_id, enum parcels_found found, bool moved) {
    struct spool *spool = recovery->spool;
    struct journal_place none = {0, 0};
    struct cargo_lengths lengths;
    struct envelope envelope;
    int fd = mail_file_open(&spool->files, mail_id, O_RDONLY, &lengths);
    if (fd < 0 || !mail_file_envelope(fd, &lengths, &envelope) || strcmp(envelope.mail_id, mail_id) != 0) {
        log_error("%s/%s: cannot be read and is left alone: %s", spool->files.mail, mail_id,
                  fd < 0 ? strerror(errno) : "its envelope is damaged");
        if (fd >= 0) {
            envelope_free(&envelope);
            (void)close(fd);
        }
        return true;
    }
    bool good = found == PARCELS_NO ? add_rows(recovery, &envelope, PLACE_FILE, none, lengths.message + lengths.headers)
                                    : merge_statuses(recovery, &envelope, moved) &&
                                          mails_set_place(spool->database, mail_id, PLACE_FILE, none);
    recovery->files++;
    envelope_free(&envelope);
    (void)close(fd);
    return good;
}

static void apply_file(void *context, const char *mail_id, uint64_t bytes) {
    struct recovery *recovery = context;
    struct spool *spool = recovery->spool;
    struct journal_place place;
    enum place_kind kind = PLACE_JOURNAL;
    uint64_t size;
    if (recovery->failed) {
        return;
    }
    enum parcels_found found = mails_place(spool->database, mail_id, &kind, &place);
    if (found == PARCELS_YES && kind == PLACE_GONE) {
        (void)mail_file_remove(&spool->files, mail_id, &size);
        return;
    }
    spool->file_bytes += bytes;
    /* a file wins over a place in the journal; one that is known as a file needs no reading */
    if (found != PARCELS_YES || kind != PLACE_FILE || !recovery->own_contacts) {
        recovery->failed = found == PARCELS_ERROR || !add_file_rows(recovery, mail_id, found, kind == PLACE_FILE);
    }
}

struct unknown { /* the names of files, of which those that no row knows are moved to the front */
    char (*names)[MAIL_ID_SIZE];
    size_t count, next, found;
};

static void pass_until(struct unknown *unknown, const char *known) {
    for (; unknown->next < unknown->count && (known == NULL || strcmp(unknown->names[unknown->next], known) < 0);
         unknown->next++) {
        memmove(unknown->names[unknown->found++], unknown->names[unknown->next], MAIL_ID_SIZE);
    }
}

static void pass_known(void *context, const char *mail_id) {
    struct unknown *unknown = context;
    pass_until(unknown, mail_id);
    unknown->next += unknown->next < unknown->count && strcmp(unknown->names[unknown->next], mail_id) == 0;
}

/* Those that the rows know as files need nothing: both are gone through in order of their names. */
static bool apply_unknown_files(struct recovery *recovery) {
    struct spool *spool = recovery->spool;
    struct unknown unknown = {0};
    if (!mail_files_names(&spool->files, &unknown.names, &unknown.count)) {
        return false;
    }
    bool good = mails_in_files(spool->database, pass_known, &unknown);
    pass_until(&unknown, NULL);
    for (size_t i = 0; good && i < unknown.found; i++) {
        apply_file(recovery, unknown.names[i], 0);
    }
    free(unknown.names);
    return good;
}

/* How much they are is counted only where it matters; a limit that is set later counts from then on. */
static bool apply_files(struct recovery *recovery) {
    struct spool *spool = recovery->spool;
    return recovery->own_contacts && spool->options.limits.maximum_size == 0
               ? apply_unknown_files(recovery)
               : mail_files_list(&spool->files, apply_file, recovery);
}

/* ---- the rest of a start ---- */

static bool sync_domains(struct spool *spool) {
    const struct spool_options *options = &spool->options;
    return domains_configure(spool->database, options->local_domains, options->local_domain_count);
}

bool spool_sync_domains(struct spool *spool) {
    bool good = database_begin(spool->database) && sync_domains(spool) && database_commit(spool->database);
    if (!good) {
        database_rollback(spool->database);
    }
    return good;
}

static bool count_open(void *context, const char *mail_id, struct journal_place place) {
    const struct spool *spool = context;
    (void)mail_id;
    journal_count_open(spool->journal, place.segment, 1);
    return true;
}

/* Which segments hold the only copy of a mail: false unless all are known, since others are used again. */
static bool count_open_mails(struct spool *spool) {
    return mails_in_journal(spool->database, count_open, spool);
}

static bool apply_all(struct recovery *recovery) {
    struct spool *spool = recovery->spool;
    if (!position_read(spool->database, &recovery->end)) {
        return false;
    }
    journal_scan(spool->journal, recovery->end, apply_record, recovery);
    if (recovery->failed || !apply_files(recovery) || recovery->failed) {
        return false;
    }
    return sync_domains(spool) && position_write(spool->database, recovery->end);
}

bool spool_recover_rows(struct spool *spool, bool rebuild, struct buffer *error) {
    struct recovery recovery = {.spool = spool, .now = (int64_t)time(NULL), .own_contacts = !rebuild};
    bool good = database_begin(spool->database) && apply_all(&recovery) && count_open_mails(spool) &&
                database_commit(spool->database);
    if (!good) {
        buffer_format(error, "%s: the journal cannot be applied: %s", spool->options.database,
                      database_error(spool->database));
        database_advise(spool->database, error);
        database_rollback(spool->database);
        return false;
    }
    if (recovery.records + recovery.files + recovery.mails > 0) {
        log_info("recovered: %u journal records applied, %u mails added, %u files read", recovery.records,
                 recovery.mails, recovery.files);
    }
    spool->end = recovery.end;
    journal_set_file_bytes(spool->journal, spool->file_bytes);
    return true;
}

/* What lies before the new segment is in the rows: a start that is followed by no mail must not keep it. */
static bool start_journal(struct spool *spool, struct buffer *error) {
    struct journal_place durable;
    if (checkpoint_run(spool->database, spool->options.database, &durable)) {
        journal_set_durable(spool->journal, durable);
    }
    if (!journal_start(spool->journal, spool->end.segment, error)) {
        return false;
    }
    if (!position_write(spool->database, journal_end(spool->journal))) {
        buffer_format(error, "%s: cannot be written: %s", spool->options.database, database_error(spool->database));
        return false;
    }
    spool->end = journal_end(spool->journal);
    return true;
}

bool spool_recover(struct spool *spool, struct buffer *error) {
    return spool_recover_rows(spool, false, error) && start_journal(spool, error);
}
