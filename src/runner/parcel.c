/* SPDX-License-Identifier: MIT
 * The parcels in memory: a bounded table by id. Called by all of the runner. A parcel leaves it only when its result is
 * recorded, when the database says that it is no longer waiting, or to make room: then the database has it still. */
#include "base/clock.h"
#include "base/memory.h"
#include "mail/address.h"
#include "runner/runner_private.h"
#include <stdlib.h>
#include <string.h>

#define BUCKETS 8192
#define FINISHED_SIZE 32768
#define ROOM_FOR_FRESH (PARCELS_MAXIMUM / 4) /* that what is read from the database leaves */
#define ROOM_A_DESTINATION 1000
#define ROOM_WHILE_IT_FAILS 100 /* or more than a quarter of memory is used */
#define ROOM_WHILE_FULL 10      /* more than half */
#define MANY_OF_A_LOGIN 100

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

struct config_pace parcel_pace(const struct runner *runner, const struct parcel *parcel) {
    return config_pace_for(runner->config, address_domain_of(text_of(parcel->target)), parcel->destination->elsewhere);
}

/* As its row was since it was read. */
static int64_t moved_with_clock(const struct parcel *parcel) {
    int64_t moved = clock_offset() - parcel->clock_offset;
    return clock_was_set(moved) ? moved : 0;
}

int64_t parcel_received(const struct parcel *parcel) {
    return parcel->received_at > 0 ? parcel->received_at + moved_with_clock(parcel) : 0;
}

/* What the row has beyond everybody's lifetime, the time in hold, is beyond that of a route block, too. */
int64_t parcel_expiry(const struct runner *runner, const struct parcel *parcel) {
    const struct config_pace pace = parcel_pace(runner, parcel);
    int64_t expires_at = parcel->expires_at;
    if (pace.queue_lifetime != runner->config->queue_lifetime && parcel->received_at > 0) {
        int64_t counts_from = expires_at - runner->config->queue_lifetime;
        expires_at = (counts_from > parcel->received_at ? counts_from : parcel->received_at) + pace.queue_lifetime;
    }
    return expires_at > 0 ? expires_at + moved_with_clock(parcel) : expires_at;
}

void parcel_take_expiry(struct parcel *parcel, int64_t expires_at) {
    if (expires_at > 0) {
        parcel->expires_at = expires_at - moved_with_clock(parcel);
    }
}

/* ---- room ---- */

size_t parcel_room(const struct runner *runner, const struct destination *destination, size_t more) {
    size_t held = runner->parcel_count + more;
    size_t room = held < PARCELS_MAXIMUM / 4   ? ROOM_A_DESTINATION
                  : held < PARCELS_MAXIMUM / 2 ? ROOM_WHILE_IT_FAILS
                                               : ROOM_WHILE_FULL;
    return destination->failures > 0 && room > ROOM_WHILE_IT_FAILS ? ROOM_WHILE_IT_FAILS : room;
}

static void remember_left(struct runner *runner, struct destination *destination, int64_t retry_at) {
    if (retry_at < destination->left_from) {
        destination->left_from = retry_at;
    }
    destination_want_refill(runner, destination);
}

static void leave(struct runner *runner, struct destination *destination, int64_t retry_at, bool rows_follow) {
    destination->rows_follow |= rows_follow;
    operator_left_some(runner);
    remember_left(runner, destination, retry_at);
}

static void forget(struct runner *runner, struct parcel *parcel) {
    struct parcel **place = bucket_of(runner, parcel->id);
    while (*place != parcel) {
        place = &(*place)->next_same_hash;
    }
    *place = parcel->next_same_hash;
    runner->parcel_count--;
    account_release(runner, parcel->account);
    free(parcel->from_url);
    free(parcel->target);
    free(parcel->bounce);
    free(parcel);
}

static struct destination *largest(const struct runner *runner) {
    struct destination *found = NULL;
    for (struct destination *one = runner->destinations; one != NULL; one = one->next_all) {
        if (found == NULL || one->waiting > found->waiting) {
            found = one;
        }
        if (found->waiting >= ROOM_WHILE_IT_FAILS) {
            break; /* large enough; looking on costs time */
        }
    }
    return found;
}

/* The parcel that has waited the least in a large destination goes back to the database, unless an operator waits for
 * it. */
static bool make_room(struct runner *runner) {
    struct destination *destination = largest(runner);
    struct parcel *parcel = destination != NULL ? destination->last : NULL;
    while (parcel != NULL && parcel->runs != 0) {
        parcel = parcel->previous;
    }
    if (parcel == NULL) {
        return false;
    }
    destination_unqueue(runner, parcel);
    leave(runner, destination, parcel->retry_at, true);
    forget(runner, parcel);
    destination_settle(runner, destination);
    return true;
}

/* A login that has to wait, with many behind it, leaves a quarter of a destination's room to others: else they would
 * wait there for all that it has sent. More than the half at which a destination is read on, lest it be read on for one
 * parcel at a time. */
static bool leaves_it_to_others(struct runner *runner, const struct destination *destination, const char *login) {
    bool limited = runner->config->account_limit > 0 || runner->config->account_rate > 0;
    return limited && destination->waiting >= parcel_room(runner, destination, 0) * 3 / 4 &&
           account_users(runner, login) >= MANY_OF_A_LOGIN;
}

/* What is read from the database stops where memory is full; what is pushed does not, nor mail for our own mailboxes,
 * of which few wait: else slow servers elsewhere would keep it in the database. */
static bool has_room(struct runner *runner, struct destination *destination, const struct schedule_parcel *due,
                     bool fresh) {
    if (!fresh && destination->remote && runner->parcel_count >= PARCELS_MAXIMUM - ROOM_FOR_FRESH) {
        runner->overflow = true;
        remember_left(runner, destination, due->retry_at);
        return false;
    }
    if (destination->waiting >= parcel_room(runner, destination, 0) ||
        leaves_it_to_others(runner, destination, due->account) ||
        (runner->parcel_count >= PARCELS_MAXIMUM && !make_room(runner))) {
        leave(runner, destination, due->retry_at, fresh);
        return false;
    }
    return true;
}

/* ---- in and out ---- */

static struct parcel *copy(struct runner *runner, const struct schedule_parcel *due) {
    struct parcel *parcel = memory_new(1, sizeof *parcel);
    parcel->id = due->parcel_id;
    parcel->received_at = due->received_at;
    parcel->retry_at = due->retry_at;
    parcel->expires_at = due->expires_at;
    parcel->delayed_at = due->delayed_at;
    if (parcel->expires_at <= 0 && due->received_at > 0) {
        parcel->expires_at = due->received_at + runner->config->queue_lifetime;
    }
    parcel->added_ms = clock_now_ms();
    parcel->clock_offset = clock_offset();
    text_copy(parcel->mail_id, sizeof parcel->mail_id, text_of(due->mail_id));
    parcel->from_url = memory_string(text_of(due->from_url));
    parcel->target = memory_string(text_of(due->target));
    parcel->bounce = due->bounce[0] != '\0' ? memory_string(text_of(due->bounce)) : NULL;
    parcel->account = account_use(runner, due->account);
    parcel->recipient = due->recipient;
    parcel->attempts = due->attempts;
    parcel->auto_generated = due->auto_generated;
    return parcel;
}

struct parcel *parcel_add(struct runner *runner, const struct schedule_parcel *due, bool fresh) {
    if (parcel_find(runner, due->parcel_id) != NULL ||
        runner->finished[(uint64_t)due->parcel_id % FINISHED_SIZE] == due->parcel_id) {
        return NULL;
    }
    struct destination *destination =
        destination_find(runner, (enum envelope_delivery)due->delivery, due->domain, due->target);
    if (!has_room(runner, destination, due, fresh)) {
        destination_release(runner, destination);
        return NULL;
    }
    struct parcel *parcel = copy(runner, due);
    struct parcel **bucket = bucket_of(runner, due->parcel_id);
    parcel->next_same_hash = *bucket;
    *bucket = parcel;
    runner->parcel_count++;
    operator_parcel_added(runner, parcel);
    destination_queue(runner, destination, parcel, parcel->bounce != NULL);
    return parcel;
}

void parcel_revive(struct runner *runner, int64_t id) {
    int64_t *finished = bucket_of(runner, id) != NULL ? &runner->finished[(uint64_t)id % FINISHED_SIZE] : NULL;
    if (finished != NULL && *finished == id) {
        *finished = 0;
    }
}

void parcel_end(struct runner *runner, struct parcel *parcel, enum parcel_end end) {
    struct destination *destination = parcel->destination;
    if (end == PARCEL_FINISHED) {
        runner->finished[(uint64_t)parcel->id % FINISHED_SIZE] = parcel->id;
    }
    runner->deferred |= end == PARCEL_DEFERRED;
    operator_parcel_ended(runner, parcel, end);
    if (parcel->job == NULL) {
        destination_unqueue(runner, parcel);
    }
    forget(runner, parcel);
    destination_release(runner, destination);
}

static void lead_anew(struct runner *runner, struct parcel *parcel, void *context) {
    struct destination *former = parcel->destination;
    enum envelope_delivery delivery = former->elsewhere ? DELIVERY_REMOTE : DELIVERY_LOCAL;
    char domain[ADDRESS_DOMAIN_MAXIMUM + 1];
    (void)context;
    if (parcel->job != NULL || !text_copy(domain, sizeof domain, address_domain_of(text_of(parcel->target)))) {
        return;
    }
    struct destination *now = destination_find(runner, delivery, domain, parcel->target);
    if (now == former) {
        return;
    }
    destination_unqueue(runner, parcel);
    destination_queue(runner, now, parcel, parcel->bounce != NULL);
    destination_settle(runner, former);
    destination_release(runner, former);
}

void parcel_lead_anew(struct runner *runner) {
    parcel_each(runner, lead_anew, NULL);
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
