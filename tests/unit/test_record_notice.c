/* SPDX-License-Identifier: MIT
 * Which notices a job's outcomes lead to: whom they tell what, what they share, and that their ids repeat. */
#include "base/clock.h"
#include "runner/runner_private.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MAIL "1AbCdE-FgHiJk-Lm"
#define RECIPIENTS 100

static char name[] = "mail.example.test", postmaster[] = "postmaster@example.test", domain[] = "example.test";
static char target[] = "coco@example.test", sender[] = "me@example.test", long_target[300];
static char *domains[] = {domain};

struct stage {
    struct config config;
    struct runner runner;
    struct job job;
    struct destination destination;
    struct parcel parcels[RECIPIENTS], *pointers[RECIPIENTS];
    struct record_outcome outcomes[RECIPIENTS];
    struct database *database;
};

/* `count` failures of one mail by 550. */
static void set_stage(struct stage *stage, size_t count) {
    struct buffer error;
    *stage = (struct stage){.config = {.server_name = name,
                                       .server_title = name,
                                       .postmaster = postmaster,
                                       .local_domains = {domains, 1},
                                       .mail_id_base = 62,
                                       .delay_warning = 60,
                                       .queue_lifetime = 1000,
                                       .notice_return_maximum = 1000}};
    buffer_init(&error, 1000);
    stage->database = database_open(":memory:", DATABASE_MAIN, DATABASE_WRITE, &error);
    assert_non_null(stage->database);
    buffer_free(&error);
    stage->runner = (struct runner){.config = &stage->config, .database = stage->database};
    stage->job = (struct job){.fd = -1, .parcels = stage->pointers, .count = count, .has_content = true};
    text_copy(stage->job.mail_id, sizeof stage->job.mail_id, TEXT(MAIL));
    envelope_init(&stage->job.envelope);
    envelope_set(&stage->job.envelope.from_url, text_of(sender));
    buffer_init(&stage->job.cargo, 100000);
    assert_true(buffer_append_string(&stage->job.cargo, "Subject: s\r\n\r\nThe body.\r\nReceived: r\r\n"));
    stage->job.message_length = 25;
    stage->job.headers_length = 13;
    buffer_init(&stage->job.notices, NOTICES_MAXIMUM);
    for (size_t i = 0; i < count; i++) {
        char to_url[40];
        snprintf(to_url, sizeof to_url, "r%zu@example.test", i);
        envelope_add(&stage->job.envelope, text_of(to_url), text_of(target), DELIVERY_LOCAL);
        stage->parcels[i] = (struct parcel){.recipient = (uint32_t)i,
                                            .destination = &stage->destination,
                                            .from_url = sender,
                                            .target = target,
                                            .clock_offset = clock_offset(),
                                            .received_at = (int64_t)time(NULL),
                                            .expires_at = (int64_t)time(NULL) + 1000};
        stage->pointers[i] = &stage->parcels[i];
        stage->outcomes[i] = (struct record_outcome){
            .parcel = &stage->parcels[i],
            .item = {.recipient = (uint32_t)i, .kind = RESULT_FAILED, .from_server = 1},
            .said = TEXT("550 5.1.1 no"),
        };
    }
}

static void end_stage(struct stage *stage) {
    envelope_free(&stage->job.envelope);
    buffer_free(&stage->job.cargo);
    buffer_free(&stage->job.notices);
    database_close(stage->database);
}

/* The notices as "Action×recipients>addressee" with blanks between; ids as they come, if wanted. */
static const char *made(struct stage *stage, char ids[8][MAIL_ID_SIZE]) {
    static char text[1000];
    struct text list = buffer_text(&stage->job.notices);
    struct notice_item item;
    bool bad = false;
    size_t count = 0;
    text[0] = '\0';
    while (list_next_notice(&list, &item, &bad)) {
        struct envelope envelope;
        struct text cargo = item.cargo;
        struct text message = text_first(cargo, (size_t)item.message_length);
        size_t told = 0, at = strlen(text);
        const char *action = memmem(message.data, message.length, "\r\nAction: ", 10);
        assert_non_null(action);
        struct text word = text_from(message, (size_t)(action - message.data) + 10);
        word = text_first(word, text_find(word, '\r'));
        for (const char *next; (next = memmem(message.data, message.length, "\r\nAction: ", 10)) != NULL; told++) {
            message = text_from(message, (size_t)(next - message.data) + 10);
        }
        assert_true(envelope_parse(text_from(cargo, (size_t)(item.message_length + item.headers_length)), &envelope));
        assert_string_equal(envelope.from_url, "");
        assert_true(envelope.recipient_count > 0);
        snprintf(text + at, sizeof text - at, "%s%.*s*%zu>%s", at > 0 ? " " : "", TEXT_ARGS(word), told,
                 envelope.recipients[0].target);
        if (ids != NULL) {
            memcpy(ids[count], envelope.mail_id, MAIL_ID_SIZE);
        }
        count++;
        envelope_free(&envelope);
    }
    assert_false(bad);
    return text;
}

static void set_notify(struct stage *stage, size_t recipient, const char *notify) {
    envelope_set(&stage->job.envelope.recipients[recipient].notify, text_of(notify));
}

static void set_kind(struct stage *stage, size_t recipient, enum result_kind kind, enum result_onward onward) {
    stage->outcomes[recipient].item.kind = kind;
    stage->outcomes[recipient].item.onward = onward;
}

static void outcomes_of_one_kind_share_a_notice(void **state) {
    struct stage stage;
    (void)state;
    set_stage(&stage, 7);
    for (size_t i = 2; i < 7; i++) {
        set_notify(&stage, i, "SUCCESS,DELAY");
    }
    set_kind(&stage, 2, RESULT_DELIVERED, ONWARD_FINAL);
    set_kind(&stage, 3, RESULT_DELIVERED, ONWARD_BLIND);
    set_kind(&stage, 4, RESULT_DELIVERED, ONWARD_DSN);
    set_kind(&stage, 5, RESULT_DEFERRED, ONWARD_FINAL);
    stage.parcels[5].received_at -= 100;
    record_notices(&stage.runner, &stage.job, stage.outcomes);
    assert_string_equal(made(&stage, NULL), "failed*2>me@example.test delayed*1>me@example.test "
                                            "delivered*1>me@example.test relayed*1>me@example.test");
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(stage.outcomes[i].item.delay_told, i == 5);
    }
    end_stage(&stage);
}

static void repeating_a_step_makes_the_same_ids_and_kinds_have_different_ones(void **state) {
    char ids[2][8][MAIL_ID_SIZE];
    (void)state;
    for (int round = 0; round < 2; round++) {
        struct stage stage;
        set_stage(&stage, 3);
        stage.config.notice_postmaster = true;
        set_kind(&stage, 2, RESULT_DEFERRED, ONWARD_FINAL);
        stage.parcels[2].received_at -= 100;
        stage.parcels[2].attempts = (uint32_t)round; /* a delay is told once, whichever attempt shows it */
        record_notices(&stage.runner, &stage.job, stage.outcomes);
        assert_string_equal(made(&stage, ids[round]),
                            "failed*2>me@example.test delayed*1>me@example.test failed*2>postmaster@example.test");
        end_stage(&stage);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(ids[0][i], ids[1][i]);
    }
    assert_string_not_equal(ids[0][0], ids[0][1]);
    assert_string_not_equal(ids[0][0], ids[0][2]);
}

static void nobody_is_told_what_he_did_not_ask_or_cannot_be(void **state) {
    static const struct {
        const char *sentence, *from, *notify;
        enum result_kind kind;
        int64_t age, delayed_at;
        uint32_t automatic;
        const char *made;
    } rows[] = {
        {"a failure, nothing asked", "me@example.test", "", RESULT_FAILED, 0, 0, 0, "failed*1>me@example.test"},
        {"a failure of automatic mail", "me@example.test", "", RESULT_FAILED, 0, 0, 1, "failed*1>me@example.test"},
        {"the null sender", "", "", RESULT_FAILED, 0, 0, 0, ""},
        {"the null sender who asks", "", "SUCCESS", RESULT_DELIVERED, 0, 0, 0, ""},
        {"NEVER", "me@example.test", "NEVER", RESULT_FAILED, 0, 0, 0, ""},
        {"failure, where success was asked", "me@example.test", "SUCCESS", RESULT_FAILED, 0, 0, 0, ""},
        {"success, nothing asked", "me@example.test", "", RESULT_DELIVERED, 0, 0, 0, ""},
        {"a young deferral", "me@example.test", "", RESULT_DEFERRED, 50, 0, 0, ""},
        {"an old deferral", "me@example.test", "", RESULT_DEFERRED, 70, 0, 0, "delayed*1>me@example.test"},
        {"an old deferral that was told", "me@example.test", "", RESULT_DEFERRED, 70, 5, 0, ""},
        {"an old deferral of automatic mail", "me@example.test", "", RESULT_DEFERRED, 70, 0, 1, ""},
        {"an old deferral, FAILURE", "me@example.test", "FAILURE", RESULT_DEFERRED, 70, 0, 0, ""},
        {"an old deferral from <>", "", "", RESULT_DEFERRED, 70, 0, 0, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct stage stage;
        print_message("%s\n", rows[i].sentence);
        set_stage(&stage, 1);
        envelope_set(&stage.job.envelope.from_url, text_of(rows[i].from));
        set_notify(&stage, 0, rows[i].notify);
        set_kind(&stage, 0, rows[i].kind, ONWARD_FINAL);
        stage.parcels[0].received_at -= rows[i].age;
        stage.parcels[0].delayed_at = rows[i].delayed_at;
        stage.parcels[0].auto_generated = rows[i].automatic;
        record_notices(&stage.runner, &stage.job, stage.outcomes);
        assert_string_equal(made(&stage, NULL), rows[i].made);
        assert_int_equal(stage.outcomes[0].item.delay_told, strncmp(rows[i].made, "delayed", 7) == 0);
        end_stage(&stage);
    }
}

static void a_notice_goes_where_the_receiver_found_its_sender(void **state) {
    struct stage stage;
    (void)state;
    set_stage(&stage, 1);
    envelope_set(&stage.job.envelope.sender_targets, TEXT("remote:elsewhere@far.test"));
    envelope_set(&stage.job.envelope.account, TEXT("ME@example.test"));
    record_notices(&stage.runner, &stage.job, stage.outcomes);
    assert_string_equal(made(&stage, NULL), "failed*1>elsewhere@far.test");
    buffer_clear(&stage.job.notices);
    envelope_set(&stage.job.envelope.sender_targets, TEXT_NONE);
    record_notices(&stage.runner, &stage.job, stage.outcomes);
    assert_string_equal(made(&stage, NULL), "failed*1>ME@example.test"); /* as his mailbox is named */
    end_stage(&stage);
}

static void a_notice_goes_where_the_receiver_found_its_owner_and_the_postmaster(void **state) {
    struct stage stage;
    (void)state;
    set_stage(&stage, 1);
    stage.config.notice_postmaster = true;
    envelope_set(&stage.job.envelope.recipients[0].sender, TEXT("Owner@caught.test"));
    envelope_set(&stage.job.envelope.owner_targets, TEXT("owner:Owner@caught.test local:coco@example.test "
                                                         "owner:postmaster@example.test local:boss@example.test"));
    record_notices(&stage.runner, &stage.job, stage.outcomes);
    assert_string_equal(made(&stage, NULL), "failed*1>coco@example.test failed*1>boss@example.test");
    buffer_clear(&stage.job.notices);
    envelope_set(&stage.job.envelope.recipients[0].sender, TEXT("Postmaster@Example.Test")); /* he needs no copy */
    envelope_set(&stage.job.envelope.owner_targets,
                 TEXT("owner:Postmaster@Example.Test local:boss@example.test owner:postmaster@example.test "
                      "local:boss@example.test"));
    record_notices(&stage.runner, &stage.job, stage.outcomes);
    assert_string_equal(made(&stage, NULL), "failed*1>boss@example.test");
    end_stage(&stage);
}

/* RFC 5321 4.1.2: a quoted local part may hold blanks. */
static void a_sender_with_blanks_in_his_name_is_told(void **state) {
    static char quoted[] = "\"a b\\\" local:c\"@far.test";
    struct stage stage;
    (void)state;
    set_stage(&stage, 1);
    stage.parcels[0].from_url = quoted;
    envelope_set(&stage.job.envelope.from_url, text_of(quoted));
    record_notices(&stage.runner, &stage.job, stage.outcomes);
    assert_string_equal(made(&stage, NULL), "failed*1>\"a b\\\" local:c\"@far.test");
    end_stage(&stage);
}

/* The ledger takes no mail to nobody: it would refuse the failure with it, for ever. */
static void there_is_no_notice_to_nobody(void **state) {
    struct stage stage;
    (void)state;
    set_stage(&stage, 1);
    envelope_set(&stage.job.envelope.sender_targets, TEXT("nowhere"));
    record_notices(&stage.runner, &stage.job, stage.outcomes);
    assert_string_equal(made(&stage, NULL), "");
    end_stage(&stage);
}

/* A row that somebody made by hand: what could never be sent would keep all other results back. */
static void a_result_is_sent_whatever_its_destination_is_called(void **state) {
    static char smtp[] = "smtp", long_name[301];
    const struct result_item item = {.recipient = 0, .kind = RESULT_FAILED, .reply = TEXT("550 5.1.1 no")};
    struct service_peer ledger = {.fd = -1};
    struct stage stage;
    int ends[2];
    (void)state;
    memset(long_name, 'x', sizeof long_name - 1);
    set_stage(&stage, 1);
    assert_true(channel_pair(ends));
    ledger.fd = ends[0];
    stage.runner.ledger = &ledger;
    stage.config.local_transport = smtp;
    stage.destination.transport = smtp;
    stage.destination.domain = long_name;
    stage.job.destination = &stage.destination;
    buffer_init(&stage.job.results, 1000);
    assert_true(list_add_result(&stage.job.results, &item));
    job_list_add(&stage.runner, &stage.job);
    assert_true(record_send(&stage.runner, &stage.job));
    buffer_free(&stage.job.results);
    end_stage(&stage);
    close(ends[0]);
    close(ends[1]);
}

static void a_mail_that_cannot_be_read_still_tells_of_its_failure(void **state) {
    struct stage stage;
    (void)state;
    set_stage(&stage, 2);
    stage.job.has_content = false;
    envelope_free(&stage.job.envelope);
    envelope_init(&stage.job.envelope);
    record_notices(&stage.runner, &stage.job, stage.outcomes);
    assert_string_equal(made(&stage, NULL), "failed*2>me@example.test");
    end_stage(&stage);
}

static void the_whole_message_comes_back_when_it_is_asked_and_small(void **state) {
    static const struct {
        const char *ret;
        long maximum;
        bool whole;
    } rows[] = {
        {"FULL", 1000, true}, {"FULL", 38, true}, {"FULL", 37, false}, {"HDRS", 1000, false}, {"", 1000, false}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct stage stage;
        set_stage(&stage, 1);
        stage.config.notice_return_maximum = rows[i].maximum;
        envelope_set(&stage.job.envelope.ret, text_of(rows[i].ret));
        record_notices(&stage.runner, &stage.job, stage.outcomes);
        struct text list = buffer_text(&stage.job.notices);
        assert_int_equal(memmem(list.data, list.length, "The body.", 9) != NULL, rows[i].whole);
        assert_non_null(memmem(list.data, list.length, "\r\n\r\nReceived: r\r\nSubject: s\r\n", 29));
        end_stage(&stage);
    }
}

/* A hundred long recipients of every kind, long replies, the postmaster's copy: all of it goes into one message. */
static void whatever_is_to_be_told_fits(void **state) {
    static char reply[500];
    struct stage stage;
    (void)state;
    memset(long_target, 'a', sizeof long_target - 1);
    memset(reply, 'r', sizeof reply - 1);
    memcpy(reply, "451 4.1.1 ", 10);
    set_stage(&stage, RECIPIENTS);
    stage.config.notice_postmaster = true;
    for (size_t i = 0; i < RECIPIENTS; i++) {
        stage.parcels[i].target = long_target;
        stage.parcels[i].received_at -= 100;
        stage.outcomes[i].said = text_of(reply);
        envelope_set(&stage.job.envelope.recipients[i].target, text_of(long_target));
        set_notify(&stage, i, "SUCCESS,FAILURE,DELAY");
        set_kind(&stage, i,
                 i % 4 == 0   ? RESULT_FAILED
                 : i % 4 == 1 ? RESULT_DEFERRED
                              : RESULT_DELIVERED,
                 i % 4 == 2 ? ONWARD_FINAL : ONWARD_BLIND);
    }
    record_notices(&stage.runner, &stage.job, stage.outcomes);
    assert_string_equal(made(&stage, NULL),
                        "failed*25>me@example.test delayed*25>me@example.test delivered*25>me@example.test "
                        "relayed*25>me@example.test failed*20>postmaster@example.test");
    assert_true(stage.job.notices.length <= NOTICES_MAXIMUM);
    end_stage(&stage);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(outcomes_of_one_kind_share_a_notice),
        cmocka_unit_test(repeating_a_step_makes_the_same_ids_and_kinds_have_different_ones),
        cmocka_unit_test(nobody_is_told_what_he_did_not_ask_or_cannot_be),
        cmocka_unit_test(a_notice_goes_where_the_receiver_found_its_sender),
        cmocka_unit_test(a_notice_goes_where_the_receiver_found_its_owner_and_the_postmaster),
        cmocka_unit_test(a_sender_with_blanks_in_his_name_is_told),
        cmocka_unit_test(there_is_no_notice_to_nobody),
        cmocka_unit_test(a_result_is_sent_whatever_its_destination_is_called),
        cmocka_unit_test(a_mail_that_cannot_be_read_still_tells_of_its_failure),
        cmocka_unit_test(the_whole_message_comes_back_when_it_is_asked_and_small),
        cmocka_unit_test(whatever_is_to_be_told_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
