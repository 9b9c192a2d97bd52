/* SPDX-License-Identifier: MIT
 * The spool: what becomes of a message between its commit and its end, through crashes at every step, failed flushes, a
 * database that refuses rows, a full queue, and a rebuild. */
#include "one_store.h"
#define XXH_INLINE_ALL
#include <xxhash.h>

/* ---- the commit ---- */

static void a_message_is_answered_after_one_flush_and_its_rows_are_in(void **state) {
    (void)state;
    fixture_flushes = 0;
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(fixture_add(&fixture, i, 2, 1000), SPOOL_OK);
        assert_int_equal(fixture.answers[i], SPOOL_NOTHING);
    }
    assert_string_equal(fixture_states(&fixture, 3), "");
    fixture_finish(&fixture);
    assert_int_equal(fixture_flushes, 1);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(fixture.answers[i], SPOOL_OK);
        assert_string_equal(fixture_states(&fixture, i), "queued,queued");
        assert_string_equal(fixture_place(&fixture, i), "journal");
        fixture_same_bytes(&fixture, i, 2, 1000);
    }
    assert_int_equal(fixture.news, 40);
}

static void a_second_message_under_the_same_id_is_refused(void **state) {
    (void)state;
    assert_int_equal(fixture_add(&fixture, 1, 1, 100), SPOOL_OK);
    assert_int_equal(fixture_add(&fixture, 1, 1, 100), SPOOL_INVALID);
    fixture_finish(&fixture);
    assert_int_equal(fixture_add(&fixture, 1, 1, 100), SPOOL_INVALID);
}

static void lengths_that_do_not_add_up_are_refused(void **state) {
    static const struct {
        const char *what;
        int64_t message, headers, envelope;
    } rows[] = {
        {"message longer than the cargo", 1, 0, 0},   {"headers longer than the cargo", 0, 1, 0},
        {"envelope shorter than the rest", 0, 0, -1}, {"lengths that overflow together", INT64_MAX, INT64_MAX, 0},
        {"a message that begins later", -7, 7, 0},
    };
    struct buffer bytes;
    struct spool_cargo cargo;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fixture_cargo(1, 1, 100, &bytes, &cargo);
        cargo.lengths.message += (uint64_t)rows[i].message;
        cargo.lengths.headers += (uint64_t)rows[i].headers;
        cargo.lengths.envelope += (uint64_t)rows[i].envelope;
        enum spool_outcome outcome = spool_add_mail(fixture.spool, &cargo, NULL);
        if (strcmp(rows[i].what, "a message that begins later") != 0 && outcome != SPOOL_INVALID) {
            fail_msg("%s was taken", rows[i].what);
        }
        buffer_free(&bytes);
    }
}

static void a_message_above_the_journal_maximum_becomes_a_file_at_once(void **state) {
    (void)state;
    assert_int_equal(fixture_add(&fixture, 1, 1, 200000), SPOOL_OK);
    fixture_finish(&fixture);
    assert_int_equal(fixture.answers[1], SPOOL_OK);
    assert_string_equal(fixture_place(&fixture, 1), "file");
    assert_true(fixture_has_file(&fixture, 1));
    fixture_same_bytes(&fixture, 1, 1, 200000);
}

static void a_large_message_is_renamed_into_place(void **state) {
    (void)state;
    fixture_commit_large(&fixture, 5, 3000000);
    fixture_finish(&fixture);
    assert_int_equal(fixture.answers[5], SPOOL_OK);
    assert_true(fixture_has_file(&fixture, 5));
    fixture_same_bytes(&fixture, 5, 1, 3000000);
}

/* ---- failed flushes, refused rows ---- */

static void a_failed_flush_answers_every_waiting_commit_as_failed(void **state) {
    (void)state;
    assert_int_equal(fixture_add(&fixture, 1, 1, 500), SPOOL_OK);
    fixture_finish(&fixture);
    assert_int_equal(fixture_add(&fixture, 2, 1, 500), SPOOL_OK);
    assert_int_equal(fixture_add(&fixture, 3, 1, 500), SPOOL_OK);
    fixture_failures = 1;
    fixture_finish(&fixture);
    assert_int_equal(fixture.answers[2], SPOOL_FAILED);
    assert_int_equal(fixture.answers[3], SPOOL_FAILED);
    assert_string_equal(fixture_states(&fixture, 2), "");
    assert_int_equal(fixture_add(&fixture, 4, 1, 500), SPOOL_OK);
    fixture_finish(&fixture);
    assert_int_equal(fixture.answers[4], SPOOL_OK);
    fixture_same_bytes(&fixture, 1, 1, 500);
    fixture_same_bytes(&fixture, 4, 1, 500);
}

static void records_of_a_failed_flush_never_happen_after_a_crash(void **state) {
    struct fixture after;
    (void)state;
    assert_int_equal(fixture_add(&fixture, 1, 1, 500), SPOOL_OK);
    fixture_finish(&fixture);
    assert_int_equal(fixture_add(&fixture, 2, 1, 500), SPOOL_OK);
    fixture_failures = 1;
    fixture_finish(&fixture);
    fixture_crash(&fixture, &after);
    (void)unlink(after.database); /* even a rebuild from nothing must not find it */
    fixture_open(&after);
    assert_string_equal(fixture_states(&after, 1), "queued");
    assert_string_equal(fixture_states(&after, 2), "");
    fixture_end(&after);
}

static void while_no_segment_can_be_written_commits_fail_and_then_go_on(void **state) {
    (void)state;
    assert_int_equal(fixture_add(&fixture, 1, 1, 500), SPOOL_OK);
    fixture_failures = 2; /* the batch, and the next segment's first flush */
    fixture_finish(&fixture);
    assert_int_equal(fixture.answers[1], SPOOL_FAILED);
    assert_int_equal(fixture_add(&fixture, 2, 1, 500), SPOOL_FAILED);
    struct timespec pause = {1, 50000000};
    nanosleep(&pause, NULL);
    assert_int_equal(fixture_add(&fixture, 3, 1, 500), SPOOL_OK);
    fixture_finish(&fixture);
    assert_int_equal(fixture.answers[3], SPOOL_OK);
}

static void rows_that_sqlite_refuses_wait_and_new_mail_is_told_to_come_later(void **state) {
    struct buffer error;
    const struct spool_events events = {&fixture, fixture_answered, fixture_news};
    (void)state;
    buffer_init(&error, 1024);
    assert_int_equal(fixture_add(&fixture, 1, 1, 500), SPOOL_OK);
    assert_true(statement_run(fixture.spool->database, STATEMENT_USERS_LOCAL_DOMAIN, BINDS(bind_string("x"))));
    struct database *other = database_open(fixture.database, DATABASE_MAIN, DATABASE_WRITE, &error);
    assert_non_null(other);
    assert_true(database_begin(other)); /* longer than the busy timeout */
    fixture_finish(&fixture);
    assert_int_equal(fixture.answers[1], SPOOL_OK);
    assert_true(spool_has_waiting_rows(fixture.spool));
    assert_int_equal(fixture.news, 0);
    assert_int_equal(fixture_add(&fixture, 2, 1, 500), SPOOL_FULL);
    database_rollback(other);
    database_close(other);
    spool_retry_rows(fixture.spool, &events);
    assert_false(spool_has_waiting_rows(fixture.spool));
    assert_string_equal(fixture_states(&fixture, 1), "queued");
    assert_int_equal(fixture.news, 1);
    assert_int_equal(fixture_add(&fixture, 2, 1, 500), SPOOL_OK);
    buffer_free(&error);
}

/* ---- results ---- */

static void a_message_delivered_at_once_never_becomes_a_file(void **state) {
    (void)state;
    fixture_add(&fixture, 1, 2, 500);
    fixture_finish(&fixture);
    assert_int_equal(fixture_result(&fixture, 1, 0, SPOOL_DELIVERED, "250 2.0.0 OK"), SPOOL_OK);
    assert_string_equal(fixture_states(&fixture, 1), "delivered,queued");
    assert_string_equal(fixture_place(&fixture, 1), "journal");
    assert_int_equal(fixture_result(&fixture, 1, 1, SPOOL_DELIVERED, "250 2.0.0 OK"), SPOOL_OK);
    assert_string_equal(fixture_states(&fixture, 1), "delivered,delivered");
    assert_string_equal(fixture_place(&fixture, 1), "gone");
    assert_false(fixture_has_file(&fixture, 1));
}

static void a_second_result_for_a_finished_recipient_changes_nothing(void **state) {
    (void)state;
    fixture_add(&fixture, 1, 2, 500);
    fixture_finish(&fixture);
    assert_int_equal(fixture_result(&fixture, 1, 0, SPOOL_DELIVERED, "250 OK"), SPOOL_OK);
    assert_int_equal(fixture_result(&fixture, 1, 0, SPOOL_ENDED_FAILED, "550 no"), SPOOL_NOTHING);
    assert_string_equal(fixture_states(&fixture, 1), "delivered,queued");
}

/* ctime cannot be set: what a fetch of a file that settled long ago remembers is put in by hand. */
static void a_verified_file_is_read_whole_again_only_when_it_changed(void **state) {
    char id[MAIL_ID_SIZE], path[PATH_MAX];
    struct spool_content content;
    struct stat status;
    (void)state;
    fixture_id(1, id);
    fixture_commit_large(&fixture, 1, 500);
    fixture_finish(&fixture);
    (void)snprintf(path, sizeof path, "%s/mail/%s", fixture.queue, id);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && file_pwrite_all(fd, "X", 1, 100));
    assert_false(spool_fetch(fixture.spool, id, &content));
    assert_int_equal(fstat(fd, &status), 0);
    struct verified *place = &fixture.spool->verified[XXH3_64bits(id, strlen(id)) % VERIFIED_PLACES];
    assert_string_equal(place->mail_id, "");
    (void)text_copy(place->mail_id, MAIL_ID_SIZE, text_of(id));
    place->changed = status.st_ctim;
    assert_true(spool_fetch(fixture.spool, id, &content)); /* not read */
    (void)close(content.fd);
    place->changed.tv_nsec ^= 1;
    assert_false(spool_fetch(fixture.spool, id, &content));
    (void)close(fd);
}

static void a_recipient_named_twice_in_one_result_counts_once(void **state) {
    char id[MAIL_ID_SIZE];
    enum spool_outcome answer = SPOOL_NOTHING;
    (void)state;
    fixture_id(1, id);
    fixture_add(&fixture, 1, 2, 500);
    fixture_finish(&fixture);
    const struct spool_ending endings[] = {
        {.recipient = 0, .result = SPOOL_DELIVERED, .retry_at = 0, .reply = TEXT("250 OK")},
        {.recipient = 1, .result = SPOOL_DELIVERED, .retry_at = 0, .reply = TEXT("250 OK")},
        {.recipient = 0, .result = SPOOL_DELIVERED, .retry_at = 0, .reply = TEXT("250 OK")}};
    const struct spool_attempt attempt = {.mail_id = id, .endings = endings, .count = 3, .started_at = time(NULL)};
    assert_int_equal(spool_add_attempt(fixture.spool, &attempt, &answer), SPOOL_OK);
    fixture_finish(&fixture);
    assert_string_equal(fixture_states(&fixture, 1), "delivered,delivered");
    assert_string_equal(fixture_place(&fixture, 1), "gone");
}

static void a_deferral_brings_the_message_to_rest_in_a_file(void **state) {
    struct cargo_lengths lengths;
    struct envelope envelope;
    char id[MAIL_ID_SIZE];
    (void)state;
    fixture_add(&fixture, 1, 3, 500);
    fixture_finish(&fixture);
    fixture_result(&fixture, 1, 1, SPOOL_DELIVERED, "250 OK");
    assert_int_equal(fixture_result(&fixture, 1, 0, SPOOL_DEFERRED, "451 later"), SPOOL_OK);
    assert_string_equal(fixture_states(&fixture, 1), "deferred,delivered,queued");
    assert_string_equal(fixture_place(&fixture, 1), "file");
    fixture_id(1, id);
    int fd = mail_file_open(&fixture.spool->files, id, O_RDONLY, &lengths);
    assert_true(fd >= 0 && mail_file_envelope(fd, &lengths, &envelope));
    assert_int_equal(envelope.recipients[0].status, RECIPIENT_QUEUED);
    assert_int_equal(envelope.recipients[1].status, RECIPIENT_DELIVERED);
    envelope_free(&envelope);
    (void)close(fd);
    fixture_result(&fixture, 1, 0, SPOOL_ENDED_FAILED, "550 5.1.1 no");
    fd = mail_file_open(&fixture.spool->files, id, O_RDONLY, &lengths);
    assert_true(fd >= 0 && mail_file_envelope(fd, &lengths, &envelope));
    assert_int_equal(envelope.recipients[0].status, RECIPIENT_FAILED);
    envelope_free(&envelope);
    (void)close(fd);
    fixture_result(&fixture, 1, 2, SPOOL_ENDED_FAILED, "554 4.4.7 delivery time expired; last: 451 later");
    assert_string_equal(fixture_states(&fixture, 1), "failed,delivered,expired");
    assert_string_equal(fixture_place(&fixture, 1), "gone");
    assert_false(fixture_has_file(&fixture, 1));
}

static void several_results_of_one_message_in_one_batch_end_it(void **state) {
    char id[MAIL_ID_SIZE];
    enum spool_outcome answers[3];
    static const enum spool_result results[] = {SPOOL_ENDED_FAILED, SPOOL_DEFERRED, SPOOL_DELIVERED};
    (void)state;
    fixture_add(&fixture, 1, 3, 500);
    fixture_finish(&fixture);
    fixture_id(1, id);
    for (uint32_t i = 0; i < 3; i++) {
        const struct spool_ending ending = {
            .recipient = i, .result = results[i], .retry_at = time(NULL) + 60, .reply = TEXT("250 words")};
        const struct spool_attempt attempt = fixture_attempt(id, &ending, 1);
        assert_int_equal(spool_add_attempt(fixture.spool, &attempt, &answers[i]), SPOOL_OK);
    }
    fixture_finish(&fixture);
    assert_string_equal(fixture_states(&fixture, 1), "failed,deferred,delivered");
    struct cargo_lengths lengths;
    struct envelope envelope;
    int fd = mail_file_open(&fixture.spool->files, id, O_RDONLY, &lengths);
    assert_true(fd >= 0 && mail_file_envelope(fd, &lengths, &envelope));
    assert_int_equal(envelope.recipients[0].status, RECIPIENT_FAILED);
    assert_int_equal(envelope.recipients[1].status, RECIPIENT_QUEUED);
    assert_int_equal(envelope.recipients[2].status, RECIPIENT_DELIVERED);
    envelope_free(&envelope);
    (void)close(fd);
    assert_int_equal(fixture_result(&fixture, 1, 1, SPOOL_DELIVERED, "250 OK"), SPOOL_OK);
    assert_string_equal(fixture_place(&fixture, 1), "gone");
}

static void a_failure_and_its_notice_are_one_batch_and_repeating_it_adds_nothing(void **state) {
    struct buffer bytes;
    struct spool_cargo notice;
    char id[MAIL_ID_SIZE];
    enum spool_outcome answer = SPOOL_NOTHING;
    const struct spool_ending ending = {
        .recipient = 0, .result = SPOOL_ENDED_FAILED, .retry_at = 0, .reply = TEXT("550 5.1.1 no")};
    (void)state;
    fixture_add(&fixture, 1, 1, 500);
    fixture_finish(&fixture);
    fixture_id(1, id);
    fixture_cargo(900, 1, 300, &bytes, &notice);
    struct spool_attempt attempt = fixture_attempt(id, &ending, 1);
    attempt.notices = &notice;
    attempt.notice_count = 1;
    fixture_failures = 1;
    assert_int_equal(spool_add_attempt(fixture.spool, &attempt, &answer), SPOOL_OK);
    fixture_finish(&fixture);
    assert_int_equal(answer, SPOOL_FAILED);
    assert_string_equal(fixture_states(&fixture, 1), "queued");
    assert_string_equal(fixture_states(&fixture, 900), "");
    assert_int_equal(spool_add_attempt(fixture.spool, &attempt, &answer), SPOOL_OK);
    fixture_finish(&fixture);
    assert_string_equal(fixture_states(&fixture, 1), "failed");
    assert_string_equal(fixture_states(&fixture, 900), "queued");
    assert_int_equal(spool_add_attempt(fixture.spool, &attempt, &answer), SPOOL_NOTHING);
    fixture_finish(&fixture);
    assert_string_equal(fixture_states(&fixture, 900), "queued");
    buffer_free(&bytes);
}

/* ---- hold, release, remove ---- */

static enum spool_outcome change(const char *id, enum parcel_change kind) {
    static const uint32_t both[] = {0, 1};
    const struct spool_change wanted = {id, kind, both, 2, TEXT_NONE};
    return spool_add_change(fixture.spool, &wanted, NULL);
}

static void a_held_message_lies_in_a_file_and_can_be_released(void **state) {
    char id[MAIL_ID_SIZE];
    (void)state;
    fixture_add(&fixture, 1, 2, 500);
    fixture_finish(&fixture);
    fixture_id(1, id);
    assert_int_equal(change(id, PARCEL_HOLD), SPOOL_OK);
    fixture_finish(&fixture);
    assert_string_equal(fixture_states(&fixture, 1), "held,held");
    assert_string_equal(fixture_place(&fixture, 1), "file");
    fixture_close(&fixture);
    fixture_open(&fixture);
    assert_string_equal(fixture_states(&fixture, 1), "held,held");
    assert_int_equal(change(id, PARCEL_RELEASE), SPOOL_OK);
    fixture_finish(&fixture);
    assert_string_equal(fixture_states(&fixture, 1), "queued,queued");
    fixture_same_bytes(&fixture, 1, 2, 500);
}

/* ---- space ---- */

static void segments_are_reused_when_their_mail_has_left(void **state) {
    (void)state;
    for (unsigned i = 0; i < 400; i++) {
        assert_int_equal(fixture_add(&fixture, i, 1, 8000), SPOOL_OK);
        fixture_finish(&fixture);
        assert_int_equal(fixture_result(&fixture, i, 0, SPOOL_DELIVERED, "250 OK"), SPOOL_OK);
        journal_set_durable(fixture.spool->journal, fixture.spool->end); /* as after a checkpoint */
    }
    assert_true(journal_segments(fixture.spool->journal) <= 3);
    fixture_close(&fixture);
    fixture_open(&fixture);
    assert_string_equal(fixture_place(&fixture, 399), "gone");
}

static void a_segment_with_open_mail_or_without_a_checkpoint_is_not_reused(void **state) {
    (void)state;
    fixture_add(&fixture, 9999, 1, 8000);
    fixture_finish(&fixture);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(fixture_add(&fixture, i, 1, 8000), SPOOL_OK);
        fixture_finish(&fixture);
        fixture_result(&fixture, i, 0, SPOOL_DELIVERED, "250 OK");
        journal_set_durable(fixture.spool->journal, fixture.spool->end);
    }
    assert_true(journal_segments(fixture.spool->journal) >= 4);
    fixture_same_bytes(&fixture, 9999, 1, 8000);
    /* what keeps it is moved to rest, and then it is reused */
    spool_unpin(fixture.spool);
    fixture_finish(&fixture);
    assert_string_equal(fixture_place(&fixture, 9999), "file");
    fixture_same_bytes(&fixture, 9999, 1, 8000);
}

static void a_full_queue_refuses_mail_and_still_records_results(void **state) {
    unsigned taken = 0;
    (void)state;
    fixture.options.limits.maximum_size = 3 * FIXTURE_SEGMENT;
    spool_set_options(fixture.spool, &fixture.options);
    while (taken < 1000 && fixture_add(&fixture, taken, 1, 8000) == SPOOL_OK) {
        taken++;
    }
    fixture_finish(&fixture);
    assert_in_range(taken, 50, 200);
    assert_int_equal(fixture_add(&fixture, 1001, 1, 8000), SPOOL_FULL);
    for (unsigned i = 0; i < taken; i++) {
        assert_int_equal(fixture_result(&fixture, i, 0, SPOOL_DELIVERED, "250 OK"), SPOOL_OK);
    }
    journal_set_durable(fixture.spool->journal, fixture.spool->end);
    assert_int_equal(fixture_add(&fixture, 1002, 1, 8000), SPOOL_OK);
    fixture_finish(&fixture);
    assert_int_equal(fixture.answers[1002 % 64], SPOOL_OK);
}

/* ---- rebuild ---- */

static void a_rebuild_never_repeats_a_finished_recipient(void **state) {
    struct buffer report;
    (void)state;
    fixture_add(&fixture, 1, 2, 500);
    fixture_add(&fixture, 2, 2, 500);
    fixture_add(&fixture, 3, 1, 500);
    fixture_commit_large(&fixture, 4, 100000);
    fixture_finish(&fixture);
    fixture_result(&fixture, 1, 0, SPOOL_DELIVERED, "250 OK");
    fixture_result(&fixture, 2, 0, SPOOL_DEFERRED, "451 later");
    fixture_result(&fixture, 2, 1, SPOOL_ENDED_FAILED, "550 no");
    fixture_result(&fixture, 3, 0, SPOOL_DELIVERED, "250 OK");
    fixture_close(&fixture);
    buffer_init(&report, 4096);
    if (!spool_rebuild(&fixture.options, &report)) {
        fail_msg("%s", buffer_string(&report));
    }
    buffer_free(&report);
    fixture_open(&fixture);
    assert_string_equal(fixture_states(&fixture, 1), "delivered,queued");
    assert_string_equal(fixture_states(&fixture, 2), "queued,failed");
    assert_string_equal(fixture_states(&fixture, 3), "delivered");
    assert_string_equal(fixture_states(&fixture, 4), "queued");
    assert_string_equal(fixture_place(&fixture, 3), "gone");
    fixture_same_bytes(&fixture, 2, 2, 500);
}

static void a_rebuild_keeps_a_hold(void **state) {
    struct buffer report;
    char id[MAIL_ID_SIZE];
    (void)state;
    fixture_add(&fixture, 1, 2, 500);
    fixture_finish(&fixture);
    fixture_result(&fixture, 1, 0, SPOOL_DELIVERED, "250 OK");
    fixture_id(1, id);
    assert_int_equal(change(id, PARCEL_HOLD), SPOOL_OK);
    fixture_finish(&fixture);
    fixture_close(&fixture);
    buffer_init(&report, 4096);
    assert_true(spool_rebuild(&fixture.options, &report));
    buffer_free(&report);
    fixture_open(&fixture);
    assert_string_equal(fixture_states(&fixture, 1), "delivered,held");
}

static void mail_whose_parcels_ended_by_hand_leaves(void **state) {
    char id[MAIL_ID_SIZE];
    (void)state;
    fixture_add(&fixture, 1, 1, 500);
    fixture_finish(&fixture);
    fixture_id(1, id);
    assert_true(parcels_end(fixture.spool->database, id, 0, RECIPIENT_REMOVED, time(NULL), TEXT_NONE, false));
    assert_false(spool_sweep(fixture.spool, true));
    fixture_finish(&fixture);
    assert_string_equal(fixture_place(&fixture, 1), "gone");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_message_is_answered_after_one_flush_and_its_rows_are_in),
        TEST(a_second_message_under_the_same_id_is_refused),
        TEST(lengths_that_do_not_add_up_are_refused),
        TEST(a_message_above_the_journal_maximum_becomes_a_file_at_once),
        TEST(a_large_message_is_renamed_into_place),
        TEST(a_failed_flush_answers_every_waiting_commit_as_failed),
        TEST(records_of_a_failed_flush_never_happen_after_a_crash),
        TEST(while_no_segment_can_be_written_commits_fail_and_then_go_on),
        TEST(rows_that_sqlite_refuses_wait_and_new_mail_is_told_to_come_later),
        TEST(a_message_delivered_at_once_never_becomes_a_file),
        TEST(a_second_result_for_a_finished_recipient_changes_nothing),
        TEST(a_verified_file_is_read_whole_again_only_when_it_changed),
        TEST(a_recipient_named_twice_in_one_result_counts_once),
        TEST(a_deferral_brings_the_message_to_rest_in_a_file),
        TEST(several_results_of_one_message_in_one_batch_end_it),
        TEST(a_failure_and_its_notice_are_one_batch_and_repeating_it_adds_nothing),
        TEST(a_held_message_lies_in_a_file_and_can_be_released),
        TEST(segments_are_reused_when_their_mail_has_left),
        TEST(a_segment_with_open_mail_or_without_a_checkpoint_is_not_reused),
        TEST(a_full_queue_refuses_mail_and_still_records_results),
        TEST(a_rebuild_never_repeats_a_finished_recipient),
        TEST(a_rebuild_keeps_a_hold),
        TEST(mail_whose_parcels_ended_by_hand_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
