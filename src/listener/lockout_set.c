/* SPDX-License-Identifier: MIT
 * The contacts that are locked out: a chained hash table with a random seed, since strangers choose the keys. Used by
 * the listener at every accept; grows only when contacts are locked out. */
#include "listener/lockout_set.h"
#include "base/memory.h"
#include "base/network.h"
#include "base/random.h"
#include <stdlib.h>
#include <string.h>

#define FIRST_BUCKETS 64

struct lockout {
    char contact[NETWORK_IP_SIZE];
    int64_t began, until, last_at;
    uint32_t hits;
    struct lockout *next;
};
struct lockout_set {
    struct lockout **buckets;
    size_t bucket_count, count, maximum;
    uint64_t seed;
    bool has_hits;
};

struct lockout_set *lockout_set_new(size_t maximum) {
    struct lockout_set *set = memory_new(1, sizeof(*set));
    set->maximum = maximum;
    set->bucket_count = FIRST_BUCKETS;
    set->buckets = memory_new(set->bucket_count, sizeof(*set->buckets));
    random_fill(&set->seed, sizeof(set->seed));
    return set;
}

void lockout_set_free(struct lockout_set *set) {
    for (size_t i = 0; i < set->bucket_count; i++) {
        for (struct lockout *lockout = set->buckets[i], *next; lockout != NULL; lockout = next) {
            next = lockout->next;
            free(lockout);
        }
    }
    free(set->buckets);
    free(set);
}

size_t lockout_set_count(const struct lockout_set *set) {
    return set->count;
}

/* FNV-1a from a random start. */
static size_t bucket_of(const struct lockout_set *set, struct text contact, size_t bucket_count) {
    uint64_t hash = set->seed ^ 0xcbf29ce484222325u;
    for (size_t i = 0; i < contact.length; i++) {
        hash = (hash ^ (unsigned char)contact.data[i]) * 0x100000001b3u;
    }
    return (size_t)(hash ^ (hash >> 32)) & (bucket_count - 1);
}

static struct lockout **find(struct lockout_set *set, struct text contact) {
    struct lockout **place = &set->buckets[bucket_of(set, contact, set->bucket_count)];
    while (*place != NULL && !text_equal(text_of((*place)->contact), contact)) {
        place = &(*place)->next;
    }
    return place;
}

static void grow(struct lockout_set *set) {
    size_t bucket_count = set->bucket_count * 2;
    struct lockout **buckets = memory_new(bucket_count, sizeof(*buckets));
    for (size_t i = 0; i < set->bucket_count; i++) {
        for (struct lockout *lockout = set->buckets[i], *next; lockout != NULL; lockout = next) {
            next = lockout->next;
            size_t bucket = bucket_of(set, text_of(lockout->contact), bucket_count);
            lockout->next = buckets[bucket];
            buckets[bucket] = lockout;
        }
    }
    free(set->buckets);
    set->buckets = buckets;
    set->bucket_count = bucket_count;
}

static void forget(struct lockout_set *set, struct lockout **place) {
    struct lockout *gone = *place;
    *place = gone->next;
    free(gone);
    set->count--;
}

bool lockout_set_put(struct lockout_set *set, struct text contact, int64_t began, int64_t until) {
    struct lockout **place = find(set, contact);
    if (*place == NULL) {
        if (set->count >= set->maximum || contact.length >= NETWORK_IP_SIZE) {
            return false;
        }
        if (set->count >= set->bucket_count) {
            grow(set);
            place = find(set, contact);
        }
        *place = memory_new(1, sizeof(**place));
        text_copy((*place)->contact, sizeof((*place)->contact), contact);
        set->count++;
    }
    (*place)->began = began;
    (*place)->until = until;
    return true;
}

void lockout_set_remove(struct lockout_set *set, struct text contact) {
    struct lockout **place = find(set, contact);
    if (*place != NULL) {
        forget(set, place);
    }
}

bool lockout_set_attempt(struct lockout_set *set, struct text contact, int64_t now, const struct lockout_rules *rules) {
    if (set->count == 0) {
        return false;
    }
    struct lockout *lockout = *find(set, contact);
    if (lockout == NULL || now >= lockout->until) {
        return false;
    }
    int64_t last = lockout->began + rules->maximum;
    int64_t extended = now + rules->prohibited < last ? now + rules->prohibited : last;
    if (extended > lockout->until) {
        lockout->until = extended;
    }
    lockout->hits++;
    lockout->last_at = now;
    set->has_hits = true;
    return true;
}

void lockout_set_take_hits(struct lockout_set *set, lockout_visit *visit, void *context) {
    if (!set->has_hits) {
        return;
    }
    set->has_hits = false;
    for (size_t i = 0; i < set->bucket_count; i++) {
        for (struct lockout *lockout = set->buckets[i]; lockout != NULL; lockout = lockout->next) {
            if (lockout->hits == 0) {
                continue;
            }
            if (visit(context, lockout->contact, lockout->hits, lockout->last_at)) {
                lockout->hits = 0;
            } else {
                set->has_hits = true;
            }
        }
    }
}

void lockout_set_sweep(struct lockout_set *set, int64_t now) {
    for (size_t i = 0; i < set->bucket_count; i++) {
        for (struct lockout **place = &set->buckets[i]; *place != NULL;) {
            if (now >= (*place)->until && (*place)->hits == 0) {
                forget(set, place);
            } else {
                place = &(*place)->next;
            }
        }
    }
}
