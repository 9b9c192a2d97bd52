/* SPDX-License-Identifier: MIT
 * lookup_timeout: a request that passes it ends the process by SIGALRM. Called by lookup.c around each request, as
 * parcelpost-auth. The timer runs on from one request to the next, and whoever is in hand when it goes off is looked at
 * then: setting and stopping it for each would be half of what a simple question costs. */
#include "lookup/patience.h"
#include "base/clock.h"
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

static struct {
    int64_t milliseconds;
    _Atomic int64_t deadline; /* of the request in hand; 0: none is */
    _Atomic bool running;     /* the timer */
} patience;

/* Only what signal-safety(7) allows. */
static void look(int signal_number) {
    int64_t deadline = patience.deadline;
    if (deadline == 0) {
        patience.running = false;
        return;
    }
    int64_t rest = deadline - clock_now_ms();
    if (rest <= 0) {
        (void)signal(signal_number, SIG_DFL);
        (void)raise(signal_number); /* when this function returns */
        return;
    }
    (void)alarm((unsigned)((rest + 999) / 1000));
}

void patience_set(unsigned seconds) {
    const struct sigaction action = {.sa_handler = look, .sa_flags = SA_RESTART};
    sigset_t signals;
    patience.milliseconds = (int64_t)seconds * 1000;
    (void)sigaction(SIGALRM, &action, NULL);
    sigemptyset(&signals);
    sigaddset(&signals, SIGALRM);
    (void)sigprocmask(SIG_UNBLOCK, &signals, NULL);
}

void patience_begin(void) {
    if (patience.milliseconds == 0) {
        return;
    }
    patience.deadline = clock_now_ms() + patience.milliseconds;
    if (!patience.running) {
        patience.running = true;
        (void)alarm((unsigned)(patience.milliseconds / 1000));
    }
}

void patience_end(void) {
    patience.deadline = 0;
}
