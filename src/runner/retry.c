/* SPDX-License-Identifier: MIT
 * The retry schedule's arithmetic; see retry.h. */
#include "runner/retry.h"
#include "base/random.h"

#define INTERVAL_DEFAULT 300
#define SPREAD_SHARE 10

bool retry_is_over(int64_t now, int64_t expires_at) {
    return expires_at > 0 && now >= expires_at;
}

int64_t retry_spread(int64_t interval) {
    return interval / SPREAD_SHARE;
}

int64_t retry_next(const long *schedule, size_t count, uint32_t attempts, int64_t now, int64_t expires_at) {
    int64_t interval = INTERVAL_DEFAULT;
    if (count > 0) {
        interval = schedule[attempts < count ? attempts : count - 1];
    }
    int64_t next = now + interval + (int64_t)random_below((uint64_t)retry_spread(interval) + 1);
    return expires_at > 0 && next > expires_at ? expires_at : next;
}
