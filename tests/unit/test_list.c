/* SPDX-License-Identifier: MIT
 * Lists inside messages: items come back in order, malformed bytes end the list and are told. */
#include "ipc/list.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void items_come_back_in_their_order(void **state) {
    struct result_item sent[2] = {{3, RESULT_DEFERRED, 1234567890123, ONWARD_FINAL, 1, 1, TEXT("450 4.2.1 later")},
                                  {UINT32_MAX, RESULT_DELIVERED, -1, ONWARD_BLIND, 0, 0, TEXT_NONE}};
    struct result_item got;
    struct buffer list;
    bool bad = false;

    (void)state;
    buffer_init(&list, 4096);
    for (int i = 0; i < 2; i++)
        assert_true(list_add_result(&list, &sent[i]));
    struct text rest = buffer_text(&list);
    for (int i = 0; i < 2; i++) {
        assert_true(list_next_result(&rest, &got, &bad));
        assert_int_equal(got.recipient, sent[i].recipient);
        assert_int_equal(got.kind, sent[i].kind);
        assert_int_equal(got.retry_at, sent[i].retry_at);
        assert_int_equal(got.onward, sent[i].onward);
        assert_int_equal(got.delay_told, sent[i].delay_told);
        assert_int_equal(got.from_server, sent[i].from_server);
        assert_true(text_equal(got.reply, sent[i].reply));
    }
    assert_false(list_next_result(&rest, &got, &bad));
    assert_false(bad);
    buffer_free(&list);
}

static void every_kind_of_item_comes_back(void **state) {
    struct parcel_item parcel = {7, 2, 99, 1000, 3, TEXT("a@b.example"), TEXT("b.example"), TEXT("s@x")}, parcel_got;
    struct dns_record record = {10, TEXT("mx.example")}, record_got;
    struct job_recipient job = {1, TEXT("t@x"), TEXT("u@x"), TEXT("NEVER"), TEXT("rfc822;u@x")}, job_got;
    struct notice_item notice = {1, 2, 3, TEXT("cargo")}, notice_got;
    struct address_target target = {2, TEXT("t@x"), TEXT("owner@x")}, target_got;
    struct action_item action = {1, TEXT("sql:noop:1"), TEXT("250")}, action_got;
    struct buffer list;
    bool bad = false;

    (void)state;
    buffer_init(&list, 4096);
    assert_true(list_add_parcel(&list, &parcel));
    struct text rest = buffer_text(&list);
    assert_true(list_next_parcel(&rest, &parcel_got, &bad));
    assert_int_equal(parcel_got.parcel_id, 99);
    assert_int_equal(parcel_got.attempts, 3);
    assert_true(text_equal(parcel_got.domain, parcel.domain) && text_equal(parcel_got.sender, parcel.sender));
    buffer_clear(&list);
    assert_true(list_add_record(&list, &record));
    rest = buffer_text(&list);
    assert_true(list_next_record(&rest, &record_got, &bad));
    assert_int_equal(record_got.preference, 10);
    assert_true(text_equal(record_got.value, record.value));
    buffer_clear(&list);
    assert_true(list_add_job_recipient(&list, &job));
    rest = buffer_text(&list);
    assert_true(list_next_job_recipient(&rest, &job_got, &bad));
    assert_true(text_equal(job_got.target, job.target) && text_equal(job_got.to_url, job.to_url));
    assert_true(text_equal(job_got.notify, job.notify) && text_equal(job_got.orcpt, job.orcpt));
    buffer_clear(&list);
    assert_true(list_add_notice(&list, &notice));
    rest = buffer_text(&list);
    assert_true(list_next_notice(&rest, &notice_got, &bad));
    assert_int_equal(notice_got.message_length + 10 * notice_got.headers_length + 100 * notice_got.envelope_length,
                     321);
    assert_true(text_equal(notice_got.cargo, notice.cargo));
    buffer_clear(&list);
    assert_true(list_add_target(&list, &target));
    rest = buffer_text(&list);
    assert_true(list_next_target(&rest, &target_got, &bad));
    assert_int_equal(target_got.delivery, 2);
    assert_true(text_equal(target_got.target, target.target) && text_equal(target_got.sender, target.sender));
    buffer_clear(&list);
    assert_true(list_add_action(&list, &action));
    rest = buffer_text(&list);
    assert_true(list_next_action(&rest, &action_got, &bad));
    assert_int_equal(action_got.action, 1);
    assert_true(text_equal(action_got.rule, action.rule) && text_equal(action_got.value, action.value));
    assert_false(bad);
    buffer_free(&list);
}

static void an_item_that_does_not_fit_adds_nothing(void **state) {
    struct dns_record record = {10, TEXT("0123456789")};
    struct buffer list;

    (void)state;
    buffer_init(&list, 30);
    assert_true(list_add_record(&list, &record)); /* 18 bytes */
    assert_false(list_add_record(&list, &record));
    assert_int_equal(list.length, 18);
    buffer_free(&list);
}

static void what_passes_its_bounds_is_not_added(void **state) {
    static char large[100000];
    struct dns_record preference = {65536, TEXT("x")}, value = {1, {large, sizeof large}};
    struct result_item kind = {.recipient = 1, .kind = RESULT_FAILED + 1, .reply = TEXT_NONE};
    struct buffer list;

    (void)state;
    buffer_init(&list, 1 << 20);
    assert_false(list_add_record(&list, &preference));
    assert_false(list_add_record(&list, &value));
    assert_false(list_add_result(&list, &kind));
    assert_int_equal(list.length, 0);
    buffer_free(&list);
}

/* Every beginning of a good list but those at an item's end is malformed. */
static void a_cut_list_is_malformed(void **state) {
    struct dns_record record = {10, TEXT("mx.example")}, got;
    struct buffer list;

    (void)state;
    buffer_init(&list, 4096);
    assert_true(list_add_record(&list, &record));
    for (size_t length = 1; length < list.length; length++) {
        struct text rest = text_first(buffer_text(&list), length);
        bool bad = false;
        assert_false(list_next_record(&rest, &got, &bad));
        assert_true(bad);
        assert_int_equal(rest.length, 0);
    }
    buffer_free(&list);
}

static void a_length_past_the_end_is_malformed(void **state) {
    struct text rest = TEXT("\x0a\0\0\0\xff\xff\xff\xff"
                            "abc");
    struct dns_record got;
    bool bad = false;

    (void)state;
    assert_false(list_next_record(&rest, &got, &bad));
    assert_true(bad);
}

static void a_word_that_no_enum_has_is_malformed(void **state) {
    struct text rest = TEXT("\x01\0\0\0\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    struct result_item got;
    bool bad = false;

    (void)state;
    assert_false(list_next_result(&rest, &got, &bad));
    assert_true(bad);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_back_in_their_order),
        cmocka_unit_test(every_kind_of_item_comes_back),
        cmocka_unit_test(an_item_that_does_not_fit_adds_nothing),
        cmocka_unit_test(what_passes_its_bounds_is_not_added),
        cmocka_unit_test(a_cut_list_is_malformed),
        cmocka_unit_test(a_length_past_the_end_is_malformed),
        cmocka_unit_test(a_word_that_no_enum_has_is_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
