/* SPDX-License-Identifier: MIT
 * The event loop of the processes that serve many: epoll, timers, signals by signalfd. No threads, no waiting in
 * callbacks. */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
struct loop;
struct loop_watch;
struct loop_timer;
/* events: EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLERR as reported. */
typedef void loop_ready(void *context, int fd, uint32_t events);
typedef void loop_elapsed(void *context);
typedef void loop_signalled(void *context, int signal_number);
struct loop *loop_new(void);
void loop_free(struct loop *loop);
/* Watches fd (not owned) for events. Returned watch belongs to the loop until loop_unwatch. */
struct loop_watch *loop_watch(struct loop *loop, int fd, uint32_t events, loop_ready *ready, void *context);
void loop_change(struct loop_watch *watch, uint32_t events);
/* Reports nothing for so many milliseconds, then these events again: for what stays ready and cannot be served now. */
void loop_pause(struct loop_watch *watch, int64_t milliseconds, uint32_t events);
/* Safe inside callbacks, also for watches that are ready in the same round; NULL is ignored. Call it before close(fd):
 * a closed number may already be another's, and a descriptor shared with a child never leaves the set by itself. */
void loop_unwatch(struct loop_watch *watch);
/* Fires once after milliseconds; belongs to the loop; gone before its callback is called,
 * or after loop_cancel (which ignores NULL). */
struct loop_timer *loop_after(struct loop *loop, int64_t milliseconds, loop_elapsed *elapsed, void *context);
void loop_cancel(struct loop_timer *timer);
/* Blocks these signals and delivers them to the callback inside the loop. Once per loop. */
void loop_signals(struct loop *loop, const int *signals, int count, loop_signalled *signalled, void *context);
/* Handles one round: waits until something is ready (at most timeout_ms, -1 for ever), calls back everything that is.
 */
void loop_round(struct loop *loop, int timeout_ms);
/* Rounds until loop_stop. after_round (may be NULL) runs at the end of each round: the place to work off a batch. */
void loop_run(struct loop *loop, loop_elapsed *after_round, void *context);
void loop_stop(struct loop *loop);
/* In a child after fork: closes the parent's epoll and signal descriptors without touching its registrations,
 * and frees the loop. The signals stay blocked: a Ctrl-C for the whole group reaches the listener alone; who executes
 * another program unblocks them. */
void loop_forget(struct loop *loop);
#endif
