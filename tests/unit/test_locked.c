/* SPDX-License-Identifier: MIT
 * What the ledger has yet to tell the listener of lockouts: nothing gets lost while the channel is full. */
#include "ledger/locked.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct locked locked;
static char said[256];
static int room; /* messages that the channel takes yet */

static bool say(char what, const struct locked_contact *item) {
    size_t length = strlen(said);
    if (room == 0) {
        return false;
    }
    room--;
    (void)snprintf(said + length, sizeof said - length, "%s%c%s", length > 0 ? " " : "", what, item->contact);
    return true;
}

static bool tell(void *context, const struct locked_contact *item) {
    (void)context;
    return say(item->over ? '-' : '+', item);
}

static bool tell_command(void *context, const struct locked_contact *item) {
    (void)context;
    return say(item->over ? 'u' : 'l', item);
}

static void expect_said(int takes, const char *words) {
    room = takes;
    said[0] = '\0';
    locked_tell_all(&locked, tell, tell_command, NULL);
    assert_string_equal(said, words);
}

static int end(void **state) {
    (void)state;
    locked_free(&locked);
    return 0;
}

static void a_lockout_and_its_end_are_told_with_their_commands(void **state) {
    (void)state;
    assert_true(locked_put(&locked, "a", 100, 1));
    expect_said(9, "+a la");
    assert_false(locked_put(&locked, "a", 200, 1)); /* a moved end runs no command */
    expect_said(9, "+a");
    assert_true(locked_end(&locked, "a"));
    assert_false(locked_end(&locked, "a"));
    expect_said(9, "-a ua");
    assert_int_equal(locked.count, 0);
    assert_int_equal(locked.untold, 0);
}

static void what_a_full_channel_refuses_is_told_later(void **state) {
    (void)state;
    locked_put(&locked, "a", 100, 1);
    locked_put(&locked, "b", 100, 1);
    expect_said(1, "+a");
    assert_int_equal(locked.untold, 2);
    expect_said(2, "la +b");
    assert_int_equal(locked.untold, 1);
    expect_said(9, "lb");
    locked_end(&locked, "a");
    locked_end(&locked, "b");
    expect_said(1, "-a");
    expect_said(0, "");
    assert_int_equal(locked.untold, 2);
    expect_said(1, "ua");
    expect_said(9, "-b ub");
    assert_int_equal(locked.untold, 0);
    assert_int_equal(locked.count, 0);
}

static void commands_that_never_ran_cancel_each_other(void **state) {
    (void)state;
    locked_put(&locked, "a", 100, 1);
    locked_end(&locked, "a");
    expect_said(9, "-a");
    locked_put(&locked, "b", 100, 1);
    expect_said(9, "+b lb");
    locked_end(&locked, "b");
    assert_true(locked_put(&locked, "b", 300, 2));
    expect_said(9, "+b");
    assert_int_equal(locked.untold, 0);
    assert_int_equal(locked.count, 1);
}

static void lockouts_that_a_former_run_left_get_their_end(void **state) {
    (void)state;
    locked_put_over(&locked, "a");
    locked_begin(&locked);
    locked_see(&locked, "b", 100, 1);
    locked_sweep(&locked, NULL, NULL);
    expect_said(9, "-a ua +b lb");
    assert_int_equal(locked.count, 1);
}

#define TEST(name) cmocka_unit_test_teardown(name, end)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_lockout_and_its_end_are_told_with_their_commands),
        TEST(what_a_full_channel_refuses_is_told_later),
        TEST(commands_that_never_ran_cancel_each_other),
        TEST(lockouts_that_a_former_run_left_get_their_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
