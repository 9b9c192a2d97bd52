/* SPDX-License-Identifier: MIT
 * The ledger's answer to MAIL_FETCH: content taken in, envelope read, recipients that ended meanwhile left out. Called
 * by the runner's loop. A mail that is missing or unreadable is logged and deferred (it stays the operator's to find);
 * one whose parcels ended or were held in the meantime is dropped silently. */
#include "base/file.h"
#include "base/log.h"
#include "runner/runner_private.h"
#include <string.h>

static bool read_envelope_text(const struct job *job, const struct mail_content *content, struct buffer *text) {
    uint64_t start = (uint64_t)content->message_length + (uint64_t)content->headers_length;
    size_t length = (size_t)content->envelope_length;
    if (job->fd < 0) {
        return start + length <= content->cargo.length && buffer_append(text, content->cargo.data + start, length);
    }
    char *room = buffer_reserve(text, length);
    if (room == NULL || !file_pread_all(job->fd, room, length, (off_t)((uint64_t)content->offset + start))) {
        return false;
    }
    buffer_advance(text, length);
    return true;
}

static bool take_content(struct job *job, struct channel_message *message) {
    const struct mail_content *content = &message->values->mail_content;
    struct buffer text;
    if (content->offset < 0 || content->message_length < 0 || content->headers_length < 0 ||
        content->envelope_length <= 0 || content->envelope_length > (int64_t)ENVELOPE_TEXT_MAXIMUM) {
        return false;
    }
    job->fd = message->fd;
    message->fd = -1;
    job->offset = content->offset;
    job->message_length = content->message_length;
    job->headers_length = content->headers_length;
    buffer_init(&text, ENVELOPE_TEXT_MAXIMUM);
    bool good =
        (job->fd >= 0 || buffer_append_text(&job->cargo, content->cargo)) && read_envelope_text(job, content, &text);
    if (good) {
        envelope_free(&job->envelope);
        good = envelope_parse(buffer_text(&text), &job->envelope) && strcmp(job->envelope.mail_id, job->mail_id) == 0;
    }
    buffer_free(&text);
    return good;
}

/* What the spool says about a recipient goes before what the runner remembers. */
static bool is_still_wanted(const struct job *job, const struct parcel *parcel, enum parcel_end *end) {
    enum recipient_status status = job->envelope.recipients[parcel->recipient].status;
    *end = status == RECIPIENT_HELD || status == RECIPIENT_REMOVED ? PARCEL_DROPPED : PARCEL_FINISHED;
    if (status != RECIPIENT_QUEUED && *end == PARCEL_FINISHED) {
        log_error("%s: the parcel for %s is waiting, but the spool says it has ended (%c)", job->mail_id,
                  parcel->target, (char)status);
    }
    return status == RECIPIENT_QUEUED;
}

/* False when the envelope does not know one of the recipients. */
static bool drop_ended(struct runner *runner, struct job *job) {
    size_t kept = 0;
    for (size_t i = 0; i < job->count; i++) {
        if (job->parcels[i]->recipient >= job->envelope.recipient_count) {
            return false;
        }
    }
    for (size_t i = 0; i < job->count; i++) {
        enum parcel_end end;
        if (is_still_wanted(job, job->parcels[i], &end)) {
            job->parcels[kept++] = job->parcels[i];
        } else {
            parcel_end(runner, job->parcels[i], end);
        }
    }
    job->count = kept;
    return true;
}

/* Deferred like a failing host, but whoever asked for this run is told of an error. */
static void content_unreadable(struct runner *runner, struct job *job, const char *reply) {
    runner->failed = true;
    for (size_t i = 0; i < job->count; i++) {
        for (size_t run = 0; run < RUNS_MAXIMUM; run++) {
            runner->runs[run].failed |= (job->parcels[i]->runs >> run & 1u) != 0;
        }
    }
    job_fail(runner, job, RESULT_DEFERRED, reply);
}

/* The mail is not there. Perhaps rightly: its last parcels were removed. Those that the database still calls waiting
 * are deferred. */
static void content_missing(struct runner *runner, struct job *job) {
    char mail_id[MAIL_ID_SIZE];
    struct destination *destination = job->destination;
    size_t count = job->count;
    memcpy(mail_id, job->mail_id, sizeof mail_id);
    for (size_t i = 0; i < count; i++) {
        destination_queue(runner, destination, job->parcels[i], true);
    }
    due_confirm(runner, destination, mail_id);
    size_t kept = 0;
    struct parcel *next;
    for (struct parcel *parcel = destination->first; parcel != NULL && kept < count; parcel = next) {
        next = parcel->next;
        if (strcmp(parcel->mail_id, mail_id) == 0) {
            destination_unqueue(runner, parcel);
            parcel->job = job;
            job->parcels[kept++] = parcel;
        }
    }
    job->count = kept;
    if (kept == 0) {
        job_free(runner, job);
        return;
    }
    log_error("%s: the message is not in the spool, or cannot be read", mail_id);
    content_unreadable(runner, job, "451 4.3.0 the message is missing from the spool");
}

bool content_on_mail_content(void *context, struct service_peer *peer, struct channel_message *message) {
    struct runner *runner = context;
    struct job *job = job_find(runner, message->serial);
    (void)peer;
    if (job == NULL || job->state != JOB_FETCHING || job->has_content) {
        return true; /* the job was given up meanwhile */
    }
    switch ((enum content_found)message->values->mail_content.found) {
    case CONTENT_LATER:
        job_fetch_later(runner, job);
        return true;
    case CONTENT_MISSING:
        content_missing(runner, job);
        return true;
    case CONTENT_FOUND:
        break;
    }
    if (!take_content(job, message) || !drop_ended(runner, job)) {
        log_error("%s: what the spool holds is not a message with its envelope", job->mail_id);
        content_unreadable(runner, job, "451 4.3.0 the message cannot be read from the spool");
        return true;
    }
    job->has_content = true;
    if (job->count == 0) {
        job_free(runner, job);
    } else {
        job_deliver(runner, job);
    }
    return true;
}
