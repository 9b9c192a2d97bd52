/* SPDX-License-Identifier: MIT
 * The queue runner and its agents: who gets one, when there is none, and which are kept apart. */
#include "runner_stage.h"

static void push_remote(struct stage *stage, const char *mail_id, int64_t id, const char *domain) {
    struct buffer list;
    buffer_init(&list, 1000);
    struct parcel_item item = {.delivery = DELIVERY_REMOTE,
                               .parcel_id = id,
                               .retry_at = 1,
                               .target = TEXT("a@far.test"),
                               .domain = text_of(domain)};
    assert_true(list_add_parcel(&list, &item));
    struct parcels_new news = {.mail_id = text_of(mail_id),
                               .from_url = TEXT("me@example.test"),
                               .account = TEXT_NONE,
                               .received_at = 1000000000,
                               .expires_at = 0x7fffffff,
                               .recipients = buffer_text(&list)};
    assert_int_equal(channel_send(stage->ledger, PARCELS_NEW, 0, &news, -1), CHANNEL_OK);
    buffer_free(&list);
}

static void deliver_by(struct stage *stage, const char *transport, const char *mail_id) {
    int agent = give_agent_by(stage, transport);
    give_content(stage, mail_id, "me@far.test", 1);
    report(agent, mail_id, "D");
    record(stage, "D", false, COMMIT_OK);
    close(agent);
}

static void without_agents_parcels_wait_and_are_deferred_in_the_end(void **state) {
    struct stage stage = begin(false);
    (void)state;
    expect(stage.hub, HUB_READY);
    push(&stage, MAIL, "me@far.test", 1, 1, 0x7fffffff);
    for (int i = 0; i < 3; i++) {
        expect(stage.hub, HUB_AGENT_WANTED);
        struct hub_agent none = values.hub_agent;
        assert_int_equal(channel_send(stage.hub, HUB_AGENT, 0, &none, -1), CHANNEL_OK);
        expect(stage.ledger, MAIL_FETCH);
    }
    record(&stage, "T", false, COMMIT_OK);
    finish(&stage);
}

/* Nothing else happens: the pause alone must bring it back. */
static void mail_whose_agent_was_refused_is_taken_up_again(void **state) {
    struct stage stage = begin(false);
    (void)state;
    expect(stage.hub, HUB_READY);
    push(&stage, MAIL, "me@far.test", 1, 1, 0x7fffffff);
    expect(stage.hub, HUB_AGENT_WANTED);
    struct hub_agent none = values.hub_agent;
    give_content(&stage, MAIL, "me@far.test", 1);
    assert_int_equal(channel_send(stage.hub, HUB_AGENT, 0, &none, -1), CHANNEL_OK);
    deliver_by(&stage, "maildir", MAIL);
    finish(&stage);
}

static void reload(struct stage *stage, const char *text) {
    struct empty_message empty = {0};
    int fd = configuration_of(text);
    assert_int_equal(channel_send(stage->hub, HUB_RELOAD, 0, &empty, fd), CHANNEL_OK);
    close(fd);
}

/* The ledger writes rows a moment after it has told of them: the database does not have it yet. */
static void mail_of_which_there_are_no_rows_yet_outlives_a_reload(void **state) {
    struct stage stage = begin(false);
    (void)state;
    expect(stage.hub, HUB_READY);
    push(&stage, MAIL, "me@far.test", 1, 1, 0x7fffffff);
    expect(stage.hub, HUB_AGENT_WANTED);
    expect(stage.ledger, MAIL_FETCH);
    reload(&stage, "server_name = mail.example.test\n");
    deliver_by(&stage, "maildir", MAIL);
    finish(&stage);
}

static void a_reload_leads_mail_that_waits_by_its_new_way(void **state) {
    struct stage stage = begin(false);
    (void)state;
    expect(stage.hub, HUB_READY);
    push_remote(&stage, MAIL, 1, "far.test");
    expect(stage.hub, HUB_AGENT_WANTED);
    expect(stage.ledger, MAIL_FETCH);
    reload(&stage, "server_name = mail.example.test\n"
                   "transport \"relay\" { kind = smtp\n target = \"127.0.0.1:1\" }\n"
                   "route \"far.test\" { transport = relay }\n");
    deliver_by(&stage, "relay", MAIL);
    finish(&stage);
}

#define SMARTHOST "transport \"smarthost\" { kind = smtp\n target = \"127.0.0.1:1\" }\n"

static void leaves_room_for_local_mail(const char *blocks, const char *transport) {
    struct stage stage = prepare();
    stage.blocks = blocks;
    launch(&stage, false);
    expect(stage.hub, HUB_READY);
    push_remote(&stage, MAIL, 1, "one.test");
    push_remote(&stage, MAIL, 2, "two.test");
    push_remote(&stage, MAIL, 3, "three.test");
    expect(stage.hub, HUB_AGENT_WANTED);
    assert_true(text_equal(values.hub_agent.transport, text_of(transport)));
    expect_silence(stage.hub); /* agent_limit is 2 */
    push(&stage, OTHER, "me@far.test", 4, 1, 0x7fffffff);
    expect(stage.hub, HUB_AGENT_WANTED);
    assert_true(text_equal(values.hub_agent.transport, TEXT("maildir")));
    finish(&stage);
}

static void mail_to_elsewhere_leaves_room_for_local_mail(void **state) {
    (void)state;
    leaves_room_for_local_mail(NULL, "smtp");
}

/* Its server may hang as any other may. */
static void mail_by_a_transport_block_to_a_server_leaves_room_for_local_mail(void **state) {
    (void)state;
    leaves_room_for_local_mail(SMARTHOST "route \"*\" { transport = smarthost }\n", "smarthost");
}

static void the_block_for_all_sets_the_pace_of_its_transport(void **state) {
    struct stage stage = prepare();
    (void)state;
    stage.blocks = "transport \"archive\" { kind = pipe\n target = \"/bin/cat\" }\n"
                   "route \"*\" { transport = archive\n rate = 1 }\n";
    launch(&stage, false);
    expect(stage.hub, HUB_READY);
    push_remote(&stage, MAIL, 1, "one.test");
    int agent = give_agent_by(&stage, "archive");
    give_content(&stage, MAIL, "me@example.test", 1);
    report(agent, MAIL, "D");
    record(&stage, "D", false, COMMIT_OK);
    push_remote(&stage, OTHER, 2, "one.test");
    expect_silence(stage.ledger); /* one a minute */
    close(agent);
    finish(&stage);
}

static void an_idle_agent_is_not_taken_for_another_transport(void **state) {
    struct stage stage = prepare();
    (void)state;
    stage.blocks = SMARTHOST "route \"two.test\" { transport = smarthost }\n";
    launch(&stage, false);
    expect(stage.hub, HUB_READY);
    push_remote(&stage, MAIL, 1, "one.test");
    int agent = give_agent_by(&stage, "smtp");
    give_content(&stage, MAIL, "me@example.test", 1);
    report(agent, MAIL, "D");
    record(&stage, "D", false, COMMIT_OK);
    push_remote(&stage, OTHER, 2, "two.test");
    expect_end(agent); /* there is room for one */
    int other = give_agent_by(&stage, "smarthost");
    finish(&stage);
    close(other); /* not before: an agent that dies leaves a result, and nobody here would record it */
}

static void an_agent_that_never_comes_is_asked_for_again(void **state) {
    struct stage stage = begin(false);
    struct channel_message message = {.fd = -1};
    (void)state;
    expect(stage.hub, HUB_READY);
    push(&stage, MAIL, "me@far.test", 1, 1, 0x7fffffff);
    expect(stage.hub, HUB_AGENT_WANTED);
    uint32_t lost = values.hub_agent.token;
    give_content(&stage, MAIL, "me@far.test", 1);
    assert_int_equal(channel_receive(stage.hub, clock_deadline(60000), storage, &values, &message), CHANNEL_OK);
    assert_int_equal(message.kind, HUB_AGENT_WANTED);
    assert_int_not_equal(values.hub_agent.token, lost);
    finish(&stage);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_agents_parcels_wait_and_are_deferred_in_the_end),
        cmocka_unit_test(mail_whose_agent_was_refused_is_taken_up_again),
        cmocka_unit_test(mail_of_which_there_are_no_rows_yet_outlives_a_reload),
        cmocka_unit_test(a_reload_leads_mail_that_waits_by_its_new_way),
        cmocka_unit_test(mail_to_elsewhere_leaves_room_for_local_mail),
        cmocka_unit_test(mail_by_a_transport_block_to_a_server_leaves_room_for_local_mail),
        cmocka_unit_test(the_block_for_all_sets_the_pace_of_its_transport),
        cmocka_unit_test(an_idle_agent_is_not_taken_for_another_transport),
        cmocka_unit_test(an_agent_that_never_comes_is_asked_for_again),
    };
    log_start(STDERR_FILENO, "test", getenv("TEST_LOG") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_FATAL);
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
