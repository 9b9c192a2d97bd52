/* SPDX-License-Identifier: MIT
 * The timers of an event loop: a binary heap ordered by deadline, so that thousands of time limits cost little. Called
 * by base/loop.c alone; cannot fail. */
#include "base/loop_timers.h"
#include "base/clock.h"
#include "base/memory.h"
#include <stdlib.h>

struct loop_timer {
    struct loop_timers *timers;
    size_t place;
    int64_t deadline;
    uint64_t sequence;
    loop_elapsed *elapsed;
    void *context;
};

static bool is_earlier(const struct loop_timer *a, const struct loop_timer *b) {
    return a->deadline != b->deadline ? a->deadline < b->deadline : a->sequence < b->sequence;
}

static void put(struct loop_timers *timers, size_t place, struct loop_timer *timer) {
    timers->heap[place] = timer;
    timer->place = place;
}

static void sift_up(struct loop_timers *timers, size_t place, struct loop_timer *timer) {
    while (place > 0 && is_earlier(timer, timers->heap[(place - 1) / 2])) {
        put(timers, place, timers->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    put(timers, place, timer);
}

static void sift_down(struct loop_timers *timers, size_t place, struct loop_timer *timer) {
    for (;;) {
        size_t child = place * 2 + 1;
        if (child + 1 < timers->count && is_earlier(timers->heap[child + 1], timers->heap[child])) {
            child++;
        }
        if (child >= timers->count || !is_earlier(timers->heap[child], timer)) {
            break;
        }
        put(timers, place, timers->heap[child]);
        place = child;
    }
    put(timers, place, timer);
}

struct loop_timer *loop_timers_add(struct loop_timers *timers, int64_t milliseconds, loop_elapsed *elapsed,
                                   void *context) {
    struct loop_timer *timer = memory_new(1, sizeof *timer);
    *timer = (struct loop_timer){.timers = timers,
                                 .deadline = clock_deadline(milliseconds),
                                 .sequence = timers->sequence++,
                                 .elapsed = elapsed,
                                 .context = context};
    if (timers->count == timers->capacity) {
        timers->capacity = timers->capacity == 0 ? 16 : timers->capacity * 2;
        timers->heap = memory_resize(timers->heap, timers->capacity, sizeof(struct loop_timer *));
    }
    timers->count++;
    sift_up(timers, timers->count - 1, timer);
    return timer;
}

static void take_out(struct loop_timers *timers, size_t place) {
    const struct loop_timer *timer = timers->heap[place];
    timers->count--;
    struct loop_timer *last = timers->heap[timers->count];
    if (place == timers->count) {
        return;
    }
    if (is_earlier(last, timer)) {
        sift_up(timers, place, last);
    } else {
        sift_down(timers, place, last);
    }
}

void loop_timers_remove(struct loop_timer *timer) {
    take_out(timer->timers, timer->place);
    free(timer);
}

int loop_timers_wait(const struct loop_timers *timers) {
    return timers->count == 0 ? -1 : clock_remaining(timers->heap[0]->deadline);
}

void loop_timers_fire(struct loop_timers *timers) {
    uint64_t newest = timers->sequence;
    int64_t now = timers->count > 0 ? clock_now_ms() : 0;
    while (timers->count > 0 && timers->heap[0]->deadline <= now && timers->heap[0]->sequence < newest) {
        struct loop_timer *timer = timers->heap[0];
        loop_elapsed *elapsed = timer->elapsed;
        void *context = timer->context;
        take_out(timers, 0);
        free(timer);
        elapsed(context);
    }
}

void loop_timers_free(struct loop_timers *timers) {
    for (size_t i = 0; i < timers->count; i++) {
        free(timers->heap[i]);
    }
    free(timers->heap);
    *timers = (struct loop_timers){0};
}
