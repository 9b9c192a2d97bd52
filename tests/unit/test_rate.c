/* SPDX-License-Identifier: MIT
 * Rates: how many events of a key are let through, and what is kept of it. Time is a parameter. */
#include "base/rate.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MINUTE 60000
static const struct rate_limit six_a_minute = {6, MINUTE};

static unsigned let_through(struct rate_table *table, const char *key, unsigned tries, int64_t now) {
    unsigned good = 0;
    while (tries-- > 0) {
        good += rate_take(table, 0, text_of(key), six_a_minute, now);
    }
    return good;
}

static void so_many_come_at_once_then_evenly_spaced(void **state) {
    static const struct {
        const char *says;
        int64_t now;
        unsigned tries, good;
    } rows[] = {
        {"six at once, no seventh", 1000, 10, 6},
        {"none for a sixth of the minute", 10999, 10, 0},
        {"then one", 11000, 10, 1},
        {"and one for each sixth that passed", 31000, 10, 2},
        {"after a minute of rest six again", 91000, 10, 6},
        {"and after an hour not more", 3700000, 10, 6},
    };
    struct rate_table *table = rate_table_new(100);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(let_through(table, "192.0.2.1", rows[i].tries, rows[i].now), rows[i].good);
    }
    rate_table_free(table);
}

static void keys_and_kinds_do_not_count_for_each_other(void **state) {
    struct rate_table *table = rate_table_new(100);
    (void)state;
    assert_int_equal(let_through(table, "192.0.2.1", 10, 0), 6);
    assert_int_equal(let_through(table, "192.0.2.11", 10, 0), 6);
    assert_true(rate_take(table, 1, TEXT("192.0.2.1"), six_a_minute, 0));
    rate_table_free(table);
}

static void without_a_limit_nothing_is_counted(void **state) {
    struct rate_table *table = rate_table_new(100);
    (void)state;
    assert_true(rate_take(table, 0, TEXT("192.0.2.1"), (struct rate_limit){0, MINUTE}, 0));
    assert_int_equal(rate_table_count(table), 0);
    rate_table_free(table);
}

static void what_has_run_out_makes_room_and_a_full_table_lets_new_ones_through(void **state) {
    struct rate_table *table = rate_table_new(1000);
    char key[32];
    (void)state;
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(key, sizeof key, "a%d", i);
        assert_true(rate_take(table, 0, text_of(key), six_a_minute, 0));
    }
    assert_int_equal(rate_table_count(table), 1000);
    assert_int_equal(let_through(table, "a7", 10, 0), 5);
    assert_int_equal(let_through(table, "a4999", 10, 0), 10);
    assert_int_equal(let_through(table, "b", 10, 2 * MINUTE), 6);
    assert_int_equal(rate_table_count(table), 1);
    rate_table_free(table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_many_come_at_once_then_evenly_spaced),
        cmocka_unit_test(keys_and_kinds_do_not_count_for_each_other),
        cmocka_unit_test(without_a_limit_nothing_is_counted),
        cmocka_unit_test(what_has_run_out_makes_room_and_a_full_table_lets_new_ones_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
