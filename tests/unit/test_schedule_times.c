/* SPDX-License-Identifier: MIT
 * When deferred parcels are tried again. */
#include "runner/retry.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

static void the_schedule_is_followed_and_its_last_entry_repeats(void **state) {
    static const long schedule[] = {60, 600, 3600};
    static const struct {
        const char *sentence;
        size_t count;
        uint32_t attempts;
        int64_t expires_at, interval;
    } rows[] = {
        {"the first attempt failed", 3, 0, 0, 60},
        {"the second failed", 3, 1, 0, 600},
        {"the third failed", 3, 2, 0, 3600},
        {"the last entry repeats", 3, 3, 0, 3600},
        {"for ever", 3, 4000000000u, 0, 3600},
        {"no schedule means five minutes", 0, 0, 0, 300},
        {"the last attempt is at the end of the lifetime", 3, 2, 1000 + 100, 100},
        {"a lifetime far away changes nothing", 3, 1, 1000 + 100000, 600},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        print_message("%s\n", rows[i].sentence);
        for (int repeat = 0; repeat < 50; repeat++) {
            int64_t next = retry_next(schedule, rows[i].count, rows[i].attempts, 1000, rows[i].expires_at);
            assert_in_range(next, 1000 + rows[i].interval, 1000 + rows[i].interval + retry_spread(rows[i].interval));
        }
    }
}

static void what_failed_together_does_not_come_back_together(void **state) {
    static const long schedule[] = {3600};
    int different = 0;
    (void)state;
    int64_t first = retry_next(schedule, 1, 0, 0, 0);
    for (int i = 0; i < 100; i++) {
        different += retry_next(schedule, 1, 0, 0, 0) != first;
    }
    assert_true(different > 0);
}

static void the_chance_delay_grows_with_the_pause(void **state) {
    (void)state;
    assert_int_equal(retry_spread(0), 0);
    assert_int_equal(retry_spread(9), 0);
    assert_int_equal(retry_spread(300), 30);
    assert_int_equal(retry_spread(14400), 1440);
}

static void a_parcel_expires_when_its_time_is_over(void **state) {
    (void)state;
    assert_false(retry_is_over(100, 101));
    assert_true(retry_is_over(100, 100));
    assert_true(retry_is_over(100, 99));
    assert_false(retry_is_over(100, 0));
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_schedule_is_followed_and_its_last_entry_repeats),
        cmocka_unit_test(what_failed_together_does_not_come_back_together),
        cmocka_unit_test(the_chance_delay_grows_with_the_pause),
        cmocka_unit_test(a_parcel_expires_when_its_time_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
