/* SPDX-License-Identifier: MIT
 * How soon a service that died is started again: at once the first few times in a minute, then after a growing pause,
 * so that a service that cannot run does not eat the machine. Values only. */
#ifndef LISTENER_RESTART_H
#define LISTENER_RESTART_H
#include <stdint.h>
#define RESTART_FREE 3 /* deaths in a minute that cost no pause */
#define RESTART_WINDOW_MS 60000
#define RESTART_PAUSE_FIRST_MS 500 /* doubles with each further death … */
#define RESTART_PAUSE_LAST_MS 30000
struct restart_history { /* zero at birth */
    int64_t window_began;
    unsigned deaths; /* in this window */
    int64_t pause;   /* the last one */
};
/* A death at `now` (clock_now_ms): the time from which the service may be started again. */
int64_t restart_after_death(struct restart_history *history, int64_t now);
#endif
