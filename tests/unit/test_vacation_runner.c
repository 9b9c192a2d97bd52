/* SPDX-License-Identifier: MIT
 * The queue runner's part in answering for who is away: one answer, although the tables do not know of it yet. */
#include "store/aliases.h"

#include "runner_stage.h"

#define FRIEND "friend@far.test"

static void somebody_is_away(void) {
    const struct vacation_setting setting = {
        .address = "coco@example.test", .subject = "Away", .message = "Later.\n", .days = 7};
    struct buffer error;
    buffer_init(&error, 1000);
    struct database *database = database_open(database_path, DATABASE_MAIN, DATABASE_WRITE, &error);
    assert_non_null(database);
    assert_true(vacations_set(database, &setting, 1000000000));
    database_close(database);
    buffer_free(&error);
}

static void give_letter(struct stage *stage, const char *mail_id) {
    static const char letter[] = "To: coco@example.test\r\n\r\nb\r\n";
    struct envelope envelope;
    struct buffer cargo;
    uint32_t serial = expect(stage->ledger, MAIL_FETCH);
    assert_true(text_equal(values.mail_fetch.mail_id, text_of(mail_id)));
    envelope_init(&envelope);
    text_copy(envelope.mail_id, sizeof envelope.mail_id, text_of(mail_id));
    envelope_set(&envelope.from_url, TEXT(FRIEND));
    envelope_add(&envelope, TEXT("coco@example.test"), TEXT("coco@example.test"), DELIVERY_LOCAL);
    buffer_init(&cargo, 20000);
    assert_true(buffer_append_string(&cargo, letter) && envelope_format(&envelope, &cargo));
    struct mail_content content = {.found = 1,
                                   .message_length = sizeof letter - 1,
                                   .envelope_length = (int64_t)(cargo.length - (sizeof letter - 1)),
                                   .cargo = buffer_text(&cargo)};
    assert_int_equal(channel_send(stage->ledger, MAIL_CONTENT, serial, &content, -1), CHANNEL_OK);
    buffer_free(&cargo);
    envelope_free(&envelope);
}

static void answers_on_their_way_are_remembered(void **state) {
    struct mail_recorded recorded = {.outcome = COMMIT_OK};
    struct stage stage = begin(false);
    (void)state;
    expect(stage.hub, HUB_READY);
    push(&stage, MAIL, FRIEND, 1, 1, 0x7fffffff);
    int agent = give_agent(&stage);
    give_letter(&stage, MAIL);
    report(agent, MAIL, "D");
    uint32_t first = expect(stage.ledger, MAIL_RESULT); /* and the ledger takes its time */
    assert_true(values.mail_result.notices.length > 0);
    push(&stage, OTHER, FRIEND, 2, 1, 0x7fffffff);
    give_letter(&stage, OTHER);
    report(agent, OTHER, "D");
    uint32_t second = expect(stage.ledger, MAIL_RESULT);
    assert_int_equal(values.mail_result.notices.length, 0);
    assert_int_equal(channel_send(stage.ledger, MAIL_RECORDED, first, &recorded, -1), CHANNEL_OK);
    assert_int_equal(channel_send(stage.ledger, MAIL_RECORDED, second, &recorded, -1), CHANNEL_OK);
    close(agent);
    finish(&stage);
}

static int set_up(void **state) {
    if (make_directory(state) != 0) {
        return -1;
    }
    somebody_is_away();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_on_their_way_are_remembered),
    };
    log_start(2, "test_vacation_runner", LOG_LEVEL_INFO);
    return cmocka_run_group_tests(tests, set_up, remove_directory);
}
