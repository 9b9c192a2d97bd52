/* SPDX-License-Identifier: MIT
 * The parcels in memory: a bounded table by id. Called by all of the runner. A parcel leaves it only when its result is
 * recorded, or when the database says that it is no longer waiting. */
#include "base/clock.h"
#include "base/memory.h"
#include "runner/runner_private.h"
#include <stdlib.h>

#define BUCKETS 8192
#define FINISHED_SIZE 32768

static struct parcel **bucket_of(struct runner *runner, int64_t id) {
    if (runner->buckets == NULL) {
        runner->buckets = memory_new(BUCKETS, sizeof *runner->buckets);
        runner->finished = memory_new(FINISHED_SIZE, sizeof *runner->finished);
    }
    return &runner->buckets[(uint64_t)id % BUCKETS];
}

struct parcel *parcel_find(struct runner *runner, int64_t id) {
    struct parcel *parcel = *bucket_of(runner, id);
    while (parcel != NULL && parcel->id != id) {
        parcel = parcel->next_same_hash;
    }
    return parcel;
}

struct parcel *parcel_add(struct runner *runner, const struct schedule_parcel *due) {
    if (parcel_find(runner, due->parcel_id) != NULL ||
        runner->finished[(uint64_t)due->parcel_id % FINISHED_SIZE] == due->parcel_id) {
        return NULL;
    }
    if (runner->parcel_count >= PARCELS_MAXIMUM) {
        runner->overflow = true;
        return NULL;
    }
    struct parcel *parcel = memory_new(1, sizeof *parcel);
    struct parcel **bucket = bucket_of(runner, due->parcel_id);
    parcel->id = due->parcel_id;
    parcel->received_at = due->received_at;
    parcel->expires_at = due->expires_at;
    parcel->delayed_at = due->delayed_at;
    if (parcel->expires_at <= 0 && due->received_at > 0) {
        parcel->expires_at = due->received_at + runner->config->queue_lifetime;
    }
    parcel->added_ms = clock_now_ms();
    text_copy(parcel->mail_id, sizeof parcel->mail_id, text_of(due->mail_id));
    parcel->from_url = memory_string(text_of(due->from_url));
    parcel->target = memory_string(text_of(due->target));
    parcel->recipient = due->recipient;
    parcel->attempts = due->attempts;
    parcel->auto_generated = due->auto_generated;
    parcel->next_same_hash = *bucket;
    *bucket = parcel;
    runner->parcel_count++;
    destination_queue(destination_find(runner, (enum envelope_delivery)due->delivery, due->domain), parcel);
    return parcel;
}

void parcel_revive(struct runner *runner, int64_t id) {
    int64_t *finished = bucket_of(runner, id) != NULL ? &runner->finished[(uint64_t)id % FINISHED_SIZE] : NULL;
    if (finished != NULL && *finished == id) {
        *finished = 0;
    }
}

void parcel_end(struct runner *runner, struct parcel *parcel, enum parcel_end end) {
    struct parcel **place = bucket_of(runner, parcel->id);
    struct destination *destination = parcel->destination;
    if (end == PARCEL_FINISHED) {
        runner->finished[(uint64_t)parcel->id % FINISHED_SIZE] = parcel->id;
    }
    runner->deferred |= end == PARCEL_DEFERRED;
    operator_parcel_ended(runner, parcel, end);
    if (parcel->job == NULL) {
        destination_unqueue(parcel);
    }
    while (*place != parcel) {
        place = &(*place)->next_same_hash;
    }
    *place = parcel->next_same_hash;
    runner->parcel_count--;
    free(parcel->from_url);
    free(parcel->target);
    free(parcel);
    destination_release(runner, destination);
}

void parcel_each(struct runner *runner, parcel_visit *visit, void *context) {
    for (size_t i = 0; runner->buckets != NULL && i < BUCKETS; i++) {
        struct parcel *next;
        for (struct parcel *parcel = runner->buckets[i]; parcel != NULL; parcel = next) {
            next = parcel->next_same_hash;
            visit(runner, parcel, context);
        }
    }
}
