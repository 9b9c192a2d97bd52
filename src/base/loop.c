/* SPDX-License-Identifier: MIT
 * The event loop: epoll for descriptors, signalfd for signals. Called by listener, ledger, lookup, resolver, signer and
 * runner, single-threaded. A registration that the kernel refuses is a bug or a lack of descriptors: fatal. */
#include "base/loop.h"
#include "base/exit_status.h"
#include "base/log.h"
#include "base/loop_timers.h"
#include "base/memory.h"
#include "base/pool.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define EVENTS_A_ROUND 64

struct loop_watch {
    struct loop *loop;
    struct loop_watch *next_dead;
    struct loop_watch *previous, *next;
    int fd;
    uint32_t paused_events;
    struct loop_timer *pause; /* NULL: not paused */
    bool dead;                /* unwatched; kept until the round ends, as an event for it may be at hand */
    loop_ready *ready;
    void *context;
};

struct loop {
    int epoll_fd;
    int signal_fd;
    bool stopped;
    struct loop_watch *watches;
    struct loop_watch *dead;
    struct loop_timers timers;
    loop_signalled *signalled;
    void *signal_context;
};

static struct pool watches = POOL(struct loop_watch);

struct loop *loop_new(void) {
    struct loop *loop = memory_new(1, sizeof *loop);
    loop->signal_fd = -1;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0) {
        die_fatal(EXIT_STATUS_SYSTEM, "epoll_create1: %s", strerror(errno));
    }
    return loop;
}

static void bury_dead(struct loop *loop) {
    while (loop->dead != NULL) {
        struct loop_watch *watch = loop->dead;
        loop->dead = watch->next_dead;
        pool_give(&watches, watch);
    }
}

static void release(struct loop *loop) {
    bury_dead(loop);
    while (loop->watches != NULL) {
        struct loop_watch *watch = loop->watches;
        loop->watches = watch->next;
        pool_give(&watches, watch);
    }
    loop_timers_free(&loop->timers);
    if (loop->signal_fd >= 0) {
        close(loop->signal_fd);
    }
    close(loop->epoll_fd);
    free(loop);
}

void loop_free(struct loop *loop) {
    if (loop != NULL) {
        release(loop);
    }
}

/* Closing the epoll descriptor is enough: EPOLL_CTL_DEL here would take the registration from the parent, whose epoll
 * instance this still is. */
void loop_forget(struct loop *loop) {
    loop_free(loop);
}

struct loop_watch *loop_watch(struct loop *loop, int fd, uint32_t events, loop_ready *ready, void *context) {
    struct loop_watch *watch = pool_take(&watches);
    *watch = (struct loop_watch){.loop = loop, .fd = fd, .ready = ready, .context = context, .next = loop->watches};
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        die_fatal(EXIT_STATUS_SYSTEM, "cannot watch descriptor %d: %s", fd, strerror(errno));
    }
    if (loop->watches != NULL) {
        loop->watches->previous = watch;
    }
    loop->watches = watch;
    return watch;
}

void loop_change(struct loop_watch *watch, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (!watch->dead && epoll_ctl(watch->loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) != 0) {
        die_panic("cannot change the watch of descriptor %d: %s", watch->fd, strerror(errno));
    }
}

static void end_pause(void *context) {
    struct loop_watch *watch = context;
    watch->pause = NULL;
    loop_change(watch, watch->paused_events);
}

void loop_pause(struct loop_watch *watch, int64_t milliseconds, uint32_t events) {
    if (watch->dead || watch->pause != NULL) {
        return;
    }
    loop_change(watch, 0);
    watch->paused_events = events;
    watch->pause = loop_after(watch->loop, milliseconds, end_pause, watch);
}

static void unlink_watch(struct loop_watch *watch) {
    if (watch->previous != NULL) {
        watch->previous->next = watch->next;
    } else {
        watch->loop->watches = watch->next;
    }
    if (watch->next != NULL) {
        watch->next->previous = watch->previous;
    }
}

void loop_unwatch(struct loop_watch *watch) {
    if (watch == NULL || watch->dead) {
        return;
    }
    struct loop *loop = watch->loop;
    /* Fails for a descriptor that is closed already, which has left the set by itself. */
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    unlink_watch(watch);
    loop_cancel(watch->pause);
    watch->pause = NULL;
    watch->dead = true;
    watch->next_dead = loop->dead;
    loop->dead = watch;
}

struct loop_timer *loop_after(struct loop *loop, int64_t milliseconds, loop_elapsed *elapsed, void *context) {
    return loop_timers_add(&loop->timers, milliseconds, elapsed, context);
}

void loop_cancel(struct loop_timer *timer) {
    if (timer != NULL) {
        loop_timers_remove(timer);
    }
}

static void read_signals(void *context, int fd, uint32_t events) {
    struct loop *loop = context;
    struct signalfd_siginfo info;
    (void)events;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
        loop->signalled(loop->signal_context, (int)info.ssi_signo);
    }
}

void loop_signals(struct loop *loop, const int *signals, int count, loop_signalled *signalled, void *context) {
    sigset_t set;
    if (loop->signal_fd >= 0) {
        die_panic("loop_signals: called twice for one loop");
    }
    sigemptyset(&set);
    for (int i = 0; i < count; i++) {
        sigaddset(&set, signals[i]);
    }
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) {
        die_fatal(EXIT_STATUS_SYSTEM, "sigprocmask: %s", strerror(errno));
    }
    loop->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (loop->signal_fd < 0) {
        die_fatal(EXIT_STATUS_SYSTEM, "signalfd: %s", strerror(errno));
    }
    loop->signalled = signalled;
    loop->signal_context = context;
    loop_watch(loop, loop->signal_fd, EPOLLIN, read_signals, loop);
}

/* The shorter of what the caller allows and what the next timer needs; -1 is for ever. */
static int round_wait(const struct loop *loop, int timeout_ms) {
    int timer = loop_timers_wait(&loop->timers);
    if (loop->stopped) {
        return 0;
    }
    if (timer < 0 || timeout_ms < 0) {
        return timer < 0 ? timeout_ms : timer;
    }
    return timer < timeout_ms ? timer : timeout_ms;
}

void loop_round(struct loop *loop, int timeout_ms) {
    struct epoll_event events[EVENTS_A_ROUND];
    int count = epoll_wait(loop->epoll_fd, events, EVENTS_A_ROUND, round_wait(loop, timeout_ms));
    if (count < 0 && errno != EINTR) {
        die_fatal(EXIT_STATUS_SYSTEM, "epoll_wait: %s", strerror(errno));
    }
    for (int i = 0; i < count; i++) {
        struct loop_watch *watch = events[i].data.ptr;
        if (!watch->dead) {
            watch->ready(watch->context, watch->fd, events[i].events);
        }
    }
    loop_timers_fire(&loop->timers);
    bury_dead(loop);
}

void loop_run(struct loop *loop, loop_elapsed *after_round, void *context) {
    while (!loop->stopped) {
        loop_round(loop, -1);
        if (after_round != NULL) {
            after_round(context);
        }
    }
}

void loop_stop(struct loop *loop) {
    loop->stopped = true;
}
