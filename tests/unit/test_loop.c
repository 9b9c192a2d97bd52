/* SPDX-License-Identifier: MIT
 * The event loop: descriptors, timers in order, signals, watches that end in callbacks. */
#include "base/clock.h"
#include "base/loop.h"
#include "base/random.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct loop *loop;
static char trace[256];

static void note(const char *what) {
    size_t used = strlen(trace);
    for (size_t i = 0; what[i] != '\0' && used + 1 < sizeof trace; i++) {
        trace[used++] = what[i];
    }
    trace[used] = '\0';
}

static int begin(void **state) {
    (void)state;
    memset(trace, 0, sizeof trace);
    loop = loop_new();
    return 0;
}

static int end(void **state) {
    (void)state;
    loop_free(loop);
    return 0;
}

/* Timers take a pointer that may be written through; a string is none. */
static char *letter(char name) {
    static char letters[128][2];
    letters[(unsigned char)name % 128][0] = name;
    return letters[(unsigned char)name % 128];
}

static void note_name(void *context) {
    note(context);
}

static void stop(void *context) {
    (void)context;
    loop_stop(loop);
}

static void timers_fire_in_order_of_their_time_then_of_their_making(void **state) {
    (void)state;
    loop_after(loop, 30, note_name, letter('d'));
    loop_after(loop, 0, note_name, letter('a'));
    loop_after(loop, 10, note_name, letter('b'));
    struct loop_timer *cancelled = loop_after(loop, 5, note_name, letter('x'));
    loop_after(loop, 10, note_name, letter('c'));
    loop_after(loop, 40, stop, NULL);
    loop_cancel(cancelled);
    loop_cancel(NULL);
    loop_run(loop, NULL, NULL);
    assert_string_equal(trace, "abcd");
}

/* The timer reads the clock by itself, at some time between these. */
struct span {
    int64_t first, last;
};
static int fired;
static int64_t last_time;

static void count_in_order(void *context) {
    const struct span *due = context;
    assert_true(due->last >= last_time);
    last_time = due->first > last_time ? due->first : last_time;
    fired++;
}

static void many_timers_keep_their_order_when_some_are_cancelled(void **state) {
    enum { COUNT = 2000 };
    static struct span times[COUNT];
    static struct loop_timer *timers[COUNT];
    int expected = 0;
    (void)state;
    fired = 0;
    last_time = 0;
    for (int i = 0; i < COUNT; i++) {
        int64_t delay = (int64_t)random_below(400);
        times[i].first = clock_now_ms() + delay;
        timers[i] = loop_after(loop, delay, count_in_order, &times[i]);
        times[i].last = clock_now_ms() + delay;
    }
    for (int i = 0; i < COUNT; i++) {
        if (i % 3 == 0) {
            loop_cancel(timers[i]);
        } else {
            expected++;
        }
    }
    loop_after(loop, 500, stop, NULL);
    loop_run(loop, NULL, NULL);
    assert_int_equal(fired, expected);
}

static void make_another(void *context) {
    (void)context;
    note("m");
    loop_after(loop, 0, note_name, letter('n'));
}

static void a_timer_made_by_a_timer_waits_for_the_next_round(void **state) {
    (void)state;
    loop_after(loop, 0, make_another, NULL);
    loop_round(loop, 1000);
    assert_string_equal(trace, "m");
    loop_round(loop, 1000);
    assert_string_equal(trace, "mn");
}

static void a_round_without_events_ends_at_its_timeout(void **state) {
    (void)state;
    int64_t before = clock_now_ms();
    loop_round(loop, 20);
    int64_t waited = clock_now_ms() - before;
    assert_true(waited >= 19 && waited < 2000);
}

static void read_and_note(void *context, int fd, uint32_t events) {
    char byte[2] = "";
    (void)context;
    if ((events & EPOLLIN) != 0 && read(fd, byte, 1) == 1) {
        note(byte);
    } else {
        note("-");
        loop_stop(loop);
    }
}

static void ready_descriptors_are_called_back_until_unwatched(void **state) {
    int pair[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    struct loop_watch *watch = loop_watch(loop, pair[0], EPOLLIN, read_and_note, NULL);
    assert_int_equal(write(pair[1], "ab", 2), 2);
    close(pair[1]);
    loop_run(loop, NULL, NULL);
    assert_string_equal(trace, "ab-");
    loop_unwatch(watch);
    loop_unwatch(NULL);
    loop_round(loop, 0);
    assert_string_equal(trace, "ab-");
    close(pair[0]);
}

static void note_writable(void *context, int fd, uint32_t events) {
    (void)context;
    (void)fd;
    note((events & EPOLLOUT) != 0 ? "w" : "?");
}

static void events_can_be_changed(void **state) {
    int pair[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    struct loop_watch *watch = loop_watch(loop, pair[0], EPOLLIN, note_writable, NULL);
    loop_round(loop, 0);
    loop_change(watch, EPOLLIN | EPOLLOUT);
    loop_round(loop, 0);
    loop_change(watch, EPOLLIN);
    loop_round(loop, 0);
    assert_string_equal(trace, "w");
    loop_unwatch(watch);
    close(pair[0]);
    close(pair[1]);
}

static struct loop_watch *both[2];

static void a_paused_watch_is_silent_until_its_time_is_over(void **state) {
    int pair[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    struct loop_watch *watch = loop_watch(loop, pair[0], EPOLLOUT, note_writable, NULL);
    loop_round(loop, 0);
    loop_pause(watch, 60000, EPOLLOUT);
    loop_pause(watch, 0, EPOLLOUT); /* one pause at a time */
    loop_after(loop, 0, note_name, letter('t'));
    loop_round(loop, -1);
    assert_string_equal(trace, "wt");
    loop_unwatch(watch); /* its pause goes with it */
    watch = loop_watch(loop, pair[0], EPOLLOUT, note_writable, NULL);
    loop_pause(watch, 1, EPOLLOUT);
    while (strcmp(trace, "wt") == 0) {
        loop_round(loop, 1000);
    }
    assert_string_equal(trace, "wtw");
    loop_unwatch(watch);
    close(pair[0]);
    close(pair[1]);
}

static void unwatch_both(void *context, int fd, uint32_t events) {
    (void)context;
    (void)fd;
    (void)events;
    note("once ");
    loop_unwatch(both[0]);
    loop_unwatch(both[1]);
}

static void a_callback_may_unwatch_others_that_are_ready_too(void **state) {
    int first[2], second[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, first), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, second), 0);
    both[0] = loop_watch(loop, first[0], EPOLLIN, unwatch_both, NULL);
    both[1] = loop_watch(loop, second[0], EPOLLIN, unwatch_both, NULL);
    close(first[1]);
    close(second[1]);
    loop_round(loop, 100);
    loop_round(loop, 0);
    assert_string_equal(trace, "once ");
    close(first[0]);
    close(second[0]);
}

static void note_signal(void *context, int signal_number) {
    (void)context;
    note(signal_number == SIGUSR1 ? "1" : signal_number == SIGUSR2 ? "2" : "?");
}

static void signals_arrive_inside_the_loop(void **state) {
    static const int signals[] = {SIGUSR1, SIGUSR2};
    (void)state;
    loop_signals(loop, signals, 2, note_signal, NULL);
    kill(getpid(), SIGUSR2);
    assert_string_equal(trace, "");
    loop_round(loop, 1000);
    kill(getpid(), SIGUSR1);
    loop_round(loop, 1000);
    assert_string_equal(trace, "21");
}

static void note_round(void *context) {
    note("r");
    if (strlen(trace) >= 4) {
        loop_stop(context);
    }
    loop_after(loop, 1, note_name, letter('t'));
}

static void the_end_of_each_round_is_called(void **state) {
    (void)state;
    loop_after(loop, 0, note_name, letter('t'));
    loop_run(loop, note_round, loop);
    assert_string_equal(trace, "trtr");
}

static void a_child_that_forgets_leaves_the_parents_watches_alone(void **state) {
    int pair[2], status;
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    struct loop_watch *watch = loop_watch(loop, pair[0], EPOLLIN, read_and_note, NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        loop_forget(loop);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(write(pair[1], "p", 1), 1);
    loop_round(loop, 1000);
    assert_string_equal(trace, "p");
    loop_unwatch(watch);
    close(pair[0]);
    close(pair[1]);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(timers_fire_in_order_of_their_time_then_of_their_making, begin, end),
        cmocka_unit_test_setup_teardown(many_timers_keep_their_order_when_some_are_cancelled, begin, end),
        cmocka_unit_test_setup_teardown(a_timer_made_by_a_timer_waits_for_the_next_round, begin, end),
        cmocka_unit_test_setup_teardown(a_round_without_events_ends_at_its_timeout, begin, end),
        cmocka_unit_test_setup_teardown(ready_descriptors_are_called_back_until_unwatched, begin, end),
        cmocka_unit_test_setup_teardown(events_can_be_changed, begin, end),
        cmocka_unit_test_setup_teardown(a_paused_watch_is_silent_until_its_time_is_over, begin, end),
        cmocka_unit_test_setup_teardown(a_callback_may_unwatch_others_that_are_ready_too, begin, end),
        cmocka_unit_test_setup_teardown(signals_arrive_inside_the_loop, begin, end),
        cmocka_unit_test_setup_teardown(the_end_of_each_round_is_called, begin, end),
        cmocka_unit_test_setup_teardown(a_child_that_forgets_leaves_the_parents_watches_alone, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
