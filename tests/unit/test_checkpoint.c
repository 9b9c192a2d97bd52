/* SPDX-License-Identifier: MIT
 * The helper thread: it tells which journal_position is durable, also while a reader keeps the log, and makes segments.
 */
#include "spool/checkpoint.h"
#include "store_fixture.h"
#include <poll.h>

static struct fixture fixture;
static struct checkpointer *checkpointer;

static int start(void **state) {
    (void)state;
    fixture_start(&fixture);
    checkpointer = checkpointer_start(fixture.database);
    return 0;
}

static int end(void **state) {
    (void)state;
    checkpointer_stop(checkpointer);
    fixture_end(&fixture);
    return 0;
}

static struct checkpoint_news wait_for_news(void) {
    struct checkpoint_news news;
    struct pollfd wait = {.fd = checkpointer_descriptor(checkpointer), .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 5000), 1);
    checkpointer_collect(checkpointer, &news);
    return news;
}

static void expect_durable_end(void) {
    checkpointer_ask(checkpointer);
    struct checkpoint_news news = wait_for_news();
    assert_true(news.ran && news.good);
    assert_int_equal(news.durable.segment, fixture.spool->end.segment);
    assert_int_equal(news.durable.offset, fixture.spool->end.offset);
}

static void a_checkpoint_makes_the_position_of_the_last_batch_durable(void **state) {
    (void)state;
    fixture_add(&fixture, 1, 1, 500);
    fixture_finish(&fixture);
    expect_durable_end();
}

static void a_reader_that_keeps_the_log_does_not_keep_the_position(void **state) {
    struct buffer error;
    (void)state;
    buffer_init(&error, 1000);
    struct database *reader = database_open(fixture.database, DATABASE_MAIN, DATABASE_READ, &error);
    struct sqlite3_stmt *rows = statement_query(reader, STATEMENT_POSITION_READ, BINDS_NONE);
    assert_int_equal(statement_step(rows), STATEMENT_ROW);
    fixture_add(&fixture, 1, 1, 500);
    fixture_finish(&fixture);
    expect_durable_end();
    statement_end(rows);
    database_close(reader);
    buffer_free(&error);
}

/* Commits until the log has this many pages, as one that nobody folds back. */
static void fill_log(unsigned *number, int pages) {
    while (database_wal_pages(fixture.spool->database) < pages) {
        assert_int_equal(fixture_add(&fixture, (*number)++, 400, 500), SPOOL_OK);
        fixture_finish(&fixture);
    }
}

static struct checkpoint_news fold_back(void) {
    checkpointer_ask(checkpointer);
    struct checkpoint_news news = wait_for_news();
    assert_true(news.ran && news.good);
    return news;
}

static int64_t log_size(void) {
    char path[PATH_MAX];
    struct stat status;
    (void)snprintf(path, sizeof path, "%s-wal", fixture.database);
    assert_int_equal(stat(path, &status), 0);
    return status.st_size;
}

static void a_log_that_is_written_all_the_time_stays_bounded(void **state) {
    unsigned number = 0;
    int64_t size = 0;
    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        fill_log(&number, CHECKPOINT_RESTART_PAGES);
        struct checkpoint_news news = fold_back();
        int pages = database_wal_pages(fixture.spool->database);
        fill_log(&number, pages + 1); /* so that the checkpoint is never of everything */
        assert_int_equal(checkpoint_restart(fixture.spool->database, &news), CHECKPOINT_RESTARTED);
        assert_int_equal(checkpoint_restart(fixture.spool->database, &news), CHECKPOINT_NOT_DUE);
        size = turn == 0 ? log_size() : size;
        assert_true(log_size() < size + size / 4);
        fill_log(&number, 1);
        assert_true(database_wal_pages(fixture.spool->database) < CHECKPOINT_RESTART_PAGES / 4);
        expect_durable_end();
    }
}

static void the_writer_folds_back_little_and_waits_for_no_reader(void **state) {
    struct buffer error;
    unsigned number = 0;
    (void)state;
    buffer_init(&error, 1000);
    struct database *reader = database_open(fixture.database, DATABASE_MAIN, DATABASE_READ, &error);
    fill_log(&number, CHECKPOINT_RESTART_PAGES);
    struct checkpoint_news news = fold_back(), early = news;
    early.folded = 10;
    assert_int_equal(checkpoint_restart(fixture.spool->database, &early), CHECKPOINT_BEHIND);
    struct sqlite3_stmt *rows = statement_query(reader, STATEMENT_POSITION_READ, BINDS_NONE);
    assert_int_equal(statement_step(rows), STATEMENT_ROW);
    fill_log(&number, database_wal_pages(fixture.spool->database) + 1);
    assert_int_equal(checkpoint_restart(fixture.spool->database, &news), CHECKPOINT_BUSY);
    fixture_add(&fixture, number++, 1, 500);
    fixture_finish(&fixture); /* nothing is in its way afterwards */
    expect_durable_end();
    statement_end(rows);
    assert_int_equal(checkpoint_restart(fixture.spool->database, &news), CHECKPOINT_RESTARTED);
    database_close(reader);
    buffer_free(&error);
}

static void a_spare_segment_is_made_ahead_of_need_and_used(void **state) {
    char path[PATH_MAX];
    unsigned i = 0;
    (void)state;
    struct journal *journal = spool_journal(fixture.spool);
    while (!journal_wants_spare(journal)) {
        assert_int_equal(fixture_add(&fixture, i++, 1, 8000), SPOOL_OK);
        fixture_finish(&fixture);
    }
    assert_false(journal_wants_spare(journal)); /* it was asked for */
    journal_spare_path(journal, path);
    checkpointer_ask_spare(checkpointer, path, journal_segment_size(journal));
    struct checkpoint_news news = wait_for_news();
    assert_true(news.spare && news.spare_good);
    journal_spare_made(journal, news.spare_good);
    (void)snprintf(path, sizeof path, "%s/journal/spare", fixture.queue);
    assert_int_equal(access(path, F_OK), 0);
    while (journal_segments(journal) == 1) {
        assert_int_equal(fixture_add(&fixture, i++, 1, 8000), SPOOL_OK);
        fixture_finish(&fixture);
    }
    assert_int_equal(access(path, F_OK), -1);
    fixture_same_bytes(&fixture, i - 1, 1, 8000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_checkpoint_makes_the_position_of_the_last_batch_durable),
        TEST(a_reader_that_keeps_the_log_does_not_keep_the_position),
        TEST(a_log_that_is_written_all_the_time_stays_bounded),
        TEST(the_writer_folds_back_little_and_waits_for_no_reader),
        TEST(a_spare_segment_is_made_ahead_of_need_and_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
