/* SPDX-License-Identifier: MIT
 * The DNS cache. Called by dns.c in the resolver, unprivileged; one for the life of the process. Bounded by the number
 * of answers and each one's size; the hash is seeded, since strangers choose the names. Cannot fail. */
#include "dns/cache.h"
#include "base/memory.h"
#include "base/random.h"
#include <stdlib.h>
#include <string.h>

struct entry {
    char name[DNS_NAME_SIZE];
    enum dns_question_type type;
    struct dns_reply *reply;
    int64_t expires;
    struct entry *next;          /* in its bucket */
    struct entry *newer, *older; /* by last use */
};
struct dns_cache {
    size_t maximum, count, bucket_count;
    uint64_t seed;
    struct entry **buckets;
    struct entry *newest, *oldest;
};

struct dns_cache *dns_cache_new(size_t maximum) {
    struct dns_cache *cache = memory_new(1, sizeof *cache);
    cache->maximum = maximum;
    cache->bucket_count = maximum > 0 ? maximum : 1;
    cache->buckets = memory_new(cache->bucket_count, sizeof(struct entry *));
    random_fill(&cache->seed, sizeof cache->seed);
    return cache;
}

/* FNV-1a from a random start. */
static struct entry **bucket_of(struct dns_cache *cache, const char *name, enum dns_question_type type) {
    uint64_t hash = cache->seed ^ (uint64_t)type;
    for (; *name != '\0'; name++) {
        hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    }
    hash ^= hash >> 32;
    return &cache->buckets[hash % cache->bucket_count];
}

static void unlink_use(struct dns_cache *cache, struct entry *entry) {
    *(entry->newer != NULL ? &entry->newer->older : &cache->newest) = entry->older;
    *(entry->older != NULL ? &entry->older->newer : &cache->oldest) = entry->newer;
}

static void link_newest(struct dns_cache *cache, struct entry *entry) {
    entry->newer = NULL;
    entry->older = cache->newest;
    *(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = entry;
    cache->newest = entry;
}

static struct entry *find_entry(struct dns_cache *cache, const char *name, enum dns_question_type type) {
    struct entry *entry = *bucket_of(cache, name, type);
    while (entry != NULL && (entry->type != type || strcmp(entry->name, name) != 0)) {
        entry = entry->next;
    }
    return entry;
}

static void drop(struct dns_cache *cache, struct entry *entry) {
    struct entry **link = bucket_of(cache, entry->name, entry->type);
    while (*link != entry) {
        link = &(*link)->next;
    }
    *link = entry->next;
    unlink_use(cache, entry);
    cache->count--;
    dns_reply_free(entry->reply);
    free(entry);
}

void dns_cache_free(struct dns_cache *cache) {
    if (cache == NULL) {
        return;
    }
    while (cache->oldest != NULL) {
        drop(cache, cache->oldest);
    }
    free(cache->buckets);
    free(cache);
}

const struct dns_reply *dns_cache_find(struct dns_cache *cache, const char *name, enum dns_question_type type,
                                       int64_t now) {
    struct entry *entry = find_entry(cache, name, type);
    if (entry == NULL) {
        return NULL;
    }
    if (entry->expires <= now) {
        drop(cache, entry);
        return NULL;
    }
    unlink_use(cache, entry);
    link_newest(cache, entry);
    entry->reply->ttl = (uint32_t)((entry->expires - now + 999) / 1000);
    return entry->reply;
}

static uint32_t bounded_ttl(const struct dns_reply *reply) {
    switch (reply->outcome) {
    case DNS_OUTCOME_FOUND:
        return reply->ttl < CACHE_POSITIVE_MAXIMUM ? reply->ttl : CACHE_POSITIVE_MAXIMUM;
    case DNS_OUTCOME_NO_DATA:
    case DNS_OUTCOME_NO_NAME:
        if (reply->ttl < CACHE_NEGATIVE_MINIMUM) {
            return CACHE_NEGATIVE_MINIMUM;
        }
        return reply->ttl < CACHE_NEGATIVE_MAXIMUM ? reply->ttl : CACHE_NEGATIVE_MAXIMUM;
    default:
        return 0;
    }
}

void dns_cache_store(struct dns_cache *cache, const char *name, enum dns_question_type type, struct dns_reply *reply,
                     int64_t now) {
    uint32_t ttl = bounded_ttl(reply);
    struct entry *former = find_entry(cache, name, type);
    if (former != NULL) {
        drop(cache, former);
    }
    if (cache->maximum == 0 || ttl == 0 || reply->bytes > CACHE_BYTES_MAXIMUM) {
        dns_reply_free(reply);
        return;
    }
    if (cache->count >= cache->maximum) {
        drop(cache, cache->oldest);
    }
    struct entry *entry = memory_new(1, sizeof *entry);
    (void)text_copy(entry->name, sizeof entry->name, text_of(name));
    entry->type = type;
    entry->reply = reply;
    entry->expires = now + (int64_t)ttl * 1000;
    struct entry **bucket = bucket_of(cache, name, type);
    entry->next = *bucket;
    *bucket = entry;
    link_newest(cache, entry);
    cache->count++;
}
