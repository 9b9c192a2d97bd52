/* SPDX-License-Identifier: MIT
 * Destinations: where parcels wait, grouped by transport and domain, and the choice of what is started next. Called at
 * the end of each round. Everybody gets a turn: a destination that started a job goes to the end of the list. */
#include "base/clock.h"
#include "base/memory.h"
#include "runner/runner_private.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BUCKETS 1024
#define AHEAD_MAXIMUM 32   /* jobs whose content is fetched before there is an agent for them */
#define RECORDING_FACTOR 4 /* unrecorded results, in agent_limits, before nothing new is started */

/* Local mail goes by local_transport, which is lmtp by default where the key lmtp names a server. */
static const char *transport_for(const struct config *config, enum envelope_delivery delivery) {
    return delivery == DELIVERY_LOCAL ? config->local_transport : "smtp";
}

static struct destination **bucket_of(struct runner *runner, const char *domain) {
    uint32_t hash = 2166136261u; /* FNV-1a over lower case */
    for (const char *c = domain; *c != '\0'; c++) {
        hash = (hash ^ (uint32_t)tolower((unsigned char)*c)) * 16777619u;
    }
    if (runner->destination_buckets == NULL) {
        runner->destination_buckets = memory_new(BUCKETS, sizeof *runner->destination_buckets);
    }
    return &runner->destination_buckets[hash % BUCKETS];
}

static void link_last(struct runner *runner, struct destination *destination) {
    destination->previous = runner->last_destination;
    destination->next = NULL;
    if (runner->last_destination != NULL) {
        runner->last_destination->next = destination;
    } else {
        runner->destinations = destination;
    }
    runner->last_destination = destination;
}

static void unlink_destination(struct runner *runner, struct destination *destination) {
    if (destination->previous != NULL) {
        destination->previous->next = destination->next;
    } else {
        runner->destinations = destination->next;
    }
    if (destination->next != NULL) {
        destination->next->previous = destination->previous;
    } else {
        runner->last_destination = destination->previous;
    }
}

struct destination *destination_find(struct runner *runner, enum envelope_delivery delivery, const char *domain) {
    const char *transport = transport_for(runner->config, delivery);
    const char *name = delivery == DELIVERY_LOCAL ? "" : domain;
    struct destination **bucket = bucket_of(runner, name);
    for (struct destination *found = *bucket; found != NULL; found = found->next_same_hash) {
        if (strcasecmp(found->domain, name) == 0 && strcmp(found->transport, transport) == 0) {
            return found;
        }
    }
    struct destination *destination = memory_new(1, sizeof *destination);
    destination->transport = memory_string(text_of(transport));
    destination->domain = memory_string(text_of(name));
    destination->next_same_hash = *bucket;
    *bucket = destination;
    link_last(runner, destination);
    return destination;
}

bool destination_is_remote(const struct destination *destination) {
    return destination->domain[0] != '\0';
}

void destination_queue(struct destination *destination, struct parcel *parcel) {
    parcel->destination = destination;
    parcel->job = NULL;
    parcel->next = NULL;
    parcel->previous = destination->last;
    if (destination->last != NULL) {
        destination->last->next = parcel;
    } else {
        destination->first = parcel;
    }
    destination->last = parcel;
    destination->waiting++;
}

void destination_unqueue(struct parcel *parcel) {
    struct destination *destination = parcel->destination;
    if (parcel->previous != NULL) {
        parcel->previous->next = parcel->next;
    } else {
        destination->first = parcel->next;
    }
    if (parcel->next != NULL) {
        parcel->next->previous = parcel->previous;
    } else {
        destination->last = parcel->previous;
    }
    parcel->next = parcel->previous = NULL;
    destination->waiting--;
}

void destination_release(struct runner *runner, struct destination *destination) {
    struct destination **place = bucket_of(runner, destination->domain);
    if (destination->waiting > 0 || destination->jobs > 0 || destination->recording > 0 || destination->agents > 0) {
        return;
    }
    while (*place != destination) {
        place = &(*place)->next_same_hash;
    }
    *place = destination->next_same_hash;
    unlink_destination(runner, destination);
    free(destination->transport);
    free(destination->domain);
    free(destination);
}

static bool is_paused(struct runner *runner, const struct destination *destination) {
    int64_t pause = destination->paused_until > 0 ? destination->paused_until - clock_now_ms() : 0;
    if (pause > 0) {
        runner_soon(runner, pause);
    }
    return pause > 0;
}

static bool may_start(struct runner *runner, const struct destination *destination) {
    return destination->waiting + destination->ahead > 0 &&
           destination->jobs - destination->ahead < (size_t)runner->config->destination_limit &&
           !is_paused(runner, destination);
}

static bool agents_are_used_up(const struct runner *runner) {
    return runner->idle_count == 0 && runner->agent_count >= (size_t)runner->config->agent_limit;
}

/* One pass: at most one job for each destination. True when something was started. */
static bool start_round(struct runner *runner) {
    struct destination *next, *last = runner->last_destination;
    bool started = false;
    for (struct destination *destination = runner->destinations; destination != NULL; destination = next) {
        next = destination == last ? NULL : destination->next;
        if (agents_are_used_up(runner)) {
            return false;
        }
        struct agent *agent = may_start(runner, destination) ? agent_for(runner, destination) : NULL;
        if (agent == NULL) {
            continue; /* another destination may have an idle agent of its own */
        }
        unlink_destination(runner, destination);
        link_last(runner, destination);
        if (!job_take_ahead(runner, destination, agent)) {
            job_start(runner, destination, agent);
        }
        started = true;
    }
    return started;
}

/* The ledger answers between two flushes. An agent that asked only when it is idle would have one message a flush. */
static void fetch_ahead(struct runner *runner) {
    for (struct destination *destination = runner->destinations; destination != NULL; destination = destination->next) {
        while (destination->quick && destination->agents > 0 && destination->waiting > 0 &&
               runner->ahead_count < AHEAD_MAXIMUM && !is_paused(runner, destination)) {
            job_start(runner, destination, NULL);
        }
    }
}

void destination_start_jobs(struct runner *runner) {
    size_t unrecorded = RECORDING_FACTOR * (size_t)runner->config->agent_limit;
    while (!runner->stopping && runner->parcel_count > 0 && runner->recording_count < unrecorded &&
           start_round(runner)) {
    }
    if (!runner->stopping && runner->recording_count < unrecorded) {
        fetch_ahead(runner);
    }
}
