/* SPDX-License-Identifier: MIT
 * How a destination does as a whole. An attempt that reached no server makes it rest: the next one is a single probe,
 * what waits meanwhile is put off without an attempt; a good probe lets everything go. Success makes room for more
 * agents, trouble takes it away. What is worth remembering goes into the table destinations with the result that showed
 * it. Called by the runner's loop; a table that cannot be read is logged, and nothing is known then. */
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "runner/retry.h"
#include "runner/runner_private.h"
#include "store/destinations.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEN_MILLISECONDS 60000 /* whoever answered so lately is not called unreachable by one of many agents */
#define TLS_REFRESH 86400       /* seconds: the row is written again for the same finding */
#define PUT_OFF_AT_ONCE 100
#define RELEASE_FURTHEST (366 * 86400) /* all of it, by its index */
#define RELEASE_LOCAL 600              /* without one; our own servers do not rest for long */
#define RECORDING_FACTOR 4
#define ROUNDS_AFTER_TROUBLE 10 /* of successes, for one more agent */
#define REASON_MAXIMUM 400

static int64_t now_seconds(void) {
    return (int64_t)time(NULL);
}

static void set_reason(struct destination *destination, struct text reason) {
    free(destination->reason);
    destination->reason = reason.length > 0 ? memory_string(text_first(reason, REASON_MAXIMUM)) : NULL;
}

void standing_read(struct runner *runner, struct destination *destination) {
    struct destinations_row row;
    char name[320];
    destination->unread = destination->recording > 0;
    if (destination->unread) {
        return; /* what is under way to the table is newer than the table */
    }
    switch (destinations_find(runner->database, destination_name(runner, destination, name), &row)) {
    case DESTINATIONS_YES:
        destination->answered |= row.failures == 0;
        destination->failures = row.failures;
        destination->rests_until = row.retry_at;
        destination->tls = row.tls;
        destination->tls_at = row.tls_at;
        set_reason(destination, text_of(row.reason));
        break;
    case DESTINATIONS_NO:
        destination->failures = 0;
        destination->tls = TLS_MEMORY_NONE;
        break;
    case DESTINATIONS_ERROR:
        log_error("what is known of %s cannot be read: %s", destination->domain, database_error(runner->database));
        break;
    }
}

/* A result that is recorded is in the journal; its rows come a little later. */
void standing_want_rows(struct runner *runner) {
    if (!runner->unread_wanted || runner->rows_asked) { /* what was asked for before may be too little */
        return;
    }
    if (due_ask_for_rows(runner)) {
        runner->unread_wanted = false;
        runner->unread_asked = true;
    } else {
        runner_soon(runner, 1);
    }
}

void standing_read_on(struct runner *runner) {
    if (!runner->unread_asked || runner->unread_wanted) {
        return; /* it was asked for less */
    }
    runner->unread_asked = false;
    for (struct destination *one = runner->destinations; one != NULL; one = one->next_all) {
        if (one->unread && one->recording == 0) {
            standing_read(runner, one);
            destination_settle(runner, one);
        }
    }
}

bool standing_rests(const struct destination *destination, int64_t now) {
    return destination->failures > 0 && destination->rests_until > now;
}

void standing_allow(struct runner *runner, struct destination *destination) {
    destination->rests_until = 0;
    destination_settle(runner, destination);
}

uint32_t standing_tls(const struct runner *runner, const struct destination *destination) {
    return destination->tls_at + runner->config->outbound_tls_memory > now_seconds() ? destination->tls
                                                                                     : TLS_MEMORY_NONE;
}

/* ---- success ---- */

static void grow(struct destination *destination) {
    size_t needed = destination->grows_fast ? 1 : ROUNDS_AFTER_TROUBLE * destination->window;
    if (destination->window < (size_t)destination->limit && ++destination->successes >= needed) {
        destination->window++;
        destination->successes = 0;
    }
}

static void take_tls(struct destination *destination, struct job *job, uint32_t shown) {
    int64_t now = now_seconds();
    if (shown == TLS_MEMORY_NONE || (shown == destination->tls && destination->tls_at > now - TLS_REFRESH)) {
        return;
    }
    destination->tls = shown;
    destination->tls_at = now;
    job->tls_memory = shown;
    job->standing = DESTINATION_ANSWERED;
}

static void answered(struct runner *runner, struct destination *destination, struct job *job,
                     const struct agent_result *result) {
    destination->answered = true;
    destination->answered_ms = clock_now_ms();
    grow(destination);
    take_tls(destination, job, result->tls_memory);
    if (destination->failures == 0) {
        return;
    }
    log_info("%s %s answers again after %u failures", destination->transport, destination->domain,
             destination->failures);
    destination->failures = 0;
    destination->rests_until = 0;
    set_reason(destination, TEXT_NONE);
    job->standing = DESTINATION_ANSWERED;
    due_release(runner, destination, now_seconds() + (destination->remote ? RELEASE_FURTHEST : RELEASE_LOCAL));
}

/* ---- trouble ---- */

static void shrink(struct destination *destination) {
    if (destination->remote) {
        destination->window = destination->window > 1 ? destination->window / 2 : 1;
        destination->grows_fast = false;
        destination->successes = 0;
    }
}

/* Our own servers are asked again as soon as the schedule allows: they are not to be spared, and mail must not lie
 * when they are back. */
static int64_t rest_until(const struct runner *runner, const struct destination *destination) {
    const struct config_pace pace =
        config_pace_for(runner->config, text_of(destination->domain), destination->elsewhere);
    return retry_next(pace.retry_seconds, pace.retry_count, destination->remote ? destination->failures : 0,
                      now_seconds(), 0);
}

static struct text first_reply(struct text list) {
    struct result_item item;
    bool bad = false;
    return list_next_result(&list, &item, &bad) ? item.reply : TEXT_NONE;
}

static void unreachable(struct runner *runner, struct destination *destination, struct job *job,
                        const struct agent_result *result) {
    int64_t now = now_seconds();
    char when[CLOCK_TEXT_SIZE];
    shrink(destination);
    if (destination->jobs > 1 && destination->answered_ms > 0 && destination->failures == 0 &&
        clock_now_ms() - destination->answered_ms < SEEN_MILLISECONDS) {
        return; /* others are being served: it does not want so many at one time */
    }
    if (!standing_rests(destination, now)) {
        destination->rests_until = rest_until(runner, destination);
        destination->failures++;
        set_reason(destination, first_reply(result->results));
        job->standing = DESTINATION_UNREACHABLE;
        clock_text((time_t)destination->rests_until, when);
        log_info("%s %s rests until %s after %u failures: %s", destination->transport, destination->domain, when,
                 destination->failures, destination->reason != NULL ? destination->reason : "");
    }
    job->rests_until = destination->rests_until;
    if (destination->remote) {
        destination->window = 1;
        destination->grows_fast = true;
    }
}

static bool any_delivered(struct text list) {
    struct result_item item;
    bool bad = false;
    while (list_next_result(&list, &item, &bad)) {
        if (item.kind == RESULT_DELIVERED) {
            return true;
        }
    }
    return false;
}

void standing_take(struct runner *runner, struct job *job, const struct agent_result *result) {
    if (result->standing == DESTINATION_UNREACHABLE) {
        unreachable(runner, job->destination, job, result);
    } else if (result->standing == DESTINATION_ANSWERED || any_delivered(result->results)) {
        answered(runner, job->destination, job, result);
    }
}

/* ---- what waits meanwhile ---- */

void standing_words(const struct destination *destination, char *words, size_t size) {
    char when[CLOCK_TEXT_SIZE];
    clock_text((time_t)destination->rests_until, when);
    snprintf(words, size, "451 4.4.1 not tried before %s UTC; last answer there: %s", when,
             destination->reason != NULL ? destination->reason : "none");
}

void standing_put_off(struct runner *runner) {
    struct destination *destination;
    size_t room = RECORDING_FACTOR * (size_t)runner->config->agent_limit;
    for (int i = 0; (destination = runner->places[PLACE_RESTS].first) != NULL; i++) {
        if (i == PUT_OFF_AT_ONCE || runner->recording_count >= room) {
            runner_soon(runner, 1);
            return;
        }
        if (destination->waiting > 0 &&
            (destination->first->bounce != NULL || standing_rests(destination, now_seconds()))) {
            job_put_off(runner, destination);
        }
        destination_turn(runner, destination);
    }
}
