/* SPDX-License-Identifier: MIT
 * The growing pause before a service is started again. Called by the listener when it reaps one. */
#include "listener/restart.h"

int64_t restart_after_death(struct restart_history *history, int64_t now) {
    if (history->deaths == 0 || now - history->window_began > RESTART_WINDOW_MS + history->pause) {
        history->window_began = now;
        history->deaths = 0;
        history->pause = 0;
    }
    history->deaths++;
    if (history->deaths <= RESTART_FREE) {
        return now;
    }
    history->pause = history->pause == 0 ? RESTART_PAUSE_FIRST_MS : history->pause * 2;
    if (history->pause > RESTART_PAUSE_LAST_MS) {
        history->pause = RESTART_PAUSE_LAST_MS;
    }
    history->window_began = now;
    return now + history->pause;
}
