/* SPDX-License-Identifier: MIT
 * How often something may happen for a key: so many times at once, then evenly spaced over the period (the generic cell
 * rate algorithm). One number a key, forgotten when it says nothing any more. Kept in memory by the process that sees
 * every event; values only, no I/O, cannot fail. */
#ifndef BASE_RATE_H
#define BASE_RATE_H
#include "base/text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#define RATE_KEY_MAXIMUM 95 /* bytes of a key; what is longer is not counted */
struct rate_table;
struct rate_limit {
    int64_t count; /* 0: no limit */
    int64_t period_ms;
};
/* maximum: keys it may ever hold; past it a new one is let through uncounted. */
struct rate_table *rate_table_new(size_t maximum);
void rate_table_free(struct rate_table *table);
size_t rate_table_count(const struct rate_table *table);
/* One more event of this kind (any number) for this key; now_ms never goes back. False: it is too many, and was not
 * counted. */
bool rate_take(struct rate_table *table, unsigned kind, struct text key, struct rate_limit limit, int64_t now_ms);
#endif
