/* SPDX-License-Identifier: MIT
 * The spool's start: after a crash (a copy of its directory at each step of a message's life is opened anew, with its
 * database and without), and while somebody else has it. */
#include "one_store.h"
#include "orders/order.h"
#include <sqlite3.h>

/* ---- crashes ---- */

/* After a crash at this moment: open, and give back the states of message 1. */
static void expect_after_crash(const char *what, const char *states, bool without_database) {
    struct fixture after;
    fixture_crash(&fixture, &after);
    if (without_database) {
        char path[PATH_MAX];
        (void)unlink(after.database);
        (void)snprintf(path, sizeof path, "%s-wal", after.database);
        (void)unlink(path);
        (void)snprintf(path, sizeof path, "%s-shm", after.database);
        (void)unlink(path);
    }
    fixture_open(&after);
    if (strcmp(fixture_states(&after, 1), states) != 0) {
        fail_msg("%s%s: \"%s\" instead of \"%s\"", what, without_database ? ", rebuilt" : "", fixture_states(&after, 1),
                 states);
    }
    if (strstr(states, "queued") != NULL || strstr(states, "deferred") != NULL) {
        fixture_same_bytes(&after, 1, 2, 500);
    } else if (states[0] != '\0') {
        assert_string_equal(fixture_place(&after, 1), "gone");
        assert_false(fixture_has_file(&after, 1));
    }
    fixture_end(&after);
    log_start(STDERR_FILENO, "test", LOG_LEVEL_FATAL);
}

static const char *crash_what;
static const char *crash_after;

/* A crash just after the flush: the records are there, their rows are not. */
static int crashing_flush(int fd) {
    int result = fdatasync(fd);
    journal_flush = fixture_flush;
    expect_after_crash(crash_what, crash_after, false);
    expect_after_crash(crash_what, crash_after, true);
    journal_flush = crashing_flush;
    return result;
}

static void a_crash_between_flush_and_rows_loses_nothing(void **state) {
    (void)state;
    crash_what = "between flush and rows of the commit";
    crash_after = "queued,queued";
    fixture_add(&fixture, 1, 2, 500);
    journal_flush = crashing_flush;
    fixture_finish(&fixture);
    journal_flush = fixture_flush;
    expect_after_crash("after the commit", "queued,queued", false);
    expect_after_crash("after the commit", "queued,queued", true);

    journal_flush = crashing_flush;
    crash_what = "between flush and rows of a delivery";
    crash_after = "delivered,queued";
    fixture_result(&fixture, 1, 0, SPOOL_DELIVERED, "250 OK");
    journal_flush = fixture_flush;
    expect_after_crash("after the delivery", "delivered,queued", false);
    expect_after_crash("after the delivery", "delivered,queued", true);

    journal_flush = crashing_flush;
    crash_what = "between flush and rows of a deferral";
    crash_after = "delivered,queued";
    fixture_result(&fixture, 1, 1, SPOOL_DEFERRED, "451 later");
    journal_flush = fixture_flush;
    expect_after_crash("after the deferral", "delivered,deferred", false);
    expect_after_crash("after the deferral", "delivered,queued", true);

    journal_flush = crashing_flush;
    crash_what = "between flush and rows of the last delivery";
    crash_after = "delivered,delivered";
    fixture_result(&fixture, 1, 1, SPOOL_DELIVERED, "250 OK");
    journal_flush = fixture_flush;
    expect_after_crash("after the last delivery", "delivered,delivered", false);
    expect_after_crash("after the last delivery", "delivered,delivered", true);
    journal_flush = fixture_flush;
}

/* The flush after a deferral fails: the file is there, the row still says journal. */
static void a_file_of_a_failed_batch_leaves_with_its_mail(void **state) {
    (void)state;
    fixture_add(&fixture, 1, 2, 500);
    fixture_finish(&fixture);
    fixture_failures = 1;
    uint64_t before = fixture.spool->file_bytes;
    char id[MAIL_ID_SIZE];
    enum spool_outcome answer = SPOOL_NOTHING;
    fixture_id(1, id);
    /* one attempt with a delivery and a deferral needs the flush */
    const struct spool_ending endings[] = {
        {.recipient = 0, .result = SPOOL_DELIVERED, .retry_at = 0, .reply = TEXT("250 OK")},
        {.recipient = 1, .result = SPOOL_DEFERRED, .retry_at = time(NULL) + 300, .reply = TEXT("451 later")}};
    const struct spool_attempt attempt = fixture_attempt(id, endings, 2);
    assert_int_equal(spool_add_attempt(fixture.spool, &attempt, &answer), SPOOL_OK);
    fixture_finish(&fixture);
    assert_int_equal(answer, SPOOL_FAILED);
    assert_string_equal(fixture_place(&fixture, 1), "journal");
    assert_true(fixture_has_file(&fixture, 1)); /* whether the batch counts is known only at the next start */
    assert_int_equal(fixture_result(&fixture, 1, 0, SPOOL_DELIVERED, "250 OK"), SPOOL_OK);
    expect_after_crash("with a stray file", "delivered,queued", false);
    expect_after_crash("with a stray file", "delivered,queued", true);
    assert_int_equal(fixture_result(&fixture, 1, 1, SPOOL_DELIVERED, "250 OK"), SPOOL_OK);
    assert_false(fixture_has_file(&fixture, 1));
    assert_int_equal(fixture.spool->file_bytes, before);
    expect_after_crash("after the end", "delivered,delivered", false);
    expect_after_crash("after the end", "delivered,delivered", true);
}

/* As an error of the disk would. */
static int interrupt_statuses(unsigned kind, void *handle, void *statement, void *text) {
    (void)kind;
    (void)text;
    if (strstr(sqlite3_sql(statement), "recipient, state FROM parcels WHERE mail_id") != NULL) {
        sqlite3_interrupt(handle);
    }
    return 0;
}

/* A file that says that all of them wait would have who has the message get it again, once the rows are made anew. */
static void a_message_whose_recipients_cannot_be_read_stays_in_the_journal(void **state) {
    struct sqlite3 *handle = fixture.spool->database->handle;
    (void)state;
    assert_int_equal(fixture_add(&fixture, 1, 2, 500), SPOOL_OK);
    fixture_finish(&fixture);
    assert_int_equal(fixture_result(&fixture, 1, 0, SPOOL_DELIVERED, "250 2.0.0 OK"), SPOOL_OK);
    assert_int_equal(sqlite3_trace_v2(handle, SQLITE_TRACE_STMT, interrupt_statuses, handle), SQLITE_OK);
    assert_int_equal(fixture_result(&fixture, 1, 1, SPOOL_DEFERRED, "451 4.4.1 later"), SPOOL_OK);
    assert_int_equal(sqlite3_trace_v2(handle, 0, NULL, NULL), SQLITE_OK);
    assert_string_equal(fixture_place(&fixture, 1), "journal");
    assert_string_equal(fixture_states(&fixture, 1), "delivered,deferred");
    assert_int_equal(fixture_result(&fixture, 1, 1, SPOOL_DEFERRED, "451 4.4.1 later"), SPOOL_OK);
    assert_string_equal(fixture_place(&fixture, 1), "file");
}

static void a_file_without_rows_gets_them_at_start(void **state) {
    struct fixture after;
    (void)state;
    fixture_commit_large(&fixture, 1, 500); /* renamed and flushed; the crash comes before the rows */
    fixture_crash(&fixture, &after);
    fixture_open(&after);
    assert_string_equal(fixture_states(&after, 1), "queued");
    fixture_same_bytes(&after, 1, 1, 500);
    fixture_end(&after);
}

static void one_unreadable_file_does_not_stop_the_start(void **state) {
    char path[PATH_MAX], id[MAIL_ID_SIZE];
    (void)state;
    fixture_commit_large(&fixture, 1, 500);
    fixture_finish(&fixture);
    fixture_id(77, id);
    (void)snprintf(path, sizeof path, "%s/mail/%s", fixture.queue, id);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && file_write_all(fd, "#{exec('rm')}\n", 14));
    (void)close(fd);
    fixture_close(&fixture);
    fixture_open(&fixture);
    assert_string_equal(fixture_states(&fixture, 1), "queued");
    assert_string_equal(fixture_states(&fixture, 77), "");
    assert_true(fixture_has_file(&fixture, 77));
}

/* A whole record under one mail id, with the envelope of another. */
static void a_record_with_the_envelope_of_another_mail_does_not_stop_the_start(void **state) {
    struct journal *journal = spool_journal(fixture.spool);
    unsigned char head[RECORD_MAIL_HEAD_SIZE];
    struct record_mail mail;
    struct spool_cargo cargo;
    struct buffer bytes;
    (void)state;
    assert_int_equal(fixture_add(&fixture, 1, 2, 500), SPOOL_OK);
    fixture_finish(&fixture);
    fixture_cargo(1, 2, 500, &bytes, &cargo);
    mail.lengths = cargo.lengths;
    fixture_id(77, mail.mail_id);
    record_mail_head(&mail, head);
    assert_int_equal(journal_append(journal, RECORD_MAIL, JOURNAL_ORDINARY, (struct text){(char *)head, sizeof head},
                                    buffer_text(&bytes), NULL),
                     JOURNAL_OK);
    assert_true(journal_finish(journal));
    buffer_free(&bytes);
    fixture_close(&fixture);
    fixture_open(&fixture);
    assert_string_equal(fixture_states(&fixture, 1), "queued,queued");
    assert_string_equal(fixture_states(&fixture, 77), "");
}

static void left_overs_of_queue_tmp_are_removed_at_start(void **state) {
    char path[PATH_MAX], id[MAIL_ID_SIZE];
    int fd;
    (void)state;
    fixture_id(5, id);
    assert_int_equal(spool_new_file(fixture.spool, id, &fd), SPOOL_OK);
    (void)close(fd);
    (void)snprintf(path, sizeof path, "%s/tmp/%s", fixture.queue, id);
    assert_int_equal(access(path, F_OK), 0);
    fixture_close(&fixture);
    fixture_open(&fixture);
    assert_int_equal(access(path, F_OK), -1);
}

static void a_queue_in_use_is_neither_opened_nor_rebuilt(void **state) {
    struct buffer error;
    (void)state;
    buffer_init(&error, 4096);
    assert_int_equal(fixture_add(&fixture, 1, 1, 500), SPOOL_OK);
    fixture_finish(&fixture);
    assert_null(spool_open(&fixture.options, &error));
    assert_non_null(strstr(buffer_string(&error), fixture.queue));
    assert_false(spool_rebuild(&fixture.options, &error));
    assert_int_equal(access(fixture.database, F_OK), 0); /* not moved aside */
    fixture_close(&fixture);
    fixture_open(&fixture);
    buffer_free(&error);
}

/* As a disk does that gives zeros for a page of the index by which a start knows what lies in which segment. */
static void damage_index(const char *path) {
    static const char zeros[65536];
    sqlite3 *database;
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    int64_t size = fixture_number(database, "PRAGMA page_size");
    int64_t page = fixture_number(database, "SELECT rootpage FROM sqlite_master WHERE name = 'mails_here'");
    sqlite3_close(database);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, zeros, (size_t)size, (off_t)((page - 1) * size)), size);
    (void)close(fd);
}

static void a_start_that_cannot_read_what_lies_in_the_journal_uses_none_of_it_again(void **state) {
    struct buffer error;
    (void)state;
    buffer_init(&error, 4096);
    fixture_add(&fixture, 1, 2, 500);
    fixture_finish(&fixture);
    fixture_close(&fixture);
    fixture_open(&fixture); /* the message's segment lies behind it */
    fixture_close(&fixture);
    damage_index(fixture.database);
    fixture.spool = spool_open(&fixture.options, &error);
    bool refused = fixture.spool == NULL;
    fixture_close(&fixture);
    assert_true(spool_rebuild(&fixture.options, &error));
    fixture_open(&fixture);
    assert_string_equal(fixture_states(&fixture, 1), "queued,queued");
    fixture_same_bytes(&fixture, 1, 2, 500);
    assert_true(refused);
    assert_non_null(strstr(buffer_string(&error), "parcelpost queue rebuild"));
    buffer_free(&error);
}

/* What journal_segment_size may be at least is less than what a result may hold. */
static void a_result_with_notices_that_are_more_than_a_segment_is_recorded(void **state) {
    struct buffer bytes[2];
    struct spool_cargo notices[2];
    enum spool_outcome answer = SPOOL_NOTHING;
    char id[MAIL_ID_SIZE];
    const struct spool_ending ending = {
        .recipient = 0, .result = SPOOL_ENDED_FAILED, .retry_at = 0, .reply = TEXT("550 5.1.1 no")};
    (void)state;
    fixture_close(&fixture);
    fixture.options.limits.segment_size = 65536;
    fixture.options.journal_max_message = 32768;
    fixture_open(&fixture);
    fixture_add(&fixture, 1, 1, 500);
    fixture_finish(&fixture);
    fixture_id(1, id);
    fixture_cargo(900, 1, 40000, &bytes[0], &notices[0]);
    fixture_cargo(901, 1, 30000, &bytes[1], &notices[1]);
    struct spool_attempt attempt = fixture_attempt(id, &ending, 1);
    attempt.notices = notices;
    attempt.notice_count = 2;
    assert_int_equal(spool_add_attempt(fixture.spool, &attempt, &answer), SPOOL_OK);
    fixture_finish(&fixture);
    assert_int_equal(answer, SPOOL_OK);
    assert_string_equal(fixture_states(&fixture, 1), "failed");
    fixture_same_bytes(&fixture, 900, 1, 40000);
    fixture_same_bytes(&fixture, 901, 1, 30000);
    buffer_free(&bytes[0]);
    buffer_free(&bytes[1]);
}

/* Its file is there, and says that it is held; a rebuild must not believe it either. */
static void whose_hold_failed_reads_so_and_it_is_not_held_after_a_start(void **state) {
    const struct spool_events nobody = {.context = NULL};
    struct buffer text;
    int64_t record = 0;
    struct order order = {.spool = fixture.spool,
                          .verb = "queue hold",
                          .argument = "1aBcDe-000001-Zz",
                          .detail = "",
                          .answer = &text,
                          .record = &record};
    (void)state;
    buffer_init(&text, 4096);
    fixture_add(&fixture, 1, 1, 100);
    fixture_finish(&fixture);
    enum exit_status status = order_run(&order);
    assert_int_equal(status, EXIT_STATUS_OK);
    fixture_failures = 1;
    assert_int_equal(order_settle(&order, status, spool_finish(fixture.spool, &nobody)), EXIT_STATUS_ERROR);
    assert_string_equal(buffer_string(&text), "that could not be written, or may not last: see the log");
    assert_int_equal(order.affected, 0);
    for (int round = 0; round < 2; round++) {
        assert_string_equal(fixture_states(&fixture, 1), "queued");
        fixture_close(&fixture);
        assert_true(round == 0 || spool_rebuild(&fixture.options, &text));
        fixture_open(&fixture);
    }
    assert_string_equal(fixture_states(&fixture, 1), "queued");
    assert_true(fixture_has_file(&fixture, 1));
    buffer_free(&text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_crash_between_flush_and_rows_loses_nothing),
        TEST(a_file_of_a_failed_batch_leaves_with_its_mail),
        TEST(a_message_whose_recipients_cannot_be_read_stays_in_the_journal),
        TEST(a_file_without_rows_gets_them_at_start),
        TEST(one_unreadable_file_does_not_stop_the_start),
        TEST(left_overs_of_queue_tmp_are_removed_at_start),
        TEST(a_queue_in_use_is_neither_opened_nor_rebuilt),
        TEST(a_start_that_cannot_read_what_lies_in_the_journal_uses_none_of_it_again),
        TEST(a_record_with_the_envelope_of_another_mail_does_not_stop_the_start),
        TEST(whose_hold_failed_reads_so_and_it_is_not_held_after_a_start),
        TEST(a_result_with_notices_that_are_more_than_a_segment_is_recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
