/* SPDX-License-Identifier: MIT
 * What the queue runner makes of destinations as a whole, of senders and transports of single parcels, of logins. */
#include "runner_stage.h"
#include "store/destinations.h"
#include <poll.h>

#define FAR_AWAY 0x7fffffff
#define THIRD "1AbCdE-FgHiJk-Lo"

struct letter {
    const char *mail_id, *account, *target, *sender;
    enum envelope_delivery delivery;
    int64_t parcel;
    uint32_t recipient;
};

static void push_letter(struct stage *stage, struct letter letter) {
    struct buffer list;
    const char *at = strrchr(letter.target, '@');
    struct parcel_item item = {.delivery = letter.delivery,
                               .recipient = letter.recipient,
                               .parcel_id = letter.parcel,
                               .retry_at = 1,
                               .target = text_of(letter.target),
                               .domain = at != NULL ? text_of(at + 1) : TEXT_NONE,
                               .sender = text_of(letter.sender != NULL ? letter.sender : "")};
    buffer_init(&list, 10000);
    assert_true(list_add_parcel(&list, &item));
    struct parcels_new news = {.mail_id = text_of(letter.mail_id),
                               .from_url = TEXT("me@far.test"),
                               .account = text_of(letter.account != NULL ? letter.account : ""),
                               .received_at = (int64_t)time(NULL),
                               .expires_at = FAR_AWAY,
                               .recipients = buffer_text(&list)};
    assert_int_equal(channel_send(stage->ledger, PARCELS_NEW, 0, &news, -1), CHANNEL_OK);
    buffer_free(&list);
}

static int give_agent_for(struct stage *stage, const char *transport) {
    int ends[2];
    expect(stage->hub, HUB_AGENT_WANTED);
    assert_true(text_equal(values.hub_agent.transport, text_of(transport)));
    struct hub_agent answer = values.hub_agent;
    assert_true(channel_pair(ends));
    assert_int_equal(channel_send(stage->hub, HUB_AGENT, 0, &answer, ends[1]), CHANNEL_OK);
    close(ends[1]);
    return ends[0];
}

/* The agent's answer to the job that was received last, for recipient 0. */
static void answer_job(int agent, uint32_t serial, const char *mail_id, enum result_kind kind, uint32_t standing,
                       uint32_t tls) {
    struct buffer results;
    struct result_item item = {.kind = kind, .reply = TEXT("451 4.4.1 no answer")};
    buffer_init(&results, 1000);
    assert_true(list_add_result(&results, &item));
    struct agent_result result = {.mail_id = text_of(mail_id),
                                  .results = buffer_text(&results),
                                  .route = TEXT("r"),
                                  .host = TEXT("h"),
                                  .address = TEXT("a"),
                                  .tls = TEXT_NONE,
                                  .reusable = 1,
                                  .standing = standing,
                                  .tls_memory = tls};
    assert_int_equal(channel_send(agent, AGENT_RESULT, serial, &result, -1), CHANNEL_OK);
    buffer_free(&results);
}

static void recorded(struct stage *stage, uint32_t serial) {
    struct mail_recorded answer = {.outcome = COMMIT_OK};
    assert_int_equal(channel_send(stage->ledger, MAIL_RECORDED, serial, &answer, -1), CHANNEL_OK);
}

static int64_t retry_in_result(void) {
    struct text list = values.mail_result.results;
    struct result_item item;
    bool bad = false;
    assert_true(list_next_result(&list, &item, &bad));
    return item.retry_at;
}

static const struct letter first = {MAIL, NULL, "a@dead.test", NULL, DELIVERY_REMOTE, 1, 0};

static void after_an_unreachable_server_the_rest_is_put_off_untried(void **state) {
    struct stage stage = begin(false);
    (void)state;
    expect(stage.hub, HUB_READY);
    push_letter(&stage, first);
    int agent = give_agent_for(&stage, "smtp");
    give_content(&stage, MAIL, "me@far.test", 1);
    answer_job(agent, expect(agent, AGENT_JOB), MAIL, RESULT_DEFERRED, DESTINATION_UNREACHABLE, 0);
    uint32_t serial = expect(stage.ledger, MAIL_RESULT);
    int64_t rests = values.mail_result.rests_until;
    assert_int_equal(values.mail_result.standing, DESTINATION_UNREACHABLE);
    assert_int_equal(values.mail_result.untried, 0);
    assert_true(text_equal(values.mail_result.destination, TEXT("dead.test")));
    assert_true(rests > (int64_t)time(NULL) && retry_in_result() == rests);
    push_letter(&stage, (struct letter){OTHER, NULL, "b@dead.test", NULL, DELIVERY_REMOTE, 2, 0});
    uint32_t second = expect(stage.ledger, MAIL_RESULT); /* no MAIL_FETCH: nothing is needed of it */
    assert_int_equal(values.mail_result.untried, 1);
    assert_int_equal(values.mail_result.standing, DESTINATION_UNTOUCHED);
    assert_int_equal(retry_in_result(), rests);
    recorded(&stage, serial);
    recorded(&stage, second);
    expect_silence(agent);
    close(agent);
    finish(&stage);
}

/* As the ledger does on an operator's word. In a process of its own: SQLite's locks must not be inherited. */
static void operator_allows(const char *domain) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct buffer error;
        buffer_init(&error, 1000);
        struct database *database = database_open(database_path, DATABASE_MAIN, DATABASE_WRITE, &error);
        _exit(database != NULL && destinations_failed(database, text_of(domain), 0, TEXT("451 4.4.1 no answer"), 1)
                  ? EXIT_SUCCESS
                  : EXIT_FAILURE);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void an_operators_retry_while_results_are_being_recorded_holds_when_they_are_in_the_rows(void **state) {
    struct stage stage = begin(false);
    const struct parcels_new rows_changed = {
        .mail_id = TEXT_NONE, .from_url = TEXT_NONE, .account = TEXT_NONE, .recipients = TEXT_NONE};
    const struct empty_message empty = {0};
    (void)state;
    expect(stage.hub, HUB_READY);
    push_letter(&stage, (struct letter){MAIL, NULL, "a@slow.test", NULL, DELIVERY_REMOTE, 1, 0});
    int agent = give_agent_for(&stage, "smtp");
    give_content(&stage, MAIL, "me@far.test", 1);
    answer_job(agent, expect(agent, AGENT_JOB), MAIL, RESULT_DEFERRED, DESTINATION_UNREACHABLE, 0);
    uint32_t serial = expect(stage.ledger, MAIL_RESULT);
    operator_allows("slow.test");
    assert_int_equal(channel_send(stage.ledger, PARCELS_NEW, 0, &rows_changed, -1), CHANNEL_OK);
    push_letter(&stage, (struct letter){OTHER, NULL, "b@slow.test", NULL, DELIVERY_REMOTE, 2, 0});
    expect_silence(stage.ledger); /* whether it rests is in the rows */
    recorded(&stage, serial);
    serial = expect(stage.ledger, ROWS_WANTED);
    assert_int_equal(channel_send(stage.ledger, ROWS_WRITTEN, serial, &empty, -1), CHANNEL_OK);
    give_content(&stage, OTHER, "me@far.test", 1);
    answer_job(agent, expect(agent, AGENT_JOB), OTHER, RESULT_DELIVERED, DESTINATION_ANSWERED, 0);
    recorded(&stage, expect(stage.ledger, MAIL_RESULT));
    close(agent);
    finish(&stage);
}

static void recipients_with_another_sender_are_another_job(void **state) {
    struct stage stage = begin(false);
    (void)state;
    expect(stage.hub, HUB_READY);
    push_letter(&stage, (struct letter){MAIL, NULL, "coco@example.test", NULL, DELIVERY_LOCAL, 1, 0});
    push_letter(&stage, (struct letter){MAIL, NULL, "mike@example.test", "owner@example.test", DELIVERY_LOCAL, 2, 1});
    int agent = give_agent(&stage);
    give_content(&stage, MAIL, "me@far.test", 2);
    uint32_t serial = expect(agent, AGENT_JOB);
    assert_true(text_equal(values.agent_job.from_url, TEXT("me@far.test")));
    answer_job(agent, serial, MAIL, RESULT_DELIVERED, DESTINATION_ANSWERED, 0);
    recorded(&stage, expect(stage.ledger, MAIL_RESULT));
    give_content(&stage, MAIL, "me@far.test", 2);
    expect(agent, AGENT_JOB);
    assert_true(text_equal(values.agent_job.from_url, TEXT("owner@example.test")));
    cut_short(&stage);
    close(agent);
}

static void a_target_with_a_bar_goes_by_the_transport_of_that_name(void **state) {
    struct stage stage = begin(false);
    (void)state;
    expect(stage.hub, HUB_READY);
    push_letter(&stage, (struct letter){MAIL, NULL, "|archive", NULL, DELIVERY_LOCAL, 1, 0});
    int agent = give_agent_for(&stage, "archive");
    give_content(&stage, MAIL, "me@far.test", 1);
    uint32_t serial = expect(agent, AGENT_JOB);
    assert_int_equal(values.agent_job.destination.length, 0);
    answer_job(agent, serial, MAIL, RESULT_DEFERRED, DESTINATION_UNREACHABLE, 0);
    expect(stage.ledger, MAIL_RESULT);
    assert_true(text_equal(values.mail_result.destination, TEXT("|archive")));
    cut_short(&stage);
    close(agent);
}

static void tls_that_was_shown_is_passed_on_once_and_told_to_the_next_agent(void **state) {
    struct stage stage = begin(false);
    (void)state;
    expect(stage.hub, HUB_READY);
    push_letter(&stage, first);
    int agent = give_agent_for(&stage, "smtp");
    give_content(&stage, MAIL, "me@far.test", 1);
    uint32_t serial = expect(agent, AGENT_JOB);
    assert_int_equal(values.agent_job.tls_memory, TLS_MEMORY_NONE);
    answer_job(agent, serial, MAIL, RESULT_DELIVERED, DESTINATION_ANSWERED, TLS_MEMORY_VERIFIED);
    serial = expect(stage.ledger, MAIL_RESULT);
    assert_int_equal(values.mail_result.standing, DESTINATION_ANSWERED);
    assert_int_equal(values.mail_result.tls_memory, TLS_MEMORY_VERIFIED);
    push_letter(&stage, (struct letter){OTHER, NULL, "b@dead.test", NULL, DELIVERY_REMOTE, 2, 0});
    recorded(&stage, serial);
    give_content(&stage, OTHER, "me@far.test", 1);
    serial = expect(agent, AGENT_JOB);
    assert_int_equal(values.agent_job.tls_memory, TLS_MEMORY_VERIFIED);
    answer_job(agent, serial, OTHER, RESULT_DELIVERED, DESTINATION_ANSWERED, TLS_MEMORY_VERIFIED);
    serial = expect(stage.ledger, MAIL_RESULT);
    assert_int_equal(values.mail_result.standing, DESTINATION_UNTOUCHED); /* known already: no row is written */
    recorded(&stage, serial);
    close(agent);
    finish(&stage);
}

static void a_login_at_its_limit_waits_and_others_do_not(void **state) {
    struct stage stage = prepare();
    (void)state;
    stage.account_limit = 1;
    stage.agent_limit = 6;
    launch(&stage, false);
    expect(stage.hub, HUB_READY);
    push_letter(&stage, (struct letter){MAIL, "mike", "a@one.test", NULL, DELIVERY_REMOTE, 1, 0});
    int agent = give_agent_for(&stage, "smtp");
    give_content(&stage, MAIL, "me@far.test", 1);
    uint32_t serial = expect(agent, AGENT_JOB);
    push_letter(&stage, (struct letter){OTHER, "mike", "a@two.test", NULL, DELIVERY_REMOTE, 2, 0});
    push_letter(&stage, (struct letter){THIRD, "coco", "a@three.test", NULL, DELIVERY_REMOTE, 3, 0});
    int hers = -1;
    struct pollfd next[] = {{.fd = stage.ledger, .events = POLLIN}, {.fd = stage.hub, .events = POLLIN}};
    while (next[0].revents == 0) { /* an agent may be there already for whom nothing may start */
        hers = give_agent_for(&stage, "smtp");
        assert_true(poll(next, 2, 8000) > 0);
    }
    expect(stage.ledger, MAIL_FETCH);
    assert_true(text_equal(values.mail_fetch.mail_id, TEXT(THIRD)));
    expect_silence(stage.ledger);
    answer_job(agent, serial, MAIL, RESULT_DELIVERED, DESTINATION_ANSWERED, 0);
    expect(stage.ledger, MAIL_RESULT);
    expect(stage.ledger, MAIL_FETCH); /* his next one, when his first has ended */
    assert_true(text_equal(values.mail_fetch.mail_id, TEXT(OTHER)));
    cut_short(&stage);
    close(agent);
    close(hers);
}

/* As many as fill a destination's share of memory, and some. */
static void push_many(struct stage *stage, const char *account, int64_t from_id) {
    struct buffer list;
    for (int64_t part = 0; part < 11; part++) {
        buffer_init(&list, 50000);
        for (uint32_t i = 0; i < 100; i++) {
            struct parcel_item item = {.delivery = DELIVERY_LOCAL,
                                       .recipient = i,
                                       .parcel_id = from_id + part * 100 + i,
                                       .retry_at = 1,
                                       .target = TEXT("a@example.test"),
                                       .domain = TEXT("example.test")};
            assert_true(list_add_parcel(&list, &item));
        }
        struct parcels_new news = {.mail_id = TEXT(OTHER),
                                   .from_url = TEXT("me@far.test"),
                                   .account = text_of(account),
                                   .received_at = (int64_t)time(NULL),
                                   .expires_at = FAR_AWAY,
                                   .recipients = buffer_text(&list)};
        assert_int_equal(channel_send(stage->ledger, PARCELS_NEW, 0, &news, -1), CHANNEL_OK);
        buffer_free(&list);
    }
}

static void a_login_that_waits_with_more_than_memory_holds_keeps_nobody_from_the_same_destination(void **state) {
    struct stage stage = prepare();
    (void)state;
    stage.account_limit = 1;
    stage.agent_limit = 6;
    stage.destination_limit = 4;
    launch(&stage, false);
    expect(stage.hub, HUB_READY);
    push_letter(&stage, (struct letter){MAIL, "mike", "a@example.test", NULL, DELIVERY_LOCAL, 1, 0});
    int agent = give_agent_for(&stage, "maildir");
    give_content(&stage, MAIL, "me@far.test", 1);
    (void)expect(agent, AGENT_JOB);
    push_many(&stage, "mike", 1000);
    push_letter(&stage, (struct letter){THIRD, "coco", "a@example.test", NULL, DELIVERY_LOCAL, 3, 0});
    expect(stage.ledger, MAIL_FETCH);
    assert_true(text_equal(values.mail_fetch.mail_id, TEXT(THIRD)));
    cut_short(&stage);
    close(agent);
}

static void a_destination_begins_with_one_agent_and_gets_more_as_they_succeed(void **state) {
    struct stage stage = prepare();
    char id[MAIL_ID_SIZE];
    (void)state;
    stage.agent_limit = 12;
    stage.destination_limit = 4;
    launch(&stage, false);
    expect(stage.hub, HUB_READY);
    push_letter(&stage, first);
    int agent = give_agent_for(&stage, "smtp");
    give_content(&stage, MAIL, "me@far.test", 1);
    uint32_t serial = expect(agent, AGENT_JOB);
    for (int i = 0; i < 4; i++) {
        snprintf(id, sizeof id, "1AbCdE-FgHi%02u-Lm", (unsigned)i % 100);
        push_letter(&stage, (struct letter){id, NULL, "a@dead.test", NULL, DELIVERY_REMOTE, 10 + i, 0});
    }
    expect_silence(stage.hub);
    answer_job(agent, serial, MAIL, RESULT_DELIVERED, DESTINATION_ANSWERED, 0);
    expect(stage.hub, HUB_AGENT_WANTED); /* the first goes on, beside a second one */
    expect_silence(stage.hub);
    cut_short(&stage);
    close(agent);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_an_unreachable_server_the_rest_is_put_off_untried),
        cmocka_unit_test(an_operators_retry_while_results_are_being_recorded_holds_when_they_are_in_the_rows),
        cmocka_unit_test(recipients_with_another_sender_are_another_job),
        cmocka_unit_test(a_target_with_a_bar_goes_by_the_transport_of_that_name),
        cmocka_unit_test(tls_that_was_shown_is_passed_on_once_and_told_to_the_next_agent),
        cmocka_unit_test(a_login_at_its_limit_waits_and_others_do_not),
        cmocka_unit_test(a_login_that_waits_with_more_than_memory_holds_keeps_nobody_from_the_same_destination),
        cmocka_unit_test(a_destination_begins_with_one_agent_and_gets_more_as_they_succeed),
    };
    log_start(STDERR_FILENO, "test", getenv("TEST_LOG") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_FATAL);
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
