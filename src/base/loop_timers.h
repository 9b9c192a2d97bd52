/* SPDX-License-Identifier: MIT
 * The timers of an event loop: a binary heap ordered by deadline. Private to base/loop.c. */
#ifndef BASE_LOOP_TIMERS_H
#define BASE_LOOP_TIMERS_H
#include "base/loop.h"
#include <stddef.h>
struct loop_timers { /* zeroed: empty */
    struct loop_timer **heap;
    size_t count, capacity;
    uint64_t sequence; /* of the next timer, so that equal deadlines fire in the order of their making */
};
struct loop_timer *loop_timers_add(struct loop_timers *timers, int64_t milliseconds, loop_elapsed *elapsed,
                                   void *context);
/* Takes the timer out and frees it. */
void loop_timers_remove(struct loop_timer *timer);
/* Milliseconds until the first deadline, -1 without any. */
int loop_timers_wait(const struct loop_timers *timers);
/* Calls back and frees what is due; timers made meanwhile wait for the next round. */
void loop_timers_fire(struct loop_timers *timers);
void loop_timers_free(struct loop_timers *timers);
#endif
