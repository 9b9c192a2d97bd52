/* SPDX-License-Identifier: MIT
 * Failed logins lock an account for those who never were in it, and for a while. */
#include "store/logins.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define DAY 86400
#define NOW (INT64_C(2000000000))
static const struct logins_policy policy = {.maximum = 3, .lock_seconds = 900, .history_days = 30};

static int start(void **state) {
    struct buffer error;
    buffer_init(&error, 1024);
    *state = database_open(":memory:", DATABASE_MAIN, DATABASE_WRITE, &error);
    buffer_free(&error);
    return *state == NULL;
}

static int end(void **state) {
    database_close(*state);
    return 0;
}

static enum logins_verdict attempt(struct database *database, const char *contact, bool right, int64_t now) {
    const struct logins_try what = {TEXT("coco@example.test"), text_of(contact), right};
    enum logins_verdict verdict;
    assert_true(logins_record(database, &policy, &what, now, &verdict));
    return verdict;
}

static void failures_from_anywhere_lock_an_account_for_a_while(void **state) {
    assert_int_equal(attempt(*state, "192.0.2.1", false, NOW), LOGINS_TAKEN);
    assert_int_equal(attempt(*state, "192.0.2.2", false, NOW + 100), LOGINS_TAKEN);
    assert_int_equal(attempt(*state, "192.0.2.3", false, NOW + 200), LOGINS_LOCKS);
    assert_int_equal(attempt(*state, "192.0.2.4", true, NOW + 300), LOGINS_LOCKED);
    assert_int_equal(attempt(*state, "192.0.2.4", false, NOW + 800), LOGINS_LOCKED);
    assert_int_equal(attempt(*state, "192.0.2.4", true, NOW + 901), LOGINS_TAKEN); /* the first is too long ago */
}

static void what_is_tried_while_it_is_locked_makes_it_no_longer(void **state) {
    for (int i = 0; i < 3; i++)
        (void)attempt(*state, "192.0.2.1", false, NOW);
    for (int i = 1; i <= 900; i++)
        assert_int_equal(attempt(*state, "192.0.2.1", false, NOW + i), LOGINS_LOCKED);
    assert_int_equal(attempt(*state, "192.0.2.1", false, NOW + 901), LOGINS_TAKEN);
}

static void strangers_lock_nobody_out_of_where_he_has_been(void **state) {
    assert_int_equal(attempt(*state, "198.51.100.7", true, NOW - 29 * DAY), LOGINS_TAKEN);
    assert_int_equal(attempt(*state, "198.51.100.8", true, NOW - 31 * DAY), LOGINS_TAKEN);
    for (int i = 0; i < 3; i++)
        (void)attempt(*state, "192.0.2.1", false, NOW);
    assert_int_equal(attempt(*state, "198.51.100.7", false, NOW + 1), LOGINS_TAKEN);
    assert_int_equal(attempt(*state, "198.51.100.7", true, NOW + 2), LOGINS_TAKEN);
    assert_int_equal(attempt(*state, "198.51.100.8", true, NOW + 3), LOGINS_LOCKED); /* too long ago */
}

static void failures_from_where_he_has_been_lock_nothing(void **state) {
    assert_int_equal(attempt(*state, "198.51.100.7", true, NOW), LOGINS_TAKEN);
    for (int i = 0; i < 10; i++)
        assert_int_equal(attempt(*state, "198.51.100.7", false, NOW + i), LOGINS_TAKEN);
    assert_int_equal(attempt(*state, "192.0.2.1", true, NOW + 20), LOGINS_TAKEN);
}

static void accounts_are_apart_and_zero_is_no_limit(void **state) {
    const struct logins_policy none = {.maximum = 0, .lock_seconds = 900, .history_days = 30};
    const struct logins_try wrong = {TEXT("mike@example.test"), TEXT("192.0.2.1"), false};
    enum logins_verdict verdict;
    for (int i = 0; i < 10; i++) {
        assert_true(logins_record(*state, &none, &wrong, NOW, &verdict));
        assert_int_equal(verdict, LOGINS_TAKEN);
    }
    assert_int_equal(attempt(*state, "192.0.2.1", true, NOW), LOGINS_TAKEN);
    assert_true(logins_record(*state, &policy, &wrong, NOW, &verdict));
    assert_int_equal(verdict, LOGINS_LOCKED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(failures_from_anywhere_lock_an_account_for_a_while),
        TEST(what_is_tried_while_it_is_locked_makes_it_no_longer),
        TEST(strangers_lock_nobody_out_of_where_he_has_been),
        TEST(failures_from_where_he_has_been_lock_nothing),
        TEST(accounts_are_apart_and_zero_is_no_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
