/* SPDX-License-Identifier: MIT
 * How the queue runner reads on what a destination has left in the database. */
#include "base/clock.h"
#include "base/log.h"
#include "runner/runner_private.h"
#include "store/parcels.h"
#include "store/statements.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#define MAIL "1AbCdE-FgHiJk-Lm"
#define LOCAL_MAIL "1AbCdE-FgHiJk-Ln"
#define IN_ROWS 7  /* a parcel's id */
#define FULL 16000 /* parcels in memory */

static char name[] = "mail.example.test", maildir[] = "maildir", domain[] = "example.test";
static char *domains[] = {domain};

struct stage {
    struct config config;
    struct runner runner;
    struct database *database;
};

/* One parcel for somebody in far.test is due in the rows. */
static void set_stage(struct stage *stage) {
    struct buffer error;
    struct envelope envelope;
    const int64_t came = (int64_t)time(NULL) - 10;
    const struct parcels_fresh fresh = {.retry_at = came, .expires_at = came + 1000, .now = came, .words = ""};
    static struct process_start resident;
    int64_t id = IN_ROWS;
    *stage = (struct stage){.config = {.server_name = name,
                                       .local_transport = maildir,
                                       .local_domains = {domains, 1},
                                       .destination_limit = 1,
                                       .agent_limit = 2,
                                       .queue_lifetime = 1000}};
    buffer_init(&error, 1000);
    stage->database = database_open(":memory:", DATABASE_MAIN, DATABASE_WRITE, &error);
    assert_non_null(stage->database);
    stage->runner.start = &resident;
    stage->runner.soon = (struct loop_timer *)&resident; /* set, long ago: nobody waits here */
    stage->runner.wake = (struct loop_timer *)&resident;
    stage->runner.config = &stage->config;
    stage->runner.database = stage->database;
    envelope_init(&envelope);
    text_copy(envelope.mail_id, sizeof envelope.mail_id, TEXT(MAIL));
    envelope.received_at = came;
    envelope_add(&envelope, TEXT("b@far.test"), TEXT("b@far.test"), DELIVERY_REMOTE);
    assert_true(mails_add(stage->database, &envelope, 0, PLACE_FILE, (struct journal_place){0, 0}, 100));
    assert_true(parcels_add(stage->database, &envelope, 0, &fresh, &id));
    envelope_free(&envelope);
    buffer_free(&error);
}

static void drop(struct runner *runner, struct parcel *parcel, void *context) {
    (void)context;
    parcel_end(runner, parcel, PARCEL_DROPPED);
}

static void end_stage(struct stage *stage) {
    parcel_each(&stage->runner, drop, NULL);
    assert_null(stage->runner.destinations);
    free(stage->runner.destination_buckets);
    free(stage->runner.buckets);
    free(stage->runner.finished);
    database_close(stage->database);
}

static void push(struct stage *stage, int64_t id, const char *target, const char *of) {
    struct buffer list;
    const struct parcel_item item = {
        .delivery = DELIVERY_REMOTE, .parcel_id = id, .retry_at = 1, .target = text_of(target), .domain = text_of(of)};
    buffer_init(&list, 10000);
    assert_true(list_add_parcel(&list, &item));
    union channel_values values = {
        .parcels_new = {.mail_id = TEXT(MAIL), .from_url = TEXT("me@example.test"), .recipients = buffer_text(&list)}};
    struct channel_message message = {.values = &values, .fd = -1};
    assert_true(due_on_parcels_new(&stage->runner, NULL, &message));
    buffer_free(&list);
}

static void refill(struct stage *stage, struct destination *destination) {
    destination->left_from = 1;
    destination_want_refill(&stage->runner, destination);
    due_refill(&stage->runner);
}

static void what_a_domain_in_capitals_has_left_is_found_in_the_rows(void **state) {
    struct stage stage;
    (void)state;
    set_stage(&stage);
    push(&stage, 1, "a@FAR.TEST", "FAR.TEST");
    refill(&stage, parcel_find(&stage.runner, 1)->destination);
    assert_non_null(parcel_find(&stage.runner, IN_ROWS));
    end_stage(&stage);
}

/* It goes and comes in again, and its destination, for which nothing else waits, must be there meanwhile. */
static void a_parcel_that_is_given_up_is_read_again_alone_at_its_destination(void **state) {
    struct stage stage;
    (void)state;
    set_stage(&stage);
    push(&stage, IN_ROWS, "b@far.test", "far.test");
    assert_true(parcels_change(stage.database, MAIL, 0, PARCEL_BOUNCE, (int64_t)time(NULL), TEXT("550 5.0.0 enough")));
    struct destination *destination = parcel_find(&stage.runner, IN_ROWS)->destination;
    refill(&stage, destination);
    assert_ptr_equal(parcel_find(&stage.runner, IN_ROWS)->destination, destination);
    assert_ptr_equal(stage.runner.destinations, destination);
    assert_null(destination->next_all);
    assert_string_equal(parcel_find(&stage.runner, IN_ROWS)->bounce, "550 5.0.0 enough");
    end_stage(&stage);
}

/* Many are given up at once: an agent that is quick must not get those whose turn to be returned has not come. */
static void a_parcel_that_is_given_up_is_not_sent_ahead_of_its_return(void **state) {
    struct stage stage;
    (void)state;
    set_stage(&stage);
    push(&stage, IN_ROWS, "b@far.test", "far.test");
    assert_true(parcels_change(stage.database, MAIL, 0, PARCEL_BOUNCE, (int64_t)time(NULL), TEXT("550 5.0.0 enough")));
    struct destination *destination = parcel_find(&stage.runner, IN_ROWS)->destination;
    refill(&stage, destination);
    assert_false(job_start(&stage.runner, destination, NULL));
    assert_null(parcel_find(&stage.runner, IN_ROWS)->job);
    assert_int_equal(destination->place, PLACE_RESTS);
    end_stage(&stage);
}

static void run_by_hand(struct stage *stage, const char *words) {
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(stage->database->handle, words, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
}

/* A round is any event: it is not asked in each of them, nor only when all is read anew, in ten minutes. */
static void what_could_not_be_read_is_read_again_in_seconds(void **state) {
    struct stage stage;
    (void)state;
    set_stage(&stage);
    push(&stage, 1, "a@far.test", "far.test");
    run_by_hand(&stage, "ALTER TABLE parcels RENAME TO elsewhere");
    refill(&stage, parcel_find(&stage.runner, 1)->destination);
    run_by_hand(&stage, "ALTER TABLE elsewhere RENAME TO parcels");
    due_refill(&stage.runner);
    assert_null(parcel_find(&stage.runner, IN_ROWS));
    assert_in_range(clock_remaining(stage.runner.refills_after), 1, 10000);
    stage.runner.refills_after = 0; /* then */
    due_refill(&stage.runner);
    assert_non_null(parcel_find(&stage.runner, IN_ROWS));
    end_stage(&stage);
}

/* What its mail says cannot be read: that is not a parcel whose mail has gone, which nobody looks at again for ten
 * minutes. The others are read meanwhile. */
static void a_parcel_whose_mail_could_not_be_read_is_read_again_in_seconds(void **state) {
    struct stage stage;
    (void)state;
    set_stage(&stage);
    run_by_hand(&stage, "ALTER TABLE mails RENAME TO elsewhere");
    assert_true(due_load(&stage.runner, NULL));
    due_sweep(&stage.runner);
    run_by_hand(&stage, "ALTER TABLE elsewhere RENAME TO mails");
    assert_false(stage.runner.sweep.wanted);
    assert_true(stage.runner.failed);
    due_sweep(&stage.runner);
    assert_null(parcel_find(&stage.runner, IN_ROWS));
    assert_in_range(clock_remaining(stage.runner.sweep.unread_after), 1, 10000);
    stage.runner.sweep.unread_after = 0; /* then */
    due_sweep(&stage.runner);
    assert_non_null(parcel_find(&stage.runner, IN_ROWS));
    end_stage(&stage);
}

static void a_mail_by_its_name_that_could_not_be_read_is_an_error(void **state) {
    struct stage stage;
    (void)state;
    set_stage(&stage);
    run_by_hand(&stage, "ALTER TABLE mails RENAME TO elsewhere");
    assert_false(due_load(&stage.runner, MAIL));
    run_by_hand(&stage, "ALTER TABLE elsewhere RENAME TO mails");
    assert_true(due_load(&stage.runner, MAIL));
    run_by_hand(&stage, "DELETE FROM mails");
    parcel_each(&stage.runner, drop, NULL);
    assert_true(due_load(&stage.runner, MAIL)); /* somebody has removed it: that is no error */
    assert_null(parcel_find(&stage.runner, IN_ROWS));
    end_stage(&stage);
}

/* Held and released while it waited in memory. */
static void what_waits_in_memory_has_the_time_that_its_row_says(void **state) {
    struct stage stage;
    int64_t held = (int64_t)time(NULL);
    (void)state;
    set_stage(&stage);
    assert_true(due_load(&stage.runner, MAIL));
    int64_t before = parcel_expiry(&stage.runner, parcel_find(&stage.runner, IN_ROWS));
    assert_true(parcels_change(stage.database, MAIL, 0, PARCEL_HOLD, held - 500, TEXT_NONE));
    assert_true(parcels_change(stage.database, MAIL, 0, PARCEL_RELEASE, held, TEXT_NONE));
    refill(&stage, parcel_find(&stage.runner, IN_ROWS)->destination);
    assert_int_equal(parcel_expiry(&stage.runner, parcel_find(&stage.runner, IN_ROWS)), before + 500);
    end_stage(&stage);
}

/* One due for a target each second from this time on. */
static void add_rows(struct stage *stage, const char *target, int64_t from, int64_t id, int count) {
    struct envelope envelope;
    envelope_init(&envelope);
    text_copy(envelope.mail_id, sizeof envelope.mail_id, TEXT(MAIL));
    envelope_add(&envelope, text_of(target), text_of(target), DELIVERY_LOCAL);
    for (int i = 0; i < count; i++, id++) {
        const struct parcels_fresh fresh = {
            .retry_at = from + i, .expires_at = from + 100000, .now = from, .words = ""};
        assert_true(parcels_add(stage->database, &envelope, 0, &fresh, &id));
    }
    envelope_free(&envelope);
}

/* Nothing of its own is in memory, so that no job of it ends. */
static void what_a_destination_left_is_found_behind_many_rows_of_others(void **state) {
    const int64_t from = (int64_t)time(NULL) - 10000;
    struct stage stage;
    (void)state;
    set_stage(&stage);
    add_rows(&stage, "|pipe", from, 1000, 7000);
    add_rows(&stage, "c@example.test", from + 7000, IN_ROWS + 1, 1);
    struct destination *destination = destination_find(&stage.runner, DELIVERY_LOCAL, "example.test", "c@example.test");
    refill(&stage, destination);
    for (int i = 0; i < 3; i++) {
        due_refill(&stage.runner);
    }
    assert_non_null(parcel_find(&stage.runner, IN_ROWS + 1));
    stage.runner.refills = NULL;
    for (struct destination *one = stage.runner.destinations; one != NULL; one = one->next_all) {
        one->left_from = CLOCK_NEVER;
        one->wants_refill = false;
    }
    end_stage(&stage);
}

static int64_t add_local_row(struct stage *stage) {
    struct envelope envelope;
    const int64_t came = (int64_t)time(NULL) - 10;
    const struct parcels_fresh fresh = {.retry_at = came, .expires_at = came + 1000, .now = came, .words = ""};
    int64_t id = IN_ROWS + 1;
    envelope_init(&envelope);
    text_copy(envelope.mail_id, sizeof envelope.mail_id, TEXT(LOCAL_MAIL));
    envelope.received_at = came;
    envelope_add(&envelope, TEXT("coco@example.test"), TEXT("coco@example.test"), DELIVERY_LOCAL);
    assert_true(mails_add(stage->database, &envelope, 0, PLACE_FILE, (struct journal_place){0, 0}, 100));
    assert_true(parcels_add(stage->database, &envelope, 0, &fresh, &id));
    envelope_free(&envelope);
    return id;
}

/* Slow servers elsewhere can keep it full for hours. */
static void mail_for_our_own_mailboxes_is_read_on_while_memory_is_full(void **state) {
    struct stage stage;
    (void)state;
    set_stage(&stage);
    int64_t id = add_local_row(&stage);
    struct runner *runner = &stage.runner;
    struct destination *far = destination_find(runner, DELIVERY_REMOTE, "far.test", "b@far.test");
    struct destination *own = destination_find(runner, DELIVERY_LOCAL, "example.test", "coco@example.test");
    far->left_from = own->left_from = 1;
    destination_want_refill(runner, own);
    destination_want_refill(runner, far);
    runner->overflow = true;
    runner->parcel_count += FULL;
    due_refill(runner);
    runner->parcel_count -= FULL;
    assert_non_null(parcel_find(runner, id));
    assert_null(parcel_find(runner, IN_ROWS));
    runner->overflow = false;
    due_refill(runner);
    assert_non_null(parcel_find(runner, IN_ROWS));
    end_stage(&stage);
}

/* The spool was full, or a flush took its time: meanwhile rows that were due later have been read. */
static void a_deferral_that_was_recorded_late_is_tried_soon(void **state) {
    const struct mail_recorded recorded = {.outcome = COMMIT_OK};
    struct stage stage;
    char words[100];
    (void)state;
    set_stage(&stage);
    struct runner *runner = &stage.runner;
    assert_true(due_load(runner, NULL));
    due_sweep(runner);
    assert_false(runner->sweep.wanted);
    assert_true(job_start(runner, parcel_find(runner, IN_ROWS)->destination, NULL));
    struct job *job = runner->jobs[JOB_TO_FETCH].first;
    job_fail(runner, job, RESULT_DEFERRED, "451 4.3.0 later");
    job_set_place(runner, job, JOB_IN_HAND);
    job->earliest_retry = runner->sweep.retry_at - 100;
    snprintf(words, sizeof words, "UPDATE parcels SET retry_at = datetime(%lld, 'unixepoch')",
             (long long)job->earliest_retry);
    run_by_hand(&stage, words);
    union channel_values values = {.mail_recorded = recorded};
    struct channel_message message = {.serial = job->serial, .values = &values, .fd = -1};
    assert_true(record_on_mail_recorded(runner, NULL, &message));
    assert_null(parcel_find(runner, IN_ROWS));
    runner->sweep.wanted = true; /* woken */
    due_sweep(runner);
    assert_non_null(parcel_find(runner, IN_ROWS));
    end_stage(&stage);
}

static struct parcel *push_of(struct runner *runner, int64_t id, const char *account) {
    const struct schedule_parcel due = {.parcel_id = id,
                                        .retry_at = 1,
                                        .mail_id = MAIL,
                                        .from_url = account,
                                        .account = account,
                                        .target = "a@far.test",
                                        .to_url = "a@far.test",
                                        .domain = "far.test",
                                        .bounce = "",
                                        .delivery = DELIVERY_REMOTE};
    return parcel_add(runner, &due, true);
}

static void a_login_that_has_to_wait_keeps_nobody_else_waiting(void **state) {
    struct stage stage;
    (void)state;
    set_stage(&stage);
    struct runner *runner = &stage.runner;
    stage.config.account_rate = 1;
    const struct parcel *first = push_of(runner, 1, "coco@example.test");
    struct account *account = first->account;
    account_job_begins(runner, account);
    assert_false(job_may_start(runner, first->destination));
    assert_int_equal(first->destination->place, PLACE_PAUSED);
    push_of(runner, 2, "coco@example.test");
    assert_int_equal(first->destination->place, PLACE_PAUSED);
    push_of(runner, 3, "mike@example.test");
    assert_int_equal(first->destination->place, PLACE_NEW);
    assert_true(job_may_start(runner, first->destination));
    account->next_ms = 0;
    account_job_ends(runner, account);
    end_stage(&stage);
    free(runner->account_buckets);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_domain_in_capitals_has_left_is_found_in_the_rows),
        cmocka_unit_test(what_a_destination_left_is_found_behind_many_rows_of_others),
        cmocka_unit_test(what_could_not_be_read_is_read_again_in_seconds),
        cmocka_unit_test(a_parcel_whose_mail_could_not_be_read_is_read_again_in_seconds),
        cmocka_unit_test(a_mail_by_its_name_that_could_not_be_read_is_an_error),
        cmocka_unit_test(what_waits_in_memory_has_the_time_that_its_row_says),
        cmocka_unit_test(a_parcel_that_is_given_up_is_read_again_alone_at_its_destination),
        cmocka_unit_test(mail_for_our_own_mailboxes_is_read_on_while_memory_is_full),
        cmocka_unit_test(a_deferral_that_was_recorded_late_is_tried_soon),
        cmocka_unit_test(a_login_that_has_to_wait_keeps_nobody_else_waiting),
        cmocka_unit_test(a_parcel_that_is_given_up_is_not_sent_ahead_of_its_return),
    };
    log_start(STDERR_FILENO, "test", LOG_LEVEL_FATAL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
