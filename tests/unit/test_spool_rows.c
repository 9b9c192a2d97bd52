/* SPDX-License-Identifier: MIT
 * Rows that follow their messages: a message is answered, told and fetched before it has any, and has them before
 * anything else is recorded of it; a crash in between leaves it to the journal. */
#include "orders/order.h"
#include "store/clock_shift.h"
#include "store/contacts.h"
#include "store_fixture.h"
#include <sqlite3.h>

#define CONTACT TEXT("192.0.2.7")

static const struct contacts_policy policy = {
    .prohibited_seconds = 600, .lockout_maximum = 6000, .history_days = 30, .maximum = 3};
static struct fixture fixture;
static int64_t told_id;

static int start(void **state) {
    (void)state;
    fixture_start(&fixture);
    fixture.options.rows_maximum = 8;
    spool_set_options(fixture.spool, &fixture.options);
    return 0;
}

static int end(void **state) {
    (void)state;
    fixture_end(&fixture);
    return 0;
}

static void accept_one(unsigned number) {
    assert_int_equal(fixture_add(&fixture, number, 1, 500), SPOOL_OK);
    fixture_finish(&fixture);
    assert_int_equal(fixture.answers[number], SPOOL_OK);
}

static int64_t parcel_of(unsigned number) {
    char id[MAIL_ID_SIZE];
    struct parcels_row row = {.id = 0};
    fixture_id(number, id);
    (void)parcels_find(fixture.spool->database, id, 0, &row);
    return row.id;
}

static void keep_id(void *context, const struct spool_news *news) {
    (void)context;
    told_id = news->parcel_ids[0];
}

/* ---- messages ---- */

static void a_message_is_answered_told_and_fetched_before_its_rows(void **state) {
    const struct spool_events events = {&fixture, fixture_answered, keep_id};
    (void)state;
    assert_int_equal(fixture_add(&fixture, 1, 1, 500), SPOOL_OK);
    spool_finish(fixture.spool, &events);
    assert_int_equal(fixture.answers[1], SPOOL_OK);
    assert_string_equal(fixture_states(&fixture, 1), "");
    fixture_same_bytes(&fixture, 1, 1, 500);
    assert_true(spool_is_unsettled(fixture.spool));
    spool_settle(fixture.spool);
    assert_false(spool_is_unsettled(fixture.spool));
    assert_string_equal(fixture_states(&fixture, 1), "queued");
    assert_int_equal(parcel_of(1), told_id);
    fixture_same_bytes(&fixture, 1, 1, 500);
}

static void no_more_rows_wait_than_may(void **state) {
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        accept_one(i);
        assert_string_equal(fixture_states(&fixture, 0), "");
    }
    accept_one(3); /* with a mail and a parcel each: eight */
    for (unsigned i = 0; i < 4; i++) {
        assert_string_equal(fixture_states(&fixture, i), "queued");
    }
    assert_int_equal(fixture.news, 4);
}

static void a_result_finds_the_rows_of_its_message(void **state) {
    (void)state;
    accept_one(1);
    accept_one(2);
    assert_int_equal(fixture_result(&fixture, 1, 0, SPOOL_DELIVERED, "250 2.0.0 OK"), SPOOL_OK);
    assert_string_equal(fixture_states(&fixture, 1), "delivered");
    assert_string_equal(fixture_place(&fixture, 1), "gone");
    assert_string_equal(fixture_states(&fixture, 2), "queued");
}

static void a_result_of_a_message_whose_rows_are_refused_is_not_taken_for_known(void **state) {
    const struct spool_events events = {&fixture, fixture_answered, fixture_news};
    struct buffer error;
    (void)state;
    buffer_init(&error, 1024);
    accept_one(1);
    accept_one(2);
    struct database *other = database_open(fixture.database, DATABASE_MAIN, DATABASE_WRITE, &error);
    assert_non_null(other);
    assert_true(database_begin(other));
    assert_int_equal(fixture_result(&fixture, 1, 0, SPOOL_DEFERRED, "451 4.4.1 later"), SPOOL_FAILED);
    assert_int_equal(fixture_result(&fixture, 2, 0, SPOOL_DELIVERED, "250 2.0.0 OK"), SPOOL_FAILED);
    database_rollback(other);
    database_close(other);
    spool_retry_rows(fixture.spool, &events);
    assert_int_equal(fixture_result(&fixture, 1, 0, SPOOL_DEFERRED, "451 4.4.1 later"), SPOOL_OK);
    assert_int_equal(fixture_result(&fixture, 2, 0, SPOOL_DELIVERED, "250 2.0.0 OK"), SPOOL_OK);
    assert_string_equal(fixture_states(&fixture, 1), "deferred");
    assert_string_equal(fixture_states(&fixture, 2), "delivered");
    buffer_free(&error);
}

static void recipients_end_one_by_one_before_and_after_the_rows(void **state) {
    struct fixture after;
    (void)state;
    assert_int_equal(fixture_add(&fixture, 1, 3, 500), SPOOL_OK);
    fixture_finish(&fixture);
    assert_int_equal(fixture_result(&fixture, 1, 7, SPOOL_DELIVERED, "250 2.0.0 OK"), SPOOL_NOTHING);
    assert_int_equal(fixture_result(&fixture, 1, 1, SPOOL_DELIVERED, "250 2.0.0 OK"), SPOOL_OK);
    assert_string_equal(fixture_states(&fixture, 1), "queued,delivered,queued");
    assert_int_equal(fixture_result(&fixture, 1, 1, SPOOL_DELIVERED, "250 2.0.0 OK"), SPOOL_NOTHING);
    assert_int_equal(fixture_result(&fixture, 1, 0, SPOOL_ENDED_FAILED, "550 5.1.1 nobody"), SPOOL_OK);
    assert_string_equal(fixture_place(&fixture, 1), "journal");
    assert_int_equal(fixture_result(&fixture, 1, 2, SPOOL_DELIVERED, "250 2.0.0 OK"), SPOOL_OK);
    assert_string_equal(fixture_states(&fixture, 1), "failed,delivered,delivered");
    assert_string_equal(fixture_place(&fixture, 1), "gone");
    fixture_crash(&fixture, &after);
    fixture_open(&after);
    assert_string_equal(fixture_states(&after, 1), "failed,delivered,delivered");
    fixture_end(&after);
}

static void ids_that_were_told_hold_beside_rows_that_are_written_at_once(void **state) {
    const struct spool_events events = {&fixture, fixture_answered, keep_id};
    char id[MAIL_ID_SIZE];
    enum spool_outcome answer;
    const struct spool_ending delivered = {.result = SPOOL_DELIVERED, .reply = TEXT("250 2.0.0 OK")};
    (void)state;
    accept_one(1);
    fixture_id(1, id);
    const struct spool_attempt attempt = fixture_attempt(id, &delivered, 1);
    assert_int_equal(spool_add_attempt(fixture.spool, &attempt, &answer), SPOOL_OK);
    assert_int_equal(fixture_add(&fixture, 2, 1, 500), SPOOL_OK);
    spool_finish(fixture.spool, &events);
    assert_int_equal(parcel_of(2), told_id);
    assert_int_equal(fixture_add(&fixture, 3, 1, 500), SPOOL_OK);
    spool_finish(fixture.spool, &events);
    spool_settle(fixture.spool);
    assert_int_equal(parcel_of(3), told_id);
}

static void a_large_message_is_fetched_before_its_rows(void **state) {
    (void)state;
    fixture_commit_large(&fixture, 1, 200000);
    fixture_finish(&fixture);
    assert_int_equal(fixture.answers[1], SPOOL_OK);
    assert_string_equal(fixture_states(&fixture, 1), "");
    fixture_same_bytes(&fixture, 1, 1, 200000);
}

static void a_crash_leaves_messages_without_rows_to_the_journal(void **state) {
    struct fixture after;
    (void)state;
    accept_one(1);
    spool_settle(fixture.spool);
    accept_one(2);
    fixture_commit_large(&fixture, 3, 200000);
    fixture_finish(&fixture);
    fixture_crash(&fixture, &after);
    fixture_open(&after);
    for (unsigned i = 1; i <= 3; i++) {
        assert_string_equal(fixture_states(&after, i), "queued");
        fixture_same_bytes(&after, i, 1, i == 3 ? 200000 : 500);
    }
    fixture_end(&after);
}

/* The start adds its rows, then moves all that was written by the clock as it was. */
static void what_a_start_finds_without_rows_is_due_at_once_though_the_clock_was_set_forward(void **state) {
    const int64_t day = 86400;
    struct fixture after;
    (void)state;
    fixture_clock = -day;
    accept_one(1);
    fixture_clock = 0;
    fixture_crash(&fixture, &after);
    fixture_open(&after);
    assert_true(clock_shift_begin(after.spool->database, day, time(NULL), 0));
    assert_true(clock_shift_step(after.spool->database));
    struct sqlite3_stmt *row = statement_query(after.spool->database, STATEMENT_SCHEDULE_NEXT, BINDS(bind_time(1)));
    assert_int_equal(statement_step(row), STATEMENT_ROW);
    assert_in_range(column_time(row, 0), time(NULL) - 60, time(NULL));
    statement_end(row);
    fixture_end(&after);
}

/* What is due now, and what a result puts off, would be moved with what waits. */
static void while_rows_are_moved_with_the_clock_results_are_taken_and_orders_wait(void **state) {
    const struct spool_change change = {.mail_id = "1aBcDe-000001-Zz", .kind = PARCEL_RETRY};
    (void)state;
    accept_one(1);
    spool_settle(fixture.spool);
    assert_true(clock_shift_begin(fixture.spool->database, 86400, time(NULL), 0));
    assert_int_equal(spool_add_change(fixture.spool, &change, NULL), SPOOL_FAILED);
    assert_int_equal(fixture_result(&fixture, 1, 0, SPOOL_DEFERRED, "451 4.4.1 later"), SPOOL_OK);
    assert_true(clock_shift_step(fixture.spool->database));
    struct sqlite3_stmt *row = statement_query(fixture.spool->database, STATEMENT_SCHEDULE_NEXT, BINDS(bind_time(1)));
    assert_int_equal(statement_step(row), STATEMENT_ROW);
    assert_in_range(column_time(row, 0), time(NULL) + 200, time(NULL) + 300);
    statement_end(row);
    assert_int_equal(spool_add_change(fixture.spool, &change, NULL), SPOOL_OK);
    fixture_finish(&fixture);
}

static void who_orders_while_rows_are_moved_with_the_clock_reads_why_it_must_wait(void **state) {
    struct buffer answer;
    int64_t record = 0;
    struct order order = {.spool = fixture.spool,
                          .resident = true,
                          .verb = "queue retry",
                          .argument = "1aBcDe-000001-Zz",
                          .detail = "",
                          .answer = &answer,
                          .record = &record};
    (void)state;
    buffer_init(&answer, 1024);
    accept_one(1);
    spool_settle(fixture.spool);
    assert_true(clock_shift_begin(fixture.spool->database, 86400, time(NULL), 0));
    assert_int_equal(order_run(&order), EXIT_STATUS_TEMPFAIL);
    assert_non_null(strstr(buffer_string(&answer), "is being moved with it: try again in a moment"));
    assert_true(clock_shift_step(fixture.spool->database));
    assert_int_equal(order_run(&order), EXIT_STATUS_OK);
    fixture_finish(&fixture);
    buffer_free(&answer);
}

static void a_failed_flush_takes_nothing_of_what_was_flushed_before(void **state) {
    struct fixture after;
    (void)state;
    accept_one(1);
    assert_int_equal(fixture_add(&fixture, 2, 1, 500), SPOOL_OK);
    fixture_failures = 1;
    fixture_finish(&fixture);
    assert_int_equal(fixture.answers[2], SPOOL_FAILED);
    fixture_crash(&fixture, &after);
    fixture_open(&after);
    assert_string_equal(fixture_states(&after, 1), "queued");
    assert_string_equal(fixture_states(&after, 2), "");
    fixture_end(&after);
    spool_settle(fixture.spool);
    assert_string_equal(fixture_states(&fixture, 1), "queued");
    accept_one(3);
}

static void an_id_without_rows_is_known(void **state) {
    (void)state;
    accept_one(1);
    assert_int_equal(fixture_add(&fixture, 1, 1, 500), SPOOL_INVALID);
}

static void by_hand(const char *words) {
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(fixture.database, &handle), SQLITE_OK);
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(handle, words, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
    sqlite3_close(handle);
}

static const char *const parcel_by_hand =
    "INSERT INTO parcels (mail_id, recipient, from_url, to_url, target, domain, delivery, state, created_at, "
    "updated_at)"
    " VALUES ('1aBcDe-000009-Zz', 0, '', '', '', '', 'none', 'removed', '2026-01-01', '2026-01-01')";

/* A row with another id would be read, and the message delivered once more. */
static void an_id_that_was_told_stays_and_a_row_put_in_by_hand_makes_way(void **state) {
    const struct spool_events events = {&fixture, fixture_answered, keep_id};
    (void)state;
    assert_int_equal(fixture_add(&fixture, 1, 1, 500), SPOOL_OK);
    spool_finish(fixture.spool, &events);
    by_hand(parcel_by_hand);
    assert_int_equal(parcel_of(9), told_id);
    assert_int_equal(fixture_result(&fixture, 1, 0, SPOOL_DELIVERED, "250 2.0.0 OK"), SPOOL_OK);
    assert_int_equal(parcel_of(1), told_id);
    assert_string_equal(fixture_states(&fixture, 1), "delivered");
    assert_string_equal(fixture_states(&fixture, 9), "removed");
    struct sqlite3_stmt *row = statement_query(fixture.spool->database, STATEMENT_REPORT_MAIL_ATTEMPTS,
                                               BINDS(bind_string("1aBcDe-000001-Zz")));
    assert_int_equal(statement_step(row), STATEMENT_ROW);
    statement_end(row);
}

/* The queue runner may know that row already. */
static void no_message_is_told_an_id_that_was_put_in_by_hand(void **state) {
    const struct spool_events events = {&fixture, fixture_answered, keep_id};
    (void)state;
    accept_one(1);
    spool_settle(fixture.spool);
    by_hand(parcel_by_hand);
    int64_t id = parcel_of(9);
    assert_int_equal(fixture_add(&fixture, 2, 1, 500), SPOOL_OK);
    spool_finish(fixture.spool, &events);
    assert_true(told_id > id);
    spool_settle(fixture.spool);
    assert_int_equal(parcel_of(2), told_id);
    assert_int_equal(parcel_of(9), id);
}

static void keep_ids(void *context, const struct spool_news *news) {
    memcpy(context, news->parcel_ids, news->envelope->recipient_count * sizeof *news->parcel_ids);
}

static int interrupt(void *steps_left) {
    return --*(int *)steps_left == 0;
}

static int interrupt_from_then_on(void *steps_left) {
    return --*(int *)steps_left <= 0;
}

/* By them the runner knows what it has in hand: a row with another one would be delivered once more. */
static void ids_that_were_told_are_those_of_rows_that_failed_in_their_midst(void **state) {
    int64_t told[40];
    int steps_left = 3000;
    const struct parcels_refused refused = {
        0, TEXT("1aBcDe-000009-Zz"), TEXT("a@remote.test"), TEXT("b@example.test"), TEXT("550 5.1.1 no"), false};
    const struct spool_events events = {told, NULL, keep_ids};
    char id[MAIL_ID_SIZE];
    (void)state;
    fixture_id(1, id);
    assert_int_equal(fixture_add(&fixture, 1, 40, 500), SPOOL_OK);
    sqlite3_progress_handler(fixture.spool->database->handle, 1, interrupt, &steps_left);
    spool_finish(fixture.spool, &events);
    assert_true(spool_has_waiting_rows(fixture.spool));
    sqlite3_progress_handler(fixture.spool->database->handle, 0, NULL, NULL);
    assert_true(parcels_add_refused(fixture.spool->database, &refused, time(NULL)));
    spool_retry_rows(fixture.spool, &events);
    assert_false(spool_has_waiting_rows(fixture.spool));
    for (uint32_t i = 0; i < 40; i++) {
        struct parcels_row row = {.id = 0};
        assert_int_equal(parcels_find(fixture.spool->database, id, i, &row), PARCELS_YES);
        assert_int_equal(row.id, told[i]);
    }
}

static void rows_are_written_though_not_even_the_transaction_could_be_undone(void **state) {
    int steps_left = 40;
    const struct spool_events none = {NULL, NULL, NULL};
    (void)state;
    accept_one(1);
    sqlite3_progress_handler(fixture.spool->database->handle, 1, interrupt_from_then_on, &steps_left);
    spool_settle(fixture.spool);
    assert_true(spool_has_waiting_rows(fixture.spool));
    sqlite3_progress_handler(fixture.spool->database->handle, 0, NULL, NULL);
    spool_retry_rows(fixture.spool, &none);
    assert_false(spool_has_waiting_rows(fixture.spool));
    assert_string_equal(fixture_states(&fixture, 1), "queued");
}

static void messages_are_told_once_though_their_rows_are_refused_at_first(void **state) {
    const struct spool_events events = {&fixture, fixture_answered, fixture_news};
    struct buffer error;
    (void)state;
    buffer_init(&error, 1024);
    accept_one(1);
    struct database *other = database_open(fixture.database, DATABASE_MAIN, DATABASE_WRITE, &error);
    assert_non_null(other);
    assert_true(database_begin(other)); /* longer than the busy timeout */
    assert_int_equal(fixture_add(&fixture, 2, 1, 500), SPOOL_OK);
    spool_settle(fixture.spool);
    assert_true(spool_has_waiting_rows(fixture.spool));
    fixture_finish(&fixture); /* what has come before is still answered */
    assert_int_equal(fixture.answers[2], SPOOL_OK);
    assert_int_equal(fixture_add(&fixture, 3, 1, 500), SPOOL_FULL);
    database_rollback(other);
    database_close(other);
    spool_retry_rows(fixture.spool, &events);
    assert_false(spool_has_waiting_rows(fixture.spool));
    assert_string_equal(fixture_states(&fixture, 1), "queued");
    assert_string_equal(fixture_states(&fixture, 2), "queued");
    assert_int_equal(fixture.news, 2);
    buffer_free(&error);
}

/* Who reads what is due in its order has the next ones by then. */
static void rows_that_bear_a_time_of_seconds_ago_are_told_as_late_once(void **state) {
    (void)state;
    accept_one(1);
    spool_settle(fixture.spool);
    assert_false(spool_rows_were_late(fixture.spool));
    accept_one(2);
    fixture.spool->first->at -= 3; /* a slow flush, a lock */
    spool_settle(fixture.spool);
    assert_true(spool_rows_were_late(fixture.spool));
    assert_false(spool_rows_were_late(fixture.spool));
}

/* ---- contacts ---- */

static struct contacts_state connect_once(void) {
    struct contacts_state found;
    assert_true(spool_contact_open(fixture.spool, &policy, CONTACT, false, time(NULL), &found));
    return found;
}

static int64_t hits(void) {
    struct contacts_state found;
    spool_settle(fixture.spool);
    assert_true(contacts_attempts(fixture.spool->database, &policy, CONTACT, 0, 1, time(NULL), &found));
    struct sqlite3_stmt *row =
        statement_query(fixture.spool->database, STATEMENT_CONTACT_BY_IP, BINDS(bind_text(CONTACT)));
    assert_int_equal(statement_step(row), STATEMENT_ROW);
    int64_t count = column_integer(row, 2);
    statement_end(row);
    return count;
}

static void hits_of_a_contact_without_a_count_are_added_later(void **state) {
    (void)state;
    int64_t id = connect_once().id; /* its row is made at once: others name it */
    assert_true(id > 0);
    assert_false(spool_is_unsettled(fixture.spool));
    for (int i = 0; i < 4; i++) {
        assert_int_equal(connect_once().id, id);
    }
    assert_true(spool_is_unsettled(fixture.spool));
    assert_int_equal(hits(), 5);
}

static void a_count_is_never_judged_without_what_was_accepted(void **state) {
    const struct contacts_violation violation = {.contact = CONTACT,
                                                 .verb = TEXT("RCPT"),
                                                 .rule = TEXT("relay"),
                                                 .reply = TEXT("550 5.7.1 no"),
                                                 .account = TEXT_NONE,
                                                 .mail_id = TEXT_NONE};
    struct contacts_state found;
    (void)state;
    fixture_contact = connect_once().id;
    for (int i = 0; i < 3; i++) {
        assert_true(contacts_violate(fixture.spool->database, &policy, &violation, false, time(NULL), &found));
    }
    accept_one(1); /* which clears them */
    found = connect_once();
    assert_int_equal(found.verdict, CONTACTS_ADMIT);
    assert_int_equal(found.violations, 0);
    fixture_contact = 0;
}

static void who_has_just_sent_a_message_is_known_good(void **state) {
    (void)state;
    fixture_contact = connect_once().id;
    assert_int_equal(connect_once().accepted_at, 0);
    accept_one(1);
    assert_string_equal(fixture_states(&fixture, 1), "");
    assert_true(connect_once().accepted_at > 0);
    fixture_contact = 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_message_is_answered_told_and_fetched_before_its_rows),
        TEST(no_more_rows_wait_than_may),
        TEST(a_result_finds_the_rows_of_its_message),
        TEST(a_result_of_a_message_whose_rows_are_refused_is_not_taken_for_known),
        TEST(recipients_end_one_by_one_before_and_after_the_rows),
        TEST(ids_that_were_told_hold_beside_rows_that_are_written_at_once),
        TEST(a_large_message_is_fetched_before_its_rows),
        TEST(a_crash_leaves_messages_without_rows_to_the_journal),
        TEST(what_a_start_finds_without_rows_is_due_at_once_though_the_clock_was_set_forward),
        TEST(while_rows_are_moved_with_the_clock_results_are_taken_and_orders_wait),
        TEST(who_orders_while_rows_are_moved_with_the_clock_reads_why_it_must_wait),
        TEST(a_failed_flush_takes_nothing_of_what_was_flushed_before),
        TEST(an_id_without_rows_is_known),
        TEST(an_id_that_was_told_stays_and_a_row_put_in_by_hand_makes_way),
        TEST(no_message_is_told_an_id_that_was_put_in_by_hand),
        TEST(ids_that_were_told_are_those_of_rows_that_failed_in_their_midst),
        TEST(rows_are_written_though_not_even_the_transaction_could_be_undone),
        TEST(rows_that_bear_a_time_of_seconds_ago_are_told_as_late_once),
        TEST(messages_are_told_once_though_their_rows_are_refused_at_first),
        TEST(hits_of_a_contact_without_a_count_are_added_later),
        TEST(a_count_is_never_judged_without_what_was_accepted),
        TEST(who_has_just_sent_a_message_is_known_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
