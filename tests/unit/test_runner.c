/* SPDX-License-Identifier: MIT
 * The queue runner's conversations with its ledger, its agents, its listener and its operator. */
#include "runner_stage.h"
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

/* The runner's clock and ours go this many seconds before the machine's. */
static int64_t *clock_lead;
int clock_gettime(clockid_t id, struct timespec *now) {
    long result = syscall(SYS_clock_gettime, id, now);
    now->tv_sec += clock_lead != NULL ? *clock_lead : 0;
    return (int)result;
}

static void a_pushed_mail_is_delivered_and_its_agent_reused(void **state) {
    struct stage stage = begin(false);
    (void)state;
    expect(stage.hub, HUB_READY);
    push(&stage, MAIL, "me@far.test", 1, 2, 0x7fffffff);
    int agent = give_agent(&stage);
    give_content(&stage, MAIL, "me@far.test", 2);
    report(agent, MAIL, "DF");
    record(&stage, "DF", true, COMMIT_OK);
    push(&stage, OTHER, "me@far.test", 3, 1, 0x7fffffff);
    give_content(&stage, OTHER, "me@far.test", 1);
    report(agent, OTHER, "T");
    record(&stage, "T", false, COMMIT_OK);
    expect_silence(stage.hub);
    expect_end(agent); /* idle for a few seconds */
    finish(&stage);
}

static void at_most_agent_recipients_share_a_job(void **state) {
    struct stage stage = begin(false);
    (void)state;
    expect(stage.hub, HUB_READY);
    push(&stage, MAIL, "me@far.test", 1, 3, 0x7fffffff);
    int agent = give_agent(&stage);
    give_content(&stage, MAIL, "me@far.test", 3);
    report(agent, MAIL, "DD");
    record(&stage, "DD", false, COMMIT_OK);
    give_content(&stage, MAIL, "me@far.test", 3);
    report(agent, MAIL, "D");
    record(&stage, "D", false, COMMIT_OK);
    close(agent);
    finish(&stage);
}

static void an_unrecorded_result_is_sent_again_and_never_delivered_again(void **state) {
    struct stage stage = begin(false);
    (void)state;
    expect(stage.hub, HUB_READY);
    push(&stage, MAIL, "me@far.test", 1, 1, 0x7fffffff);
    int agent = give_agent(&stage);
    give_content(&stage, MAIL, "me@far.test", 1);
    report(agent, MAIL, "F");
    record(&stage, "F", true, COMMIT_FULL);
    push(&stage, MAIL, "me@far.test", 1, 1, 0x7fffffff); /* the database still says queued */
    record(&stage, "F", true, COMMIT_OK);
    expect_silence(agent);
    close(agent);
    finish(&stage);
}

static void an_agent_that_dies_defers_everybody_in_its_job(void **state) {
    struct stage stage = begin(false);
    (void)state;
    expect(stage.hub, HUB_READY);
    push(&stage, MAIL, "me@far.test", 1, 2, 0x7fffffff);
    int agent = give_agent(&stage);
    give_content(&stage, MAIL, "me@far.test", 2);
    expect(agent, AGENT_JOB);
    close(agent);
    record(&stage, "TT", false, COMMIT_OK);
    finish(&stage);
}

static void a_silent_recipient_of_a_result_is_deferred(void **state) {
    struct stage stage = begin(false);
    struct agent_result nothing = {.mail_id = TEXT(MAIL),
                                   .results = TEXT_NONE,
                                   .route = TEXT_NONE,
                                   .host = TEXT_NONE,
                                   .address = TEXT_NONE,
                                   .tls = TEXT_NONE};
    (void)state;
    expect(stage.hub, HUB_READY);
    push(&stage, MAIL, "me@far.test", 1, 1, 0x7fffffff);
    int agent = give_agent(&stage);
    give_content(&stage, MAIL, "me@far.test", 1);
    uint32_t serial = expect(agent, AGENT_JOB);
    assert_int_equal(channel_send(agent, AGENT_RESULT, serial, &nothing, -1), CHANNEL_OK);
    record(&stage, "T", false, COMMIT_OK);
    expect_end(agent); /* it said that it is not reusable */
    finish(&stage);
}

static void the_null_sender_gets_no_notice(void **state) {
    struct stage stage = begin(false);
    (void)state;
    expect(stage.hub, HUB_READY);
    push(&stage, MAIL, "", 1, 1, 0x7fffffff);
    int agent = give_agent(&stage);
    give_content(&stage, MAIL, "", 1);
    report(agent, MAIL, "F");
    record(&stage, "F", false, COMMIT_OK);
    close(agent);
    finish(&stage);
}

static void a_deferral_past_the_lifetime_is_a_failure_with_a_notice(void **state) {
    struct stage stage = begin(false);
    (void)state;
    expect(stage.hub, HUB_READY);
    push(&stage, MAIL, "me@far.test", 1, 1, 1000000001);
    int agent = give_agent(&stage);
    give_content(&stage, MAIL, "me@far.test", 1);
    report(agent, MAIL, "T");
    record(&stage, "F", true, COMMIT_OK);
    close(agent);
    finish(&stage);
}

/* Else it would be dropped, or put off by the schedule's time with "missing from the spool". */
static void content_that_is_to_be_had_later_is_asked_for_again(void **state) {
    struct stage stage = begin(false);
    struct mail_content later = {.found = CONTENT_LATER};
    (void)state;
    expect(stage.hub, HUB_READY);
    push(&stage, MAIL, "me@far.test", 1, 1, 0x7fffffff);
    int agent = give_agent(&stage);
    uint32_t serial = expect(stage.ledger, MAIL_FETCH);
    assert_int_equal(channel_send(stage.ledger, MAIL_CONTENT, serial, &later, -1), CHANNEL_OK);
    give_content(&stage, MAIL, "me@far.test", 1);
    report(agent, MAIL, "D");
    record(&stage, "D", false, COMMIT_OK);
    close(agent);
    finish(&stage);
}

static void a_mail_whose_parcels_are_gone_is_dropped_in_silence(void **state) {
    struct stage stage = begin(false);
    struct mail_content missing = {.found = 0};
    (void)state;
    expect(stage.hub, HUB_READY);
    push(&stage, MAIL, "me@far.test", 1, 1, 0x7fffffff);
    int agent = give_agent(&stage);
    uint32_t serial = expect(stage.ledger, MAIL_FETCH);
    assert_int_equal(channel_send(stage.ledger, MAIL_CONTENT, serial, &missing, -1), CHANNEL_OK);
    expect_silence(stage.ledger);
    close(agent);
    finish(&stage);
}

static void an_unreadable_mail_is_deferred_and_the_next_one_delivered(void **state) {
    struct stage stage = begin(false);
    struct mail_content junk = {
        .found = 1, .message_length = 1, .headers_length = 1, .envelope_length = 2, .cargo = TEXT("junk")};
    (void)state;
    expect(stage.hub, HUB_READY);
    push(&stage, MAIL, "me@far.test", 1, 1, 0x7fffffff);
    push(&stage, OTHER, "me@far.test", 2, 1, 0x7fffffff);
    int agent = give_agent(&stage);
    uint32_t serial = expect(stage.ledger, MAIL_FETCH);
    assert_int_equal(channel_send(stage.ledger, MAIL_CONTENT, serial, &junk, -1), CHANNEL_OK);
    record(&stage, "T", false, COMMIT_OK);
    give_content(&stage, OTHER, "me@far.test", 1);
    report(agent, OTHER, "D");
    record(&stage, "D", false, COMMIT_OK);
    close(agent);
    finish(&stage);
}

static void the_operator_learns_when_everything_is_through(void **state) {
    struct stage stage = begin(false);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct control_request ping = {.verb = TEXT("ping"), .argument = TEXT_NONE, .detail = TEXT_NONE};
    struct control_request run = {.verb = TEXT("run"), .argument = TEXT_NONE, .detail = TEXT_NONE};
    int asker = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    (void)state;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", control_path);
    assert_int_equal(connect(asker, (struct sockaddr *)&address, sizeof address), 0);
    expect(stage.hub, HUB_READY);
    assert_int_equal(channel_send(asker, CONTROL_REQUEST, 7, &ping, -1), CHANNEL_OK);
    assert_int_equal(expect(asker, CONTROL_ANSWER), 7);
    assert_int_equal(values.control_answer.exit_status, 0);
    push(&stage, MAIL, "me@far.test", 1, 1, 0x7fffffff);
    int agent = give_agent(&stage);
    assert_int_equal(channel_send(asker, CONTROL_REQUEST, 8, &run, -1), CHANNEL_OK);
    give_content(&stage, MAIL, "me@far.test", 1);
    report(agent, MAIL, "T");
    expect_silence(asker);
    record(&stage, "T", false, COMMIT_OK);
    assert_int_equal(expect(asker, CONTROL_ANSWER), 8);
    assert_int_equal(values.control_answer.exit_status, 75);
    assert_int_equal(channel_send(asker, CONTROL_REQUEST, 9, &run, -1), CHANNEL_OK);
    assert_int_equal(expect(asker, CONTROL_ANSWER), 9);
    assert_int_equal(values.control_answer.exit_status, 0);
    close(asker);
    close(agent);
    finish(&stage);
}

static void a_run_from_cron_ends_by_itself(void **state) {
    struct stage stage = begin(true);
    (void)state;
    expect(stage.hub, HUB_READY);
    expect(stage.hub, HUB_FINISHED);
    assert_int_equal(status_of(&stage), 0);
}

static void a_run_from_cron_says_that_something_was_deferred(void **state) {
    struct stage stage = prepare();
    (void)state;
    push(&stage, MAIL, "me@far.test", 1, 1, 0x7fffffff); /* a run that has begun may end before it takes a push */
    launch(&stage, true);
    expect(stage.hub, HUB_READY);
    int agent = give_agent(&stage);
    give_content(&stage, MAIL, "me@far.test", 1);
    report(agent, MAIL, "T");
    record(&stage, "T", false, COMMIT_OK);
    expect(stage.hub, HUB_FINISHED);
    assert_int_equal(status_of(&stage), 75);
    close(agent);
}

static void when_the_listener_goes_the_job_in_hand_is_finished(void **state) {
    struct stage stage = begin(false);
    (void)state;
    expect(stage.hub, HUB_READY);
    push(&stage, MAIL, "me@far.test", 1, 1, 0x7fffffff);
    push(&stage, OTHER, "me@far.test", 2, 1, 0x7fffffff);
    int agent = give_agent(&stage);
    give_content(&stage, MAIL, "me@far.test", 1);
    uint32_t serial = expect(agent, AGENT_JOB);
    shutdown(stage.hub, SHUT_RDWR);
    struct buffer results;
    struct result_item item = {.recipient = 0, .kind = RESULT_DELIVERED, .reply = TEXT("250 ok")};
    buffer_init(&results, 1000);
    assert_true(list_add_result(&results, &item));
    struct agent_result result = {.mail_id = TEXT(MAIL),
                                  .results = buffer_text(&results),
                                  .route = TEXT("r"),
                                  .host = TEXT("h"),
                                  .address = TEXT("a"),
                                  .tls = TEXT_NONE,
                                  .reusable = 1};
    assert_int_equal(channel_send(agent, AGENT_RESULT, serial, &result, -1), CHANNEL_OK);
    buffer_free(&results);
    record(&stage, "D", false, COMMIT_OK);
    assert_int_equal(status_of(&stage), 0);
    close(agent);
}

/* ---- content fetched ahead ---- */

#define FETCHED_AT_MOST 33 /* one for the agent, 32 ahead */
#define LAST_OF_MANY 40

static void many_id(int number, char id[MAIL_ID_SIZE]) {
    snprintf(id, MAIL_ID_SIZE, "1AbCdE-FgHi%02d-Lm", number);
}

/* One delivery that took no time; its agent is left idle. */
static int begin_quick(struct stage *stage) {
    *stage = begin(false);
    expect(stage->hub, HUB_READY);
    push(stage, MAIL, "me@far.test", 1, 1, 0x7fffffff);
    int agent = give_agent(stage);
    give_content(stage, MAIL, "me@far.test", 1);
    report(agent, MAIL, "D");
    record(stage, "D", false, COMMIT_OK);
    return agent;
}

static void ahead_of_one_agent_a_bounded_number_of_mails_is_fetched(void **state) {
    struct stage stage;
    char id[MAIL_ID_SIZE];
    int agent = begin_quick(&stage);
    (void)state;
    for (int i = 1; i <= LAST_OF_MANY; i++) {
        many_id(i, id);
        push(&stage, id, "me@far.test", 100 + i, 1, 0x7fffffff);
    }
    for (int i = 1; i <= FETCHED_AT_MOST; i++) {
        uint32_t serial = expect(stage.ledger, MAIL_FETCH);
        assert_true(text_copy(id, sizeof id, values.mail_fetch.mail_id));
        answer_fetch(&stage, serial, id, "me@far.test", 1, RECIPIENT_QUEUED);
    }
    expect_silence(stage.ledger);
    for (int i = 1; i <= 2; i++) { /* the second one does not wait for the ledger, and in the order of their coming */
        many_id(i, id);
        report(agent, id, "D");
    }
    expect(agent, AGENT_JOB);
    for (int i = 1; i <= 2; i++) {
        record(&stage, "D", false, COMMIT_OK);
        expect(stage.ledger, MAIL_FETCH); /* for the place that became free */
    }
    cut_short(&stage);
    close(agent);
}

static void a_slow_destination_is_not_fetched_ahead_for(void **state) {
    struct stage stage = begin(false);
    (void)state;
    expect(stage.hub, HUB_READY);
    push(&stage, MAIL, "me@far.test", 1, 1, 0x7fffffff);
    push(&stage, OTHER, "me@far.test", 2, 1, 0x7fffffff);
    int agent = give_agent(&stage);
    give_content(&stage, MAIL, "me@far.test", 1);
    expect(agent, AGENT_JOB);
    expect_silence(stage.ledger); /* nothing is known of it yet */
    cut_short(&stage);
    close(agent);
}

/* The database of this stage is empty: whoever looks there again finds that the parcel is held, removed or ended. */
static void what_was_fetched_too_long_ago_is_looked_up_again(void **state) {
    struct stage stage;
    int agent = begin_quick(&stage);
    char first[MAIL_ID_SIZE], second[MAIL_ID_SIZE];
    (void)state;
    many_id(1, first);
    many_id(2, second);
    push(&stage, first, "me@far.test", 101, 1, 0x7fffffff);
    give_content(&stage, first, "me@far.test", 1);
    push(&stage, second, "me@far.test", 102, 1, 0x7fffffff);
    give_content(&stage, second, "me@far.test", 1);
    *clock_lead += 4;
    report(agent, first, "D");
    record(&stage, "D", false, COMMIT_OK);
    expect_silence(agent);
    expect_silence(stage.ledger);
    close(agent);
    finish(&stage);
}

static void what_is_held_when_it_is_fetched_ahead_is_not_delivered(void **state) {
    struct stage stage;
    int agent = begin_quick(&stage);
    char held[MAIL_ID_SIZE], next[MAIL_ID_SIZE];
    (void)state;
    many_id(1, held);
    many_id(2, next);
    push(&stage, OTHER, "me@far.test", 100, 1, 0x7fffffff);
    give_content(&stage, OTHER, "me@far.test", 1);
    push(&stage, held, "me@far.test", 101, 1, 0x7fffffff);
    answer_fetch(&stage, expect(stage.ledger, MAIL_FETCH), held, "me@far.test", 1, RECIPIENT_HELD);
    push(&stage, next, "me@far.test", 102, 1, 0x7fffffff);
    give_content(&stage, next, "me@far.test", 1);
    report(agent, OTHER, "D");
    report(agent, next, "D");
    record(&stage, "D", false, COMMIT_OK);
    record(&stage, "D", false, COMMIT_OK);
    close(agent);
    finish(&stage);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pushed_mail_is_delivered_and_its_agent_reused),
        cmocka_unit_test(at_most_agent_recipients_share_a_job),
        cmocka_unit_test(an_unrecorded_result_is_sent_again_and_never_delivered_again),
        cmocka_unit_test(an_agent_that_dies_defers_everybody_in_its_job),
        cmocka_unit_test(a_silent_recipient_of_a_result_is_deferred),
        cmocka_unit_test(the_null_sender_gets_no_notice),
        cmocka_unit_test(a_deferral_past_the_lifetime_is_a_failure_with_a_notice),
        cmocka_unit_test(a_mail_whose_parcels_are_gone_is_dropped_in_silence),
        cmocka_unit_test(content_that_is_to_be_had_later_is_asked_for_again),
        cmocka_unit_test(an_unreadable_mail_is_deferred_and_the_next_one_delivered),
        cmocka_unit_test(the_operator_learns_when_everything_is_through),
        cmocka_unit_test(a_run_from_cron_ends_by_itself),
        cmocka_unit_test(a_run_from_cron_says_that_something_was_deferred),
        cmocka_unit_test(when_the_listener_goes_the_job_in_hand_is_finished),
        cmocka_unit_test(ahead_of_one_agent_a_bounded_number_of_mails_is_fetched),
        cmocka_unit_test(a_slow_destination_is_not_fetched_ahead_for),
        cmocka_unit_test(what_was_fetched_too_long_ago_is_looked_up_again),
        cmocka_unit_test(what_is_held_when_it_is_fetched_ahead_is_not_delivered),
    };
    log_start(STDERR_FILENO, "test", getenv("TEST_LOG") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_FATAL);
    clock_lead = mmap(NULL, sizeof *clock_lead, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
