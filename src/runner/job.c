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

struct job *job_find(struct runner *runner, uint32_t serial) {
    struct job *job = runner->jobs;
    while (job != NULL && job->serial != serial) {
        job = job->next;
    }
    return job;
}

static size_t recipients_a_job(const struct runner *runner) {
    size_t configured = (size_t)runner->config->agent_recipients;
    return configured > 0 && configured < JOB_RECIPIENTS_MAXIMUM ? configured : JOB_RECIPIENTS_MAXIMUM;
}

/* Moves parcels of the first one's mail from the queue into the job. */
static void take_parcels(struct runner *runner, struct job *job) {
    size_t most = recipients_a_job(runner), looked = 0;
    struct parcel *next;
    job->parcels = memory_new(most, sizeof *job->parcels);
    for (struct parcel *parcel = job->destination->first; parcel != NULL && job->count < most && looked < LOOK_AHEAD;
         parcel = next, looked++) {
        next = parcel->next;
        if (strcmp(parcel->mail_id, job->mail_id) == 0) {
            destination_unqueue(parcel);
            parcel->job = job;
            job->parcels[job->count++] = parcel;
        }
    }
}

static void set_ahead(struct runner *runner, struct job *job, bool ahead) {
    if (job->ahead != ahead) {
        job->ahead = ahead;
        job->destination->ahead += ahead ? 1 : (size_t)-1;
        runner->ahead_count += ahead ? 1 : (size_t)-1;
    }
}

/* NULL: it is ahead of the agents. */
static void set_agent(struct runner *runner, struct job *job, struct agent *agent) {
    set_ahead(runner, job, agent == NULL);
    job->agent = agent;
    if (agent != NULL) {
        agent->job = job;
    }
}

static struct job *oldest_ahead(struct runner *runner, const struct destination *destination) {
    struct job *oldest = NULL;
    for (struct job *job = runner->jobs; destination->ahead > 0 && job != NULL; job = job->next) {
        if (job->destination == destination && job->ahead) {
            oldest = job; /* new ones are put in front */
        }
    }
    return oldest;
}

bool job_take_ahead(struct runner *runner, struct destination *destination, struct agent *agent) {
    struct job *job;
    while ((job = oldest_ahead(runner, destination)) != NULL) {
        if (clock_now_ms() - job->begun_ms <= TRUST_MILLISECONDS) {
            set_agent(runner, job, agent);
            job_deliver(runner, job);
            return true;
        }
        job_abandon(runner, job); /* it may have been held or removed meanwhile */
    }
    return false;
}

void job_start(struct runner *runner, struct destination *destination, struct agent *agent) {
    if (clock_now_ms() - destination->first->added_ms > TRUST_MILLISECONDS) {
        due_confirm(runner, destination, destination->first->mail_id);
    }
    if (destination->first == NULL) {
        if (agent != NULL) {
            agent_becomes_idle(runner, agent);
        }
        return;
    }
    struct job *job = memory_new(1, sizeof *job);
    job->serial = ++runner->last_serial;
    job->state = JOB_FETCHING;
    job->fd = -1;
    job->destination = destination;
    job->begun_ms = clock_now_ms();
    set_agent(runner, job, agent);
    text_copy(job->mail_id, sizeof job->mail_id, text_of(destination->first->mail_id));
    envelope_init(&job->envelope);
    buffer_init(&job->cargo, CARGO_INLINE_MAXIMUM);
    buffer_init(&job->results, CHANNEL_MESSAGE_MAXIMUM);
    buffer_init(&job->notices, NOTICES_MAXIMUM);
    destination->jobs++;
    take_parcels(runner, job);
    job->next = runner->jobs;
    runner->jobs = job;
    runner->job_count++;
}

void job_free(struct runner *runner, struct job *job) {
    struct job **place = &runner->jobs;
    struct destination *destination = job->destination;
    while (*place != job) {
        place = &(*place)->next;
    }
    *place = job->next;
    runner->job_count--;
    if (job->state == JOB_RECORDING) {
        runner->recording_count--;
        destination->recording--;
    } else {
        set_ahead(runner, job, false);
        destination->jobs--;
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
    destination_release(runner, destination);
}

void job_abandon(struct runner *runner, struct job *job) {
    for (size_t i = 0; i < job->count; i++) {
        destination_queue(job->destination, job->parcels[i]);
    }
    job->count = 0;
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
    set_ahead(runner, job, false);
    if (job->agent != NULL) {
        agent_becomes_idle(runner, job->agent);
        job->agent = NULL;
    }
    record_result(runner, job, &result);
    buffer_free(&results);
}

/* The list of recipients for the agent; those that do not fit go back into the queue. */
static void pack_recipients(struct job *job, struct buffer *list) {
    size_t packed = 0;
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
        destination_queue(job->destination, job->parcels[i]);
    }
    job->count = packed > 0 ? packed : job->count;
}

void job_deliver(struct runner *runner, struct job *job) {
    struct buffer list;
    bool is_list;
    if (job->state != JOB_FETCHING || !job->has_content || job->agent == NULL || job->agent->peer == NULL) {
        return;
    }
    buffer_init(&list, RECIPIENTS_BYTES);
    pack_recipients(job, &list);
    is_list = asked_is_list(&job->envelope.recipients[job->parcels[0]->recipient]); /* as are all others of the job */
    struct agent_job order = {
        .mail_id = text_of(job->mail_id),
        .from_url = text_of(job->envelope.from_url),
        .destination = text_of(job->destination->domain),
        .recipients = buffer_text(&list),
        .cargo = job->fd < 0 ? buffer_text(&job->cargo) : TEXT_NONE,
        .place = job->fd < 0 ? CARGO_INLINE : CARGO_MEMFD,
        .eight_bit = job->envelope.body == BODY_8BITMIME,
        .offset = job->offset,
        .message_length = job->message_length,
        .headers_length = job->headers_length,
        .ret = is_list ? TEXT_NONE : text_of(job->envelope.ret),
        .envid = is_list ? TEXT_NONE : text_of(job->envelope.envid),
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

static bool send_fetch(struct runner *runner, struct job *job) {
    struct mail_fetch fetch = {.mail_id = text_of(job->mail_id)};
    job->fetch_sent = service_send(runner->ledger, MAIL_FETCH, job->serial, &fetch, -1) == CHANNEL_OK;
    return job->fetch_sent;
}

/* One job's message to the ledger, if one is due; false when the channel has no room. */
static bool pump(struct runner *runner, struct job *job) {
    int64_t now = clock_now_ms();
    if (job->state == JOB_FETCHING && !job->fetch_sent) {
        return send_fetch(runner, job);
    }
    if (job->state != JOB_RECORDING || job->record_sent) {
        return true;
    }
    if (job->record_after > now) {
        runner_soon(runner, job->record_after - now);
        return true;
    }
    return record_send(runner, job);
}

/* Results first: the sooner they are recorded, the less could be delivered twice. */
void job_pump(struct runner *runner) {
    for (int pass = 0; pass < 2; pass++) {
        for (struct job *job = runner->jobs; job != NULL; job = job->next) {
            if ((job->state == JOB_RECORDING) == (pass == 0) && !pump(runner, job)) {
                runner_soon(runner, FULL_MILLISECONDS);
                return;
            }
        }
    }
}
