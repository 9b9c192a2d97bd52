/* SPDX-License-Identifier: MIT
 * A job's life up to the agent: parcels of one mail chosen, content fetched, handed over. Called by the runner's loop.
 * Content that cannot be had or read defers the parcels and is logged; the run goes on. */
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "runner/asked.h"
#include "runner/runner_private.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_AHEAD 1000         /* waiting parcels looked at for more of the same mail */
#define TRUST_MILLISECONDS 3000 /* parcels longer in memory are looked up again before they are delivered */
#define RECIPIENTS_BYTES (64u * 1024)
#define FULL_MILLISECONDS 20 /* a channel without room */
#define FETCH_AGAIN 1000     /* milliseconds, while the ledger's rows are refused */
#define LONG_QUEUE 100       /* of one destination */
#define NEWEST_EVERY 4       /* then one job in so many is the newest's */

static size_t recipients_a_job(const struct runner *runner) {
    size_t configured = (size_t)runner->config->agent_recipients;
    return configured > 0 && configured < JOB_RECIPIENTS_MAXIMUM ? configured : JOB_RECIPIENTS_MAXIMUM;
}

/* Moves parcels of the first one's mail and sender from the queue into the job. */
static void take_parcels(struct runner *runner, struct job *job) {
    size_t most = recipients_a_job(runner), looked = 0;
    const struct parcel *model = job->destination->first;
    const char *sender = model->from_url;
    bool returned = model->bounce != NULL;
    struct parcel *next;
    job->parcels = memory_new(most, sizeof *job->parcels);
    for (struct parcel *parcel = job->destination->first; parcel != NULL && job->count < most && looked < LOOK_AHEAD;
         parcel = next, looked++) {
        next = parcel->next;
        if (strcmp(parcel->mail_id, job->mail_id) == 0 && strcmp(parcel->from_url, sender) == 0 &&
            (parcel->bounce != NULL) == returned) {
            destination_unqueue(runner, parcel);
            parcel->job = job;
            job->parcels[job->count++] = parcel;
        }
    }
}

/* NULL: it is ahead of the agents. */
static void set_agent(struct runner *runner, struct job *job, struct agent *agent) {
    job_set_ahead(runner, job, agent == NULL);
    job->agent = agent;
    if (agent != NULL) {
        agent->job = job;
    }
}

bool job_take_ahead(struct runner *runner, struct destination *destination, struct agent *agent) {
    struct job *job;
    while ((job = destination->first_ahead) != NULL) {
        if (clock_now_ms() - job->begun_ms <= TRUST_MILLISECONDS) {
            set_agent(runner, job, agent);
            job_deliver(runner, job);
            destination_settle(runner, destination);
            return true;
        }
        job_abandon(runner, job); /* it may have been held or removed meanwhile */
    }
    return false;
}

/* A job of the first waiting mail; there is one. account: who sends it; NULL when it is not to be sent. */
static struct job *new_job(struct runner *runner, struct destination *destination, struct account *account) {
    struct job *job = memory_new(1, sizeof *job);
    job->serial = ++runner->last_serial;
    job->state = JOB_FETCHING;
    job->fd = -1;
    job->destination = destination;
    job->begun_ms = clock_now_ms();
    text_copy(job->mail_id, sizeof job->mail_id, text_of(destination->first->mail_id));
    envelope_init(&job->envelope);
    buffer_init(&job->cargo, CARGO_INLINE_MAXIMUM);
    buffer_init(&job->results, CHANNEL_MESSAGE_MAXIMUM);
    buffer_init(&job->notices, NOTICES_MAXIMUM);
    destination->jobs++;
    job->account = account;
    account_job_begins(runner, account);
    take_parcels(runner, job);
    job_list_add(runner, job);
    return job;
}

/* Brings a parcel to the front whose login may send now; false when there is none within sight: then it is paused. */
static bool find_allowed(struct runner *runner, struct destination *destination) {
    int64_t until, earliest = CLOCK_NEVER;
    size_t looked = 0;
    for (struct parcel *parcel = destination->first; parcel != NULL && looked < LOOK_AHEAD;
         parcel = parcel->next, looked++) {
        if (account_may_start(runner, parcel->account, &until)) {
            if (parcel != destination->first) {
                destination_unqueue(runner, parcel);
                destination_queue(runner, destination, parcel, true);
            }
            return true;
        }
        earliest = until < earliest ? until : earliest;
    }
    if (earliest != CLOCK_NEVER) {
        destination_pause(runner, destination, earliest, true);
    }
    return false;
}

/* New mail behind a long queue of others: every so often the newest goes first. */
static void prefer_newest(struct runner *runner, struct destination *destination) {
    struct parcel *newest = destination->last;
    if (destination->waiting >= LONG_QUEUE && ++destination->turns % NEWEST_EVERY == 0 &&
        newest->added_ms > destination->first->added_ms) {
        destination_unqueue(runner, newest);
        destination_queue(runner, destination, newest, true);
    }
}

bool job_may_start(struct runner *runner, struct destination *destination) {
    return destination->first_ahead != NULL || find_allowed(runner, destination);
}

bool job_start(struct runner *runner, struct destination *destination, struct agent *agent) {
    if (destination->first != NULL) {
        prefer_newest(runner, destination);
    }
    bool allowed = find_allowed(runner, destination);
    if (allowed && clock_now_ms() - destination->first->added_ms > TRUST_MILLISECONDS) {
        due_confirm(runner, destination, destination->first->mail_id);
        allowed = find_allowed(runner, destination);
    }
    if (!allowed || destination->first->bounce != NULL) { /* an operator gave that up: standing.c returns it */
        if (agent != NULL) {
            agent_becomes_idle(runner, agent);
        }
        destination_settle(runner, destination);
        return false;
    }
    struct job *job = new_job(runner, destination, destination->first->account);
    set_agent(runner, job, agent);
    destination_settle(runner, destination);
    return true;
}

void job_put_off(struct runner *runner, struct destination *destination) {
    bool tell = destination->first->bounce != NULL;
    char words[JOB_TEXT_MAXIMUM];
    struct job *job = new_job(runner, destination, NULL);
    job->untried = true;
    for (size_t i = 0; i < job->count; i++) {
        tell = tell || record_has_news(runner, job->parcels[i]);
    }
    if (!tell) { /* the content is not needed */
        standing_words(destination, words, sizeof words);
        job_fail(runner, job, RESULT_DEFERRED, words);
    }
}

/* Its destination and its login no longer count it as one that delivers. */
void job_leaves(struct runner *runner, struct job *job) {
    job_set_ahead(runner, job, false);
    job->destination->jobs--;
    account_job_ends(runner, job->account);
    job->account = NULL;
}

void job_free(struct runner *runner, struct job *job) {
    struct destination *destination = job->destination;
    job_list_remove(runner, job);
    if (job->state == JOB_RECORDING) {
        runner->recording_count--;
        destination->recording--;
        runner->unread_wanted |= destination->unread && destination->recording == 0;
    } else {
        job_leaves(runner, job);
    }
    if (job->agent != NULL) {
        agent_becomes_idle(runner, job->agent);
    }
    if (job->fd >= 0) {
        close(job->fd);
    }
    envelope_free(&job->envelope);
    buffer_free(&job->cargo);
    buffer_free(&job->results);
    buffer_free(&job->notices);
    free(job->parcels);
    free(job->ends);
    free(job);
    destination_settle(runner, destination);
    destination_want_refill(runner, destination);
    destination_release(runner, destination);
}

void job_abandon(struct runner *runner, struct job *job) {
    while (job->count > 0) {
        destination_queue(runner, job->destination, job->parcels[--job->count], true);
    }
    job_free(runner, job);
}

void job_fail(struct runner *runner, struct job *job, enum result_kind kind, const char *reply) {
    struct buffer results;
    buffer_init(&results, CHANNEL_MESSAGE_MAXIMUM);
    for (size_t i = 0; i < job->count; i++) {
        struct result_item item = {.recipient = job->parcels[i]->recipient, .kind = kind, .reply = text_of(reply)};
        list_add_result(&results, &item);
    }
    struct agent_result result = {
        .mail_id = text_of(job->mail_id),
        .results = buffer_text(&results),
        .route = text_of(job->destination->transport),
        .host = TEXT_NONE,
        .address = TEXT_NONE,
        .tls = TEXT_NONE,
        .started_at = (int64_t)time(NULL),
    };
    if (job->agent != NULL) {
        agent_becomes_idle(runner, job->agent);
        job->agent = NULL;
    }
    record_result(runner, job, &result);
    buffer_free(&results);
}

/* What is forwarded says for whom (Delivered-To): nobody else's copy may say so too. */
static void keep_one_kind(struct runner *runner, struct job *job) {
    const struct envelope_recipient *first = &job->envelope.recipients[job->parcels[0]->recipient];
    bool forwarded = envelope_is_forwarded(first);
    size_t kept = 0, count = job->count;
    for (size_t i = 0; i < count; i++) {
        const struct envelope_recipient *one = &job->envelope.recipients[job->parcels[i]->recipient];
        if (envelope_is_forwarded(one) == forwarded && (!forwarded || strcmp(one->to_url, first->to_url) == 0)) {
            job->parcels[kept++] = job->parcels[i];
        } else {
            destination_queue(runner, job->destination, job->parcels[i], true);
        }
    }
    job->count = kept;
}

/* The list of recipients for the agent; those that do not fit go back into the queue. */
static void pack_recipients(struct runner *runner, struct job *job, struct buffer *list) {
    size_t packed = 0;
    keep_one_kind(runner, job);
    for (; packed < job->count; packed++) {
        char orcpt[DSN_ORCPT_MAXIMUM + 1];
        const struct parcel *parcel = job->parcels[packed];
        const struct envelope_recipient *recipient = &job->envelope.recipients[parcel->recipient];
        struct job_recipient item = {
            .recipient = parcel->recipient,
            .target = text_of(parcel->target),
            .to_url = text_of(recipient->to_url),
            .notify = text_of(dsn_notify_text(asked_notify(&job->envelope, parcel->recipient))),
            .orcpt = text_of(asked_orcpt(&job->envelope, parcel->recipient, orcpt)),
        };
        if (!list_add_job_recipient(list, &item)) {
            break;
        }
    }
    for (size_t i = packed; i < job->count && packed > 0; i++) {
        destination_queue(runner, job->destination, job->parcels[i], true);
    }
    job->count = packed > 0 ? packed : job->count;
}

void job_deliver(struct runner *runner, struct job *job) {
    struct buffer list;
    bool is_list;
    char words[JOB_TEXT_MAXIMUM];
    if (job->untried && job->state == JOB_FETCHING && job->has_content && job->parcels[0]->bounce != NULL) {
        job_fail(runner, job, RESULT_FAILED, job->parcels[0]->bounce);
        return;
    }
    if (job->untried && job->state == JOB_FETCHING && job->has_content) {
        standing_words(job->destination, words, sizeof words);
        job_fail(runner, job, RESULT_DEFERRED, words);
        return;
    }
    if (job->state != JOB_FETCHING || !job->has_content || job->agent == NULL || job->agent->peer == NULL) {
        return;
    }
    buffer_init(&list, RECIPIENTS_BYTES);
    pack_recipients(runner, job, &list);
    is_list =
        envelope_has_owner(&job->envelope.recipients[job->parcels[0]->recipient]); /* as are all others of the job */
    struct agent_job order = {
        .mail_id = text_of(job->mail_id),
        .from_url = text_of(job->parcels[0]->from_url),
        .destination = destination_has_exchangers(job->destination) ? text_of(job->destination->domain) : TEXT_NONE,
        .recipients = buffer_text(&list),
        .cargo = job->fd < 0 ? buffer_text(&job->cargo) : TEXT_NONE,
        .place = job->fd < 0 ? CARGO_INLINE : CARGO_MEMFD,
        .body = job->envelope.body,
        .utf8 = job->envelope.utf8 != 0,
        .requiretls = job->envelope.requiretls != 0,
        .tls_optional = job->envelope.tls_optional != 0,
        .solicit = text_of(job->envelope.solicit),
        .offset = job->offset,
        .message_length = job->message_length,
        .headers_length = job->headers_length,
        .ret = is_list ? TEXT_NONE : text_of(job->envelope.ret),
        .envid = is_list ? TEXT_NONE : text_of(job->envelope.envid),
        .tls_memory = standing_tls(runner, job->destination),
        .local = job->envelope.recipients[job->parcels[0]->recipient].delivery == DELIVERY_LOCAL,
    };
    struct agent *agent = job->agent;
    enum channel_result sent = service_send(agent->peer, AGENT_JOB, job->serial, &order, job->fd);
    buffer_free(&list);
    job->state = JOB_DELIVERING;
    if (sent != CHANNEL_OK) {
        job->agent = NULL;
        agent->job = NULL;
        agent_end(runner, agent);
        job_fail(runner, job, RESULT_DEFERRED, "451 4.3.0 the job could not be handed to a delivery agent");
    }
}

void job_fetch_later(struct runner *runner, struct job *job) {
    job->send_after = clock_deadline(FETCH_AGAIN);
    job_set_place(runner, job, JOB_TO_FETCH);
}

/* Waits for its time; the round that has come then looks again. */
static bool is_early(struct runner *runner, const struct job *job) {
    int64_t left = job->send_after - clock_now_ms();
    if (left > 0) {
        runner_soon(runner, left);
    }
    return left > 0;
}

static bool send_fetch(struct runner *runner, struct job *job) {
    struct mail_fetch fetch = {.mail_id = text_of(job->mail_id)};
    if (service_send(runner->ledger, MAIL_FETCH, job->serial, &fetch, -1) != CHANNEL_OK) {
        return false;
    }
    job_set_place(runner, job, JOB_IN_HAND);
    return true;
}

/* Results first: the sooner they are recorded, the less could be delivered twice. */
void job_pump(struct runner *runner) {
    bool room = true;
    struct job *next;
    for (struct job *job = runner->jobs[JOB_TO_RECORD].first; room && job != NULL; job = next) {
        next = job->next;
        room = is_early(runner, job) || record_send(runner, job);
    }
    for (struct job *job = runner->jobs[JOB_TO_FETCH].first; room && job != NULL; job = next) {
        next = job->next;
        room = is_early(runner, job) || send_fetch(runner, job);
    }
    if (!room) {
        runner_soon(runner, FULL_MILLISECONDS);
    }
}
