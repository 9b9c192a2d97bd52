/* SPDX-License-Identifier: MIT
 * A result and an operator's change of the same message that arrive together: one batch has both, and its rows know of
 * neither yet. */
#include "store_fixture.h"

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

static struct fixture fixture;

static int set_up(void **state) {
    (void)state;
    fixture_start(&fixture);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    fixture_end(&fixture);
    return 0;
}

static enum spool_outcome add_result(unsigned number, enum spool_result result, enum spool_outcome *answer) {
    char id[MAIL_ID_SIZE];
    fixture_id(number, id);
    const struct spool_ending ending = {.recipient = 0, .result = result, .retry_at = 0, .reply = TEXT("250 words")};
    const struct spool_attempt attempt = fixture_attempt(id, &ending, 1);
    return spool_add_attempt(fixture.spool, &attempt, answer);
}

static enum spool_outcome hold(unsigned number) {
    static const uint32_t both[] = {0, 1};
    char id[MAIL_ID_SIZE];
    fixture_id(number, id);
    const struct spool_change wanted = {id, PARCEL_HOLD, both, 2, TEXT_NONE};
    return spool_add_change(fixture.spool, &wanted, NULL);
}

static void a_hold_that_comes_with_the_last_result_is_too_late(void **state) {
    enum spool_outcome answer = SPOOL_NOTHING;
    (void)state;
    fixture_add(&fixture, 1, 1, 500);
    fixture_add(&fixture, 2, 1, 500);
    fixture_finish(&fixture);
    assert_int_equal(add_result(1, SPOOL_DELIVERED, &answer), SPOOL_OK);
    assert_int_equal(hold(1), SPOOL_NOTHING);
    fixture_finish(&fixture);
    assert_int_equal(answer, SPOOL_OK);
    assert_string_equal(fixture_states(&fixture, 1), "delivered");
    assert_string_equal(fixture_place(&fixture, 1), "gone");
    assert_false(fixture_has_file(&fixture, 1));
}

static void a_segment_is_kept_for_a_message_beside_one_that_ended_and_was_held_at_once(void **state) {
    enum spool_outcome answer = SPOOL_NOTHING;
    (void)state;
    fixture_add(&fixture, 9998, 1, 500);
    fixture_add(&fixture, 9999, 1, 500);
    fixture_finish(&fixture);
    add_result(9998, SPOOL_DELIVERED, &answer);
    (void)hold(9998);
    fixture_finish(&fixture);
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(fixture_add(&fixture, i, 1, 8000), SPOOL_OK);
        fixture_finish(&fixture);
        fixture_result(&fixture, i, 0, SPOOL_DELIVERED, "250 OK");
        journal_set_durable(fixture.spool->journal, fixture.spool->end); /* as after a checkpoint */
    }
    fixture_same_bytes(&fixture, 9999, 1, 500);
}

static void what_a_hold_moves_to_a_file_says_who_failed_in_the_same_batch(void **state) {
    enum spool_outcome answer = SPOOL_NOTHING;
    struct cargo_lengths lengths;
    struct envelope envelope;
    char id[MAIL_ID_SIZE];
    (void)state;
    fixture_id(1, id);
    fixture_add(&fixture, 1, 2, 500);
    fixture_finish(&fixture);
    assert_int_equal(add_result(1, SPOOL_ENDED_FAILED, &answer), SPOOL_OK);
    assert_int_equal(hold(1), SPOOL_OK);
    fixture_finish(&fixture);
    assert_string_equal(fixture_states(&fixture, 1), "failed,held");
    int fd = mail_file_open(&fixture.spool->files, id, O_RDONLY, &lengths);
    assert_true(fd >= 0 && mail_file_envelope(fd, &lengths, &envelope));
    assert_int_equal(envelope.recipients[0].status, RECIPIENT_FAILED);
    assert_int_equal(envelope.recipients[1].status, RECIPIENT_HELD);
    envelope_free(&envelope);
    (void)close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_hold_that_comes_with_the_last_result_is_too_late),
        TEST(a_segment_is_kept_for_a_message_beside_one_that_ended_and_was_held_at_once),
        TEST(what_a_hold_moves_to_a_file_says_who_failed_in_the_same_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
