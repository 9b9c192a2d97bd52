/* SPDX-License-Identifier: MIT
 * What the clocks say, and deadlines. Called by any process, also inside the sandbox. Never fails. */
#include "base/clock.h"
#include <limits.h>

#define AT_ONCE 500 /* milliseconds between two readings */

static int64_t milliseconds_of(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_now_ms(void) {
    return milliseconds_of(CLOCK_MONOTONIC);
}

/* A clock read between two readings of another, again when this process stood still meanwhile. */
static int64_t difference(clockid_t clock, clockid_t other) {
    int64_t before, read, after;
    do {
        before = milliseconds_of(other);
        read = milliseconds_of(clock);
        after = milliseconds_of(other);
    } while (after - before > AT_ONCE);
    return read - before;
}

int64_t clock_offset(void) {
    return difference(CLOCK_REALTIME, CLOCK_BOOTTIME) / 1000;
}

int64_t clock_slept_ms(void) {
    return difference(CLOCK_BOOTTIME, CLOCK_MONOTONIC);
}

int64_t clock_deadline(int64_t milliseconds) {
    int64_t now = clock_now_ms();
    return milliseconds >= CLOCK_NEVER - now ? CLOCK_NEVER : now + milliseconds;
}

int clock_remaining(int64_t deadline) {
    if (deadline == CLOCK_NEVER) {
        return -1;
    }
    int64_t now = clock_now_ms();
    if (deadline <= now) {
        return 0;
    }
    return deadline - now > INT_MAX ? INT_MAX : (int)(deadline - now);
}
