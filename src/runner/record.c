/* SPDX-License-Identifier: MIT
 * What a result means and how it becomes durable: delivered, deferred until the schedule's next time, failed or expired
 * (then with a notice in the same MAIL_RESULT). Called by the runner's loop. A result the ledger could not record is
 * sent again later; its parcels stay in memory meanwhile, so that nothing is delivered twice. */
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "runner/retry.h"
#include "runner/runner_private.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AGAIN_FIRST 2000
#define AGAIN_LONGEST 60000
#define QUICK_MILLISECONDS 100 /* deliveries that take less are worth fetching ahead for */
#define NO_RESULT "451 4.3.0 the delivery agent gave no result"

static const char *const kind_names[] = {
    [RESULT_DELIVERED] = "delivered", [RESULT_DEFERRED] = "deferred", [RESULT_FAILED] = "failed"};

/* The item of this recipient in the list, or a deferral when there is none. */
static struct result_item find_item(struct text list, uint32_t recipient) {
    struct result_item item;
    bool bad = false;
    while (list_next_result(&list, &item, &bad)) {
        if (item.recipient == recipient) {
            return item;
        }
    }
    return (struct result_item){.recipient = recipient, .kind = RESULT_DEFERRED, .reply = TEXT(NO_RESULT)};
}

/* Its destination's time, where that rests; else its own. */
static int64_t next_time(const struct runner *runner, const struct job *job, const struct parcel *parcel,
                         int64_t expires_at) {
    int64_t now = (int64_t)time(NULL), rests = job->untried ? job->destination->rests_until : job->rests_until;
    if (rests == 0) {
        const struct config_pace pace = parcel_pace(runner, parcel);
        return retry_next(pace.retry_seconds, pace.retry_count, parcel->attempts, now, expires_at);
    }
    rests = rests > now ? rests : now + 1;
    return expires_at > 0 && rests > expires_at ? expires_at : rests;
}

bool record_has_news(const struct runner *runner, const struct parcel *parcel) {
    return retry_is_over((int64_t)time(NULL), parcel_expiry(runner, parcel)) || record_is_late(runner, parcel);
}

/* A deferral past the end of the queue's patience is a failure, RFC 3463 X.4.7. */
static void decide(const struct runner *runner, const struct job *job, const struct parcel *parcel,
                   struct result_item item, struct record_outcome *outcome) {
    int64_t now = (int64_t)time(NULL), expires_at = parcel_expiry(runner, parcel);
    if (item.kind == RESULT_DEFERRED && parcel->bounce != NULL) { /* an operator gave it up meanwhile */
        item.kind = RESULT_FAILED;
        item.reply = text_of(parcel->bounce);
    }
    *outcome = (struct record_outcome){.parcel = parcel, .item = item, .said = item.reply};
    text_copy(outcome->reply, JOB_TEXT_MAXIMUM, item.reply);
    if (item.kind == RESULT_DEFERRED && retry_is_over(now, expires_at)) {
        outcome->item.kind = RESULT_FAILED;
        outcome->expired = true;
        snprintf(outcome->reply, sizeof outcome->reply, "554 4.4.7 delivery time expired; last: %.*s",
                 TEXT_ARGS(text_first(item.reply, JOB_TEXT_MAXIMUM - 1)));
    } else if (item.kind == RESULT_DEFERRED) {
        outcome->item.retry_at = next_time(runner, job, parcel, expires_at);
    }
    outcome->item.reply = text_of(outcome->reply);
}

static void log_item(const struct job *job, const struct parcel *parcel, const struct result_item *item) {
    char to[400], retry[CLOCK_TEXT_SIZE + 16] = "", when[CLOCK_TEXT_SIZE];
    if (item->kind == RESULT_DEFERRED) {
        clock_text((time_t)item->retry_at, when);
        snprintf(retry, sizeof retry, ", again at %s", when);
    }
    text_printable(to, sizeof to, text_of(parcel->target));
    log_set_tag(job->mail_id);
    if (job->untried) {
        log_debug("to <%s> %s%s: %.*s", to, kind_names[item->kind], retry, TEXT_ARGS(item->reply));
    } else {
        log_info("to <%s> %s%s, %s, host %s %s, %lld ms: %.*s", to, kind_names[item->kind], retry, job->route,
                 job->host[0] != '\0' ? job->host : "none", job->address, (long long)job->milliseconds,
                 TEXT_ARGS(item->reply));
    }
    log_set_tag("");
}

static void take_facts(struct job *job, const struct agent_result *result) {
    text_copy(job->route, sizeof job->route, result->route);
    text_copy(job->host, sizeof job->host, result->host);
    text_copy(job->address, sizeof job->address, result->address);
    text_copy(job->tls, sizeof job->tls, result->tls);
    job->started_at = result->started_at;
    job->milliseconds = result->milliseconds;
}

/* What goes to the ledger, and what is done with the parcels once it is there. */
static void take_outcomes(struct job *job, const struct record_outcome *outcomes) {
    job->earliest_retry = CLOCK_NEVER;
    for (size_t i = 0; i < job->count; i++) {
        const struct result_item *item = &outcomes[i].item;
        job->ends[i] = item->kind == RESULT_DEFERRED ? PARCEL_DEFERRED : PARCEL_FINISHED;
        if (item->kind == RESULT_DEFERRED && item->retry_at < job->earliest_retry) {
            job->earliest_retry = item->retry_at;
        }
        if (!list_add_result(&job->results, item)) {
            log_error("%s: the results of %zu recipients do not fit into one message", job->mail_id, job->count);
        }
        log_item(job, job->parcels[i], item);
    }
}

void record_result(struct runner *runner, struct job *job, const struct agent_result *result) {
    struct record_outcome *outcomes = memory_new(job->count, sizeof *outcomes);
    take_facts(job, result);
    job->ends = memory_new(job->count, sizeof *job->ends);
    for (size_t i = 0; i < job->count; i++) {
        decide(runner, job, job->parcels[i], find_item(result->results, job->parcels[i]->recipient), &outcomes[i]);
    }
    record_notices(runner, job, outcomes);
    record_vacations(runner, job, outcomes);
    take_outcomes(job, outcomes);
    free(outcomes);
    buffer_free(&job->cargo);
    buffer_init(&job->cargo, CARGO_INLINE_MAXIMUM);
    job->state = JOB_RECORDING;
    job_set_place(runner, job, JOB_TO_RECORD);
    job_leaves(runner, job);
    job->destination->recording++;
    runner->recording_count++;
    destination_settle(runner, job->destination);
}

bool record_send(struct runner *runner, struct job *job) {
    char name[320];
    struct mail_result message = {
        .mail_id = text_of(job->mail_id),
        .results = buffer_text(&job->results),
        .route = text_of(job->route),
        .host = text_of(job->host),
        .address = text_of(job->address),
        .tls = text_of(job->tls),
        .started_at = job->started_at,
        .milliseconds = job->milliseconds,
        .notices = buffer_text(&job->notices),
        .untried = job->untried,
        .destination = destination_name(runner, job->destination, name),
        .standing = job->standing,
        .rests_until = job->rests_until,
        .tls_memory = job->tls_memory,
    };
    enum channel_result sent = service_send(runner->ledger, MAIL_RESULT, job->serial, &message, -1);
    if (sent == CHANNEL_BAD) {
        log_error("%s: a result passes the bounds of a message", job->mail_id);
    }
    if (sent == CHANNEL_OK) {
        job_set_place(runner, job, JOB_IN_HAND);
    }
    return sent == CHANNEL_OK;
}

bool record_on_agent_result(void *context, struct service_peer *peer, struct channel_message *message) {
    struct runner *runner = context;
    const struct agent_result *result = &message->values->agent_result;
    struct agent *agent = peer->data;
    struct job *job = agent->job;
    if (job == NULL || job->state != JOB_DELIVERING || job->serial != message->serial) {
        log_error("an agent reported a job that it does not have");
        return false;
    }
    job->agent = NULL;
    job->destination->quick = result->milliseconds < QUICK_MILLISECONDS;
    agent_becomes_idle(runner, agent);
    if (result->reusable == 0 || runner->stopping) {
        agent_end(runner, agent);
    }
    standing_take(runner, job, result);
    record_result(runner, job, result);
    return true;
}

/* The ledger could not: the spool is full, the disk fails. The same message goes again, later and later. */
static void record_again(struct runner *runner, struct job *job, uint32_t outcome) {
    int64_t pause = AGAIN_FIRST;
    for (unsigned i = 0; i < job->record_tries && pause < AGAIN_LONGEST; i++) {
        pause *= 2;
    }
    pause = pause < AGAIN_LONGEST ? pause : AGAIN_LONGEST;
    if (job->record_tries++ == 0) {
        log_error("%s: the ledger could not record a result (%s); trying again", job->mail_id,
                  outcome == COMMIT_FULL      ? "the spool is full"
                  : outcome == COMMIT_INVALID ? "refused"
                                              : "failed");
    }
    job_set_place(runner, job, JOB_TO_RECORD);
    job->send_after = clock_deadline(pause);
    runner_soon(runner, pause);
}

bool record_on_mail_recorded(void *context, struct service_peer *peer, struct channel_message *message) {
    struct runner *runner = context;
    struct job *job = job_find(runner, message->serial);
    uint32_t outcome = message->values->mail_recorded.outcome;
    (void)peer;
    if (job == NULL || job->state != JOB_RECORDING || job->place != JOB_IN_HAND) {
        log_error("the ledger recorded a result that was not sent");
        return true;
    }
    if (outcome != COMMIT_OK) {
        record_again(runner, job, outcome);
        return true;
    }
    for (size_t i = 0; i < job->count; i++) {
        parcel_end(runner, job->parcels[i], job->ends[i]);
    }
    job->count = 0;
    if (job->earliest_retry != CLOCK_NEVER) {
        due_again_at(runner, job->earliest_retry);
    }
    job_free(runner, job);
    return true;
}
