/* SPDX-License-Identifier: MIT
 * The contacts that are locked out, as the listener knows them: asked at every accept, before any fork. Filled by the
 * ledger's HUB_LOCKED and HUB_UNLOCKED; values only, no I/O, cannot fail. */
#ifndef LISTENER_LOCKOUT_SET_H
#define LISTENER_LOCKOUT_SET_H
#include "base/text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
struct lockout_set;
struct lockout_rules {  /* seconds */
    int64_t prohibited; /* a lockout ends after this long without an attempt, */
    int64_t maximum;    /* and this long after it began in any case */
};
/* maximum: contacts it may ever hold; past it a new one is ignored (the ledger still turns that contact away). */
struct lockout_set *lockout_set_new(size_t maximum);
void lockout_set_free(struct lockout_set *set);
size_t lockout_set_count(const struct lockout_set *set);
/* Times are seconds since 1970. False when the set is full. */
bool lockout_set_put(struct lockout_set *set, struct text contact, int64_t began, int64_t until);
void lockout_set_remove(struct lockout_set *set, struct text contact);
/* A connection attempt of this contact. True when it is locked out: the attempt is counted and the lockout extended to
 * min(now + prohibited, began + maximum), never shortened. */
bool lockout_set_attempt(struct lockout_set *set, struct text contact, int64_t now, const struct lockout_rules *rules);
/* Hands out every contact that has uncounted attempts; a visit that returns true has taken them. */
typedef bool lockout_visit(void *context, const char *contact, uint32_t hits, int64_t last_at);
void lockout_set_take_hits(struct lockout_set *set, lockout_visit *visit, void *context);
/* Forgets what has expired and has no uncounted attempts. */
void lockout_set_sweep(struct lockout_set *set, int64_t now);
#endif
