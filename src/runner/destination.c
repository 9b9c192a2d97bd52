/* SPDX-License-Identifier: MIT
 * Destinations: where parcels wait, grouped by transport and domain, each in the list of where it stands, so that the
 * choice of what is started next need not look at the others. Called by the runner's loop. */
#include "base/clock.h"
#include "base/memory.h"
#include "mail/address.h"
#include "runner/runner_private.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BUCKETS 4096
#define WORTH_READING 500       /* parcels: for one at a time the database is not asked */
#define SEEN_MILLISECONDS 60000 /* a server that answered so lately is there */

/* FNV-1a over lower case */
static uint32_t hash_of(const char *domain) {
    uint32_t hash = 2166136261u;
    for (const char *c = domain; *c != '\0'; c++) {
        hash = (hash ^ (uint32_t)tolower((unsigned char)*c)) * 16777619u;
    }
    return hash;
}

static struct destination **bucket_of(struct runner *runner, const char *domain) {
    if (runner->destination_buckets == NULL) {
        runner->destination_buckets = memory_new(BUCKETS, sizeof *runner->destination_buckets);
    }
    return &runner->destination_buckets[hash_of(domain) % BUCKETS];
}

/* ---- which ---- */

struct destination_key {
    const char *transport, *domain;
    bool elsewhere, remote;
};

/* To exchangers, or to the one server of a transport block. */
static bool goes_by_smtp(const struct config *config, const char *transport) {
    const struct config_transport *block = config_transport_find(config, text_of(transport));
    return strcmp(block != NULL ? block->kind : transport, "smtp") == 0;
}

/* Mail to elsewhere is told apart by its domain. So is local mail of a domain with a route block, which may have a
 * transport, patience and pace of its own; the rest of it goes through local_transport together. */
static struct destination_key key_of(const struct config *config, enum envelope_delivery delivery, const char *domain,
                                     const char *target) {
    bool elsewhere = delivery == DELIVERY_REMOTE;
    if (!elsewhere && target[0] == '|') { /* elsewhere it is a letter as any other */
        return (struct destination_key){target + 1, "", false, goes_by_smtp(config, target + 1)};
    }
    const struct config_route *route = config_route_of(config, text_of(domain), elsewhere);
    const char *usual = elsewhere ? "smtp" : config->local_transport;
    const char *transport = route != NULL && route->transport[0] != '\0' ? route->transport : usual;
    return (struct destination_key){transport, elsewhere || route != NULL ? domain : "", elsewhere,
                                    goes_by_smtp(config, transport)};
}

static bool has_key(const struct destination *destination, const struct destination_key *key) {
    return destination->elsewhere == key->elsewhere && destination->remote == key->remote &&
           strcasecmp(destination->domain, key->domain) == 0 && strcmp(destination->transport, key->transport) == 0;
}

void destination_configure(struct runner *runner, struct destination *destination) {
    const struct config_pace pace =
        config_pace_for(runner->config, text_of(destination->domain), destination->elsewhere);
    destination->limit = pace.limit;
    destination->rate = pace.rate;
    destination->paused_until =
        pace.rate > 0 ? destination->next_ms : 0; /* what else it was paused for is tried anew */
    destination->paused_by_account = false;
    destination_settle(runner, destination);
}

/* A rate outlives the destination by what of it is used up. */
static void keep_rate(struct runner *runner, const struct destination *destination) {
    uint32_t hash = hash_of(destination->domain);
    if (destination->rate > 0 && destination->next_ms > clock_now_ms()) {
        runner->rates[hash % RATE_MEMORY] = (struct rate){.hash = hash, .next_ms = destination->next_ms};
    }
}

static void recall_rate(const struct runner *runner, struct destination *destination) {
    uint32_t hash = hash_of(destination->domain);
    const struct rate *kept = &runner->rates[hash % RATE_MEMORY];
    if (destination->rate > 0 && kept->hash == hash) {
        destination->next_ms = destination->paused_until = kept->next_ms;
    }
}

static struct destination *make(struct runner *runner, struct destination_key key, struct destination **bucket) {
    struct destination *destination = memory_new(1, sizeof *destination);
    destination->transport = memory_string(text_of(key.transport));
    destination->domain = memory_string(text_of(key.domain));
    text_lower(destination->domain); /* as the rows have it */
    destination->elsewhere = key.elsewhere;
    destination->remote = key.remote;
    destination_configure(runner, destination);
    recall_rate(runner, destination);
    destination->left_from = CLOCK_NEVER;
    destination->window = destination->remote ? 1 : SIZE_MAX; /* our own server has nothing to fear from us */
    destination->grows_fast = true;
    destination->next_same_hash = *bucket;
    *bucket = destination;
    destination->next_all = runner->destinations;
    if (destination->next_all != NULL) {
        destination->next_all->previous_all = destination;
    }
    runner->destinations = destination;
    standing_read(runner, destination);
    return destination;
}

struct destination *destination_find(struct runner *runner, enum envelope_delivery delivery, const char *domain,
                                     const char *target) {
    const struct destination_key key = key_of(runner->config, delivery, domain, target);
    struct destination **bucket = bucket_of(runner, key.domain);
    for (struct destination *found = *bucket; found != NULL; found = found->next_same_hash) {
        if (has_key(found, &key)) {
            return found;
        }
    }
    return make(runner, key, bucket);
}

/* Rows made by hand may have longer domains than there are: what passes a message's bounds could never be sent. */
struct text destination_name(const struct runner *runner, const struct destination *destination, char name[320]) {
    if (destination->domain[0] != '\0' || strcmp(destination->transport, runner->config->local_transport) == 0) {
        return text_first(text_of(destination->domain), ADDRESS_DOMAIN_MAXIMUM);
    }
    snprintf(name, 320, "|%s", destination->transport);
    return text_first(text_of(name), ADDRESS_DOMAIN_MAXIMUM);
}

void destination_release(struct runner *runner, struct destination *destination) {
    struct destination **place = bucket_of(runner, destination->domain);
    if (destination->waiting > 0 || destination->jobs > 0 || destination->recording > 0 || destination->agents > 0 ||
        destination->left_from != CLOCK_NEVER || destination->wants_refill) {
        return;
    }
    keep_rate(runner, destination);
    while (*place != destination) {
        place = &(*place)->next_same_hash;
    }
    *place = destination->next_same_hash;
    destination_settle(runner, destination); /* nothing waits: it is in no list */
    if (destination->previous_all != NULL) {
        destination->previous_all->next_all = destination->next_all;
    } else {
        runner->destinations = destination->next_all;
    }
    if (destination->next_all != NULL) {
        destination->next_all->previous_all = destination->previous_all;
    }
    free(destination->transport);
    free(destination->domain);
    free(destination->reason);
    free(destination);
}

/* ---- its parcels ---- */

void destination_want_refill(struct runner *runner, struct destination *destination) {
    if (destination->left_from != CLOCK_NEVER && !destination->wants_refill &&
        destination->waiting <= parcel_room(runner, destination, WORTH_READING) / 2) {
        struct destination **place = &runner->refills;
        while (*place != NULL && destination->remote && !(*place)->remote) { /* those for our own mailboxes: few */
            place = &(*place)->next_refill;
        }
        destination->wants_refill = true;
        destination->next_refill = *place;
        *place = destination;
    }
}

/* It was paused for logins that have to wait: not for mail of one that need not. */
static void end_pause_of_others(struct runner *runner, struct destination *destination, const struct parcel *parcel) {
    int64_t until;
    if (destination->place == PLACE_PAUSED && destination->paused_by_account &&
        account_may_start(runner, parcel->account, &until)) {
        destination->paused_until = 0;
    }
}

void destination_queue(struct runner *runner, struct destination *destination, struct parcel *parcel, bool first) {
    struct parcel *before = first ? NULL : destination->last, *behind = first ? destination->first : NULL;
    parcel->destination = destination;
    parcel->job = NULL;
    parcel->previous = before;
    parcel->next = behind;
    *(before != NULL ? &before->next : &destination->first) = parcel;
    *(behind != NULL ? &behind->previous : &destination->last) = parcel;
    destination->waiting++;
    end_pause_of_others(runner, destination, parcel);
    destination_settle(runner, destination);
}

void destination_unqueue(struct runner *runner, struct parcel *parcel) {
    struct destination *destination = parcel->destination;
    *(parcel->previous != NULL ? &parcel->previous->next : &destination->first) = parcel->next;
    *(parcel->next != NULL ? &parcel->next->previous : &destination->last) = parcel->previous;
    parcel->next = parcel->previous = NULL;
    destination->waiting--;
    destination_want_refill(runner, destination);
}

/* ---- where it stands ---- */

static void unlink_destination(struct runner *runner, struct destination *destination) {
    struct destination_list *list = &runner->places[destination->place];
    if (destination->place == PLACE_QUIET) {
        return;
    }
    *(destination->previous != NULL ? &destination->previous->next : &list->first) = destination->next;
    *(destination->next != NULL ? &destination->next->previous : &list->last) = destination->previous;
    destination->next = destination->previous = NULL;
}

static void link_last(struct runner *runner, struct destination *destination, enum destination_place place) {
    struct destination_list *list = &runner->places[place];
    destination->place = place;
    if (place == PLACE_QUIET) {
        return;
    }
    destination->previous = list->last;
    *(list->last != NULL ? &list->last->next : &list->first) = destination;
    list->last = destination;
}

static size_t jobs_allowed(const struct destination *destination) {
    size_t window = destination->failures > 0 ? 1 : destination->window;
    return window < (size_t)destination->limit ? window : (size_t)destination->limit;
}

bool destination_has_exchangers(const struct destination *destination) {
    return strcmp(destination->transport, "smtp") == 0;
}

bool destination_is_doubtful(const struct destination *destination) {
    return destination->remote && (!destination->answered || destination->failures > 0);
}

/* One that keeps every agent it has waiting gets no more meanwhile, unless it has just been seen to answer. */
static bool hangs(const struct destination *destination, size_t active) {
    bool seen = destination->answered_ms > 0 && clock_now_ms() - destination->answered_ms < SEEN_MILLISECONDS;
    return destination->remote && active > 0 && destination->slow >= active && !seen;
}

static enum destination_place place_of(const struct destination *destination) {
    size_t active = destination->jobs - destination->ahead;
    if (destination->waiting + destination->ahead == 0) {
        return PLACE_QUIET;
    }
    if (destination->waiting > 0 &&
        (destination->first->bounce != NULL || standing_rests(destination, (int64_t)time(NULL)))) {
        return destination->unread && destination->first->bounce == NULL ? PLACE_QUIET : PLACE_RESTS;
    }
    if (active >= jobs_allowed(destination) || hangs(destination, active)) {
        return PLACE_QUIET;
    }
    if (destination->paused_until > clock_now_ms()) {
        return PLACE_PAUSED;
    }
    return !destination->remote ? PLACE_LOCAL : destination_is_doubtful(destination) ? PLACE_NEW : PLACE_PROVEN;
}

void destination_settle(struct runner *runner, struct destination *destination) {
    enum destination_place place = place_of(destination);
    if (place != destination->place) {
        unlink_destination(runner, destination);
        link_last(runner, destination, place);
    }
    if (place == PLACE_PAUSED) {
        runner_soon(runner, destination->paused_until - clock_now_ms());
    }
}

void destination_turn(struct runner *runner, struct destination *destination) {
    unlink_destination(runner, destination);
    link_last(runner, destination, place_of(destination));
}

void destination_pause(struct runner *runner, struct destination *destination, int64_t until, bool by_account) {
    destination->paused_until = until;
    destination->paused_by_account = by_account;
    destination_settle(runner, destination);
}

void destination_wake_paused(struct runner *runner) {
    struct destination *next;
    int64_t now = clock_now_ms();
    for (struct destination *one = runner->places[PLACE_PAUSED].first; one != NULL; one = next) {
        next = one->next;
        if (one->paused_until <= now) {
            destination_settle(runner, one);
        } else {
            runner_soon(runner, one->paused_until - now);
        }
    }
}

void destination_wake_accounts(struct runner *runner) {
    struct destination *next;
    for (struct destination *one = runner->places[PLACE_PAUSED].first; one != NULL; one = next) {
        next = one->next;
        if (one->paused_by_account) {
            one->paused_until = 0;
            destination_settle(runner, one);
        }
    }
}
