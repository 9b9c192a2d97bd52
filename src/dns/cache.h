/* SPDX-License-Identifier: MIT
 * The answers kept: a hash of name and type, least recently used leaves first. Private to this folder. */
#ifndef DNS_CACHE_H
#define DNS_CACHE_H
#include "dns/dns.h"
#define CACHE_POSITIVE_MAXIMUM 86400u /* seconds an answer is kept at most */
#define CACHE_NEGATIVE_MINIMUM 60u    /* RFC 2308 5, bounded on both sides */
#define CACHE_NEGATIVE_MAXIMUM 3600u
#define CACHE_BYTES_MAXIMUM 8192u /* larger answers are not kept */
struct dns_cache;
/* maximum: answers; 0 keeps none. */
struct dns_cache *dns_cache_new(size_t maximum);
void dns_cache_free(struct dns_cache *cache);
/* now: clock_now_ms scale. The kept answer with what is left of its TTL, borrowed until the next store; or NULL. */
const struct dns_reply *dns_cache_find(struct dns_cache *cache, const char *name, enum dns_question_type type,
                                       int64_t now);
/* Takes the reply (owned from now on) and keeps or frees it: failures, silence, TTL 0 and giants are not kept. */
void dns_cache_store(struct dns_cache *cache, const char *name, enum dns_question_type type, struct dns_reply *reply,
                     int64_t now);
#endif
