/* SPDX-License-Identifier: MIT
 * lookup_timeout's timer (lookup/patience.h): it runs on from one request to the next, and ends none before its time.
 * That a request too long ends the process is in test_lookup.c. */
#include "lookup/patience.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#define FAR 600u /* seconds */

static unsigned rest_of_alarm(void) {
    unsigned rest = alarm(0);
    (void)alarm(rest);
    return rest;
}

static void the_timer_of_an_earlier_request_ends_no_later_one(void **state) {
    (void)state;
    patience_set(FAR);
    patience_begin();
    patience_end();
    assert_in_range(rest_of_alarm(), 1, FAR);
    patience_begin();
    (void)alarm(0);
    assert_int_equal(raise(SIGALRM), 0); /* the first one's time is over */
    assert_in_range(rest_of_alarm(), FAR - 1, FAR);
    patience_end();
}

static void a_timer_that_finds_nothing_to_do_is_set_again_by_the_next_request(void **state) {
    (void)state;
    (void)alarm(0);
    assert_int_equal(raise(SIGALRM), 0);
    assert_int_equal(rest_of_alarm(), 0);
    patience_begin();
    assert_in_range(rest_of_alarm(), 1, FAR);
    patience_end();
}

static void without_a_limit_there_is_no_timer(void **state) {
    (void)state;
    (void)alarm(0);
    assert_int_equal(raise(SIGALRM), 0);
    patience_set(0);
    patience_begin();
    assert_int_equal(rest_of_alarm(), 0);
    patience_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_timer_of_an_earlier_request_ends_no_later_one),
        cmocka_unit_test(a_timer_that_finds_nothing_to_do_is_set_again_by_the_next_request),
        cmocka_unit_test(without_a_limit_there_is_no_timer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
