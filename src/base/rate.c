/* SPDX-License-Identifier: MIT
 * Rates, see rate.h: a chained hash table with a random seed, since strangers choose the keys. What has run out is
 * swept when the table has doubled, so that a key costs its share of one sweep. */
#include "base/rate.h"
#include "base/memory.h"
#include "base/random.h"
#include <stdlib.h>
#include <string.h>

#define FIRST_BUCKETS 256
#define MICROSECONDS 1000 /* a millisecond */
#define SWEEP_PAUSE 1000000

struct entry {
    struct entry *next;
    int64_t free_at; /* microseconds: when all of the limit is there again */
    unsigned kind;
    unsigned char length;
    char key[];
};
struct rate_table {
    struct entry **buckets;
    size_t bucket_count, count, maximum, sweep_at;
    int64_t next_sweep;
    uint64_t seed;
};

struct rate_table *rate_table_new(size_t maximum) {
    struct rate_table *table = memory_new(1, sizeof *table);
    table->maximum = maximum;
    table->bucket_count = table->sweep_at = FIRST_BUCKETS;
    table->buckets = memory_new(table->bucket_count, sizeof *table->buckets);
    random_fill(&table->seed, sizeof table->seed);
    return table;
}

void rate_table_free(struct rate_table *table) {
    for (size_t i = 0; table != NULL && i < table->bucket_count; i++) {
        for (struct entry *entry = table->buckets[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            free(entry);
        }
    }
    if (table != NULL) {
        free(table->buckets);
    }
    free(table);
}

size_t rate_table_count(const struct rate_table *table) {
    return table->count;
}

/* FNV-1a from a random start. */
static size_t bucket_of(const struct rate_table *table, unsigned kind, struct text key, size_t bucket_count) {
    uint64_t hash = (table->seed ^ kind) * 0x100000001b3u;
    for (size_t i = 0; i < key.length; i++) {
        hash = (hash ^ (unsigned char)key.data[i]) * 0x100000001b3u;
    }
    return (size_t)(hash ^ (hash >> 32)) & (bucket_count - 1);
}

static struct text key_of(const struct entry *entry) {
    return (struct text){entry->key, entry->length};
}

static void sweep(struct rate_table *table, int64_t now) {
    for (size_t i = 0; i < table->bucket_count; i++) {
        for (struct entry **place = &table->buckets[i]; *place != NULL;) {
            struct entry *entry = *place;
            if (entry->free_at > now) {
                place = &entry->next;
                continue;
            }
            *place = entry->next;
            free(entry);
            table->count--;
        }
    }
}

static void grow(struct rate_table *table) {
    size_t bucket_count = table->bucket_count * 2;
    struct entry **buckets = memory_new(bucket_count, sizeof *buckets);
    for (size_t i = 0; i < table->bucket_count; i++) {
        for (struct entry *entry = table->buckets[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            size_t bucket = bucket_of(table, entry->kind, key_of(entry), bucket_count);
            entry->next = buckets[bucket];
            buckets[bucket] = entry;
        }
    }
    free(table->buckets);
    table->buckets = buckets;
    table->bucket_count = bucket_count;
}

/* Room for one more, or false. A table that is full of what still counts is not searched at every event. */
static bool make_room(struct rate_table *table, int64_t now) {
    if (table->count >= table->sweep_at && now >= table->next_sweep) {
        sweep(table, now);
        table->next_sweep = now + SWEEP_PAUSE;
        table->sweep_at = table->count * 2 > FIRST_BUCKETS ? table->count * 2 : FIRST_BUCKETS;
        table->sweep_at = table->sweep_at < table->maximum ? table->sweep_at : table->maximum;
    }
    if (table->count >= table->bucket_count && table->count < table->maximum) {
        grow(table);
    }
    return table->count < table->maximum;
}

static struct entry *find_or_add(struct rate_table *table, unsigned kind, struct text key, int64_t now) {
    struct entry *entry = table->buckets[bucket_of(table, kind, key, table->bucket_count)];
    while (entry != NULL && (entry->kind != kind || !text_equal(key_of(entry), key))) {
        entry = entry->next;
    }
    if (entry != NULL || !make_room(table, now)) {
        return entry;
    }
    entry = memory_new(1, sizeof *entry + key.length);
    entry->kind = kind;
    entry->length = (unsigned char)key.length;
    memcpy(entry->key, key.data, key.length);
    struct entry **bucket = &table->buckets[bucket_of(table, kind, key, table->bucket_count)];
    entry->next = *bucket;
    *bucket = entry;
    table->count++;
    return entry;
}

bool rate_take(struct rate_table *table, unsigned kind, struct text key, struct rate_limit limit, int64_t now_ms) {
    if (limit.count <= 0 || key.length > RATE_KEY_MAXIMUM) {
        return true;
    }
    int64_t now = now_ms * MICROSECONDS, period = limit.period_ms * MICROSECONDS;
    struct entry *entry = find_or_add(table, kind, key, now);
    if (entry == NULL) {
        return true;
    }
    int64_t free_at = (entry->free_at > now ? entry->free_at : now) + period / limit.count;
    if (free_at - now > period) {
        return false;
    }
    entry->free_at = free_at;
    return true;
}
