/* SPDX-License-Identifier: MIT
 * Greylisting's rows: when a try is put off, taken, forgotten. Time is a parameter, so nothing here waits. */
#include "store/greylist.h"
#include "store/history.h"
#include "store/statements.h"
#include "store_fixture.h"

#define BEGIN 1700000000
#define DAY 86400

static char path[64];
static struct database *database;
static const struct greylist_policy policy = {.delay = 300, .window = 2 * DAY, .lifetime = 35 * DAY};

static int start(void **state) {
    struct buffer error;
    (void)state;
    buffer_init(&error, 1024);
    (void)snprintf(path, sizeof path, "/tmp/parcelpost-greylist-XXXXXX");
    (void)close(mkstemp(path));
    database = database_open(path, DATABASE_MAIN, DATABASE_WRITE, &error);
    assert_non_null(database);
    buffer_free(&error);
    return 0;
}

static int end(void **state) {
    (void)state;
    database_close(database);
    (void)unlink(path);
    return 0;
}

static int64_t try_from(const char *network, const char *sender, const char *recipient, int64_t now) {
    const struct greylist_try what = {text_of(network), text_of(sender), text_of(recipient)};
    int64_t wait = -1;
    assert_true(greylist_check(database, &policy, &what, now, &wait));
    return wait;
}

static int64_t try_at(int64_t now) {
    return try_from("192.0.2.0/24", "a@example.net", "coco@example.test", now);
}

static int64_t count(void) {
    struct sqlite3_stmt *row = statement_query(database, STATEMENT_REPORT_GREYLIST, BINDS_NONE);
    int64_t rows = 0;
    while (statement_step(row) == STATEMENT_ROW) {
        rows++;
    }
    statement_end(row);
    return rows;
}

static void a_first_try_waits_and_the_same_one_is_taken_after_the_delay(void **state) {
    (void)state;
    assert_int_equal(try_at(BEGIN), 300);
    assert_int_equal(try_at(BEGIN + 100), 200); /* trying often does not begin it anew */
    assert_int_equal(try_at(BEGIN + 299), 1);
    assert_int_equal(try_at(BEGIN + 300), 0);
    assert_int_equal(try_at(BEGIN + 301), 0);
}

static void another_network_sender_or_recipient_is_another_try(void **state) {
    (void)state;
    assert_int_equal(try_at(BEGIN), 300);
    assert_int_equal(try_from("192.0.3.0/24", "a@example.net", "coco@example.test", BEGIN + 300), 300);
    assert_int_equal(try_from("192.0.2.0/24", "b@example.net", "coco@example.test", BEGIN + 300), 300);
    assert_int_equal(try_from("192.0.2.0/24", "", "coco@example.test", BEGIN + 300), 300);
    assert_int_equal(try_from("192.0.2.0/24", "a@example.net", "mike@example.test", BEGIN + 300), 300);
    assert_int_equal(try_from("192.0.2.0/24", "A@Example.NET", "COCO@example.test", BEGIN + 300), 0);
}

static void who_comes_again_too_late_begins_anew(void **state) {
    (void)state;
    assert_int_equal(try_at(BEGIN), 300);
    assert_int_equal(try_at(BEGIN + 2 * DAY - 1), 0);
    assert_int_equal(try_from("192.0.3.0/24", "", "coco@example.test", BEGIN), 300);
    assert_int_equal(try_from("192.0.3.0/24", "", "coco@example.test", BEGIN + 2 * DAY), 300);
}

static void what_was_taken_is_taken_for_its_lifetime_after_the_last_try(void **state) {
    (void)state;
    assert_int_equal(try_at(BEGIN), 300);
    assert_int_equal(try_at(BEGIN + 300), 0);
    assert_int_equal(try_at(BEGIN + 300 + 30 * DAY), 0);
    assert_int_equal(try_at(BEGIN + 300 + 60 * DAY), 0);
    assert_int_equal(try_at(BEGIN + 300 + 95 * DAY), 300);
}

static void what_has_expired_is_purged_in_steps_and_nothing_else(void **state) {
    int64_t now = (int64_t)time(NULL);
    struct history history = {.now = now};
    char sender[32];
    bool more = true;
    (void)state;
    for (int i = 0; i < 450; i++) {
        (void)snprintf(sender, sizeof sender, "s%d@example.net", i);
        assert_int_equal(try_from("192.0.2.0/24", sender, "coco@example.test", now - 3 * DAY), 300);
    }
    assert_int_equal(try_at(now), 300);
    for (int step = 0; step < 3; step++) {
        assert_true(more);
        assert_true(history_purge(database, &history, &more));
    }
    assert_false(more);
    assert_int_equal(count(), 1);
    assert_int_equal(try_at(now + 300), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, start, end)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_first_try_waits_and_the_same_one_is_taken_after_the_delay),
        TEST(another_network_sender_or_recipient_is_another_try),
        TEST(who_comes_again_too_late_begins_anew),
        TEST(what_was_taken_is_taken_for_its_lifetime_after_the_last_try),
        TEST(what_has_expired_is_purged_in_steps_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
