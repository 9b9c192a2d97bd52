/* SPDX-License-Identifier: MIT
 * When a deferred parcel is tried again, and when it has waited long enough. Values only; called by the runner. */
#ifndef RUNNER_RETRY_H
#define RUNNER_RETRY_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
/* True when a parcel may not be deferred any more. expires_at 0: never. */
bool retry_is_over(int64_t now, int64_t expires_at);
/* Seconds since 1970 of the next attempt: now + schedule[attempts] (attempts made before this one; the last entry
 * repeats) plus a small chance delay, so that what failed together does not come back together; at the latest
 * expires_at, for one last attempt. An empty schedule means 300. */
int64_t retry_next(const long *schedule, size_t count, uint32_t attempts, int64_t now, int64_t expires_at);
/* The largest chance delay for an interval, a tenth of it: 10,000 that failed in one minute come back over half a
 * minute after 5 minutes and over 24 after 4 hours, and never earlier than the schedule says. */
int64_t retry_spread(int64_t interval);
#endif
