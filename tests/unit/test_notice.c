/* SPDX-License-Identifier: MIT
 * Notices about failed recipients: form, envelope, bounds. */
#include "mail/header.h"
#include "runner/notice.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))
#define MAXIMUM (64u * 1024)

static const struct notice_failure two[] = {
    {"coco@far.test", "coco@far.test", "rfc822;coco@far.test", "550 5.1.1 no such user"},
    {"mike@far.test", "mike@far.test", "", "554 4.4.7 delivery time expired; last: 451 later"},
};

static struct notice sample(void) {
    return (struct notice){
        .server_name = "mail.example.test",
        .server_title = "Example",
        .postmaster = "postmaster@example.test",
        .id = "1AbCdE-FgHiJk-Lm",
        .mail_id = "1AbCdE-000000-00",
        .sender = "me@example.test",
        .envid = "QQ314159",
        .message_id = "<1@example.test>",
        .host = "mx.far.test",
        .delivery = DELIVERY_LOCAL,
        .arrived_at = 1000000000,
        .now = 1000000600,
        .original = TEXT("Received: by us\r\nSubject: hello\r\n there\r\n"),
        .failures = two,
        .count = COUNT_OF(two),
    };
}

static bool holds(const struct buffer *cargo, size_t length, const char *words) {
    return memmem(cargo->data, length, words, strlen(words)) != NULL;
}

static void a_notice_is_a_multipart_report(void **state) {
    static const char *const expected[] = {
        "From: Mail Delivery System <MAILER-DAEMON@mail.example.test>\r\nTo: <me@example.test>\r\n",
        "Date: Sun, 09 Sep 2001 01:56:40 +0000\r\n",
        "Message-ID: <1AbCdE-FgHiJk-Lm@mail.example.test>\r\n",
        "In-Reply-To: <1@example.test>\r\n",
        "Auto-Submitted: auto-replied\r\n",
        "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"=_1AbCdE-FgHiJk-Lm\"\r\n",
        "\r\n--=_1AbCdE-FgHiJk-Lm\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n",
        "\r\n<coco@far.test>\r\n    550 5.1.1 no such user\r\n",
        "\r\n--=_1AbCdE-FgHiJk-Lm\r\nContent-Type: message/delivery-status\r\n\r\nOriginal-Envelope-Id: QQ314159\r\n"
        "Reporting-MTA: dns; mail.example.test\r\n",
        "Arrival-Date: Sun, 09 Sep 2001 01:46:40 +0000\r\n\r\nOriginal-Recipient: rfc822;coco@far.test\r\n"
        "Final-Recipient: rfc822; coco@far.test\r\nAction: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.far.test\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n",
        "\r\n\r\nFinal-Recipient: rfc822; mike@far.test\r\nAction: failed\r\nStatus: 4.4.7\r\n",
        "Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: 7bit\r\n\r\nReceived: by us\r\nSubject: "
        "hello\r\n there\r\n\r\n--=_1AbCdE-FgHiJk-Lm--\r\n",
    };
    struct notice notice = sample();
    struct notice_lengths lengths;
    struct buffer cargo;
    (void)state;
    buffer_init(&cargo, MAXIMUM);
    assert_true(notice_build(&notice, &cargo, &lengths));
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        print_message("%.60s\n", expected[i]);
        assert_true(holds(&cargo, lengths.message, expected[i]));
    }
    for (size_t i = 0; i < lengths.message; i++) {
        assert_true(cargo.data[i] != '\n' || (i > 0 && cargo.data[i - 1] == '\r'));
    }
    assert_memory_equal(cargo.data + lengths.message, "Received: by mail.example.test", 30);
    buffer_free(&cargo);
}

static void its_envelope_can_never_cause_another(void **state) {
    struct notice notice = sample();
    struct notice_lengths lengths;
    struct envelope envelope;
    struct buffer cargo;
    (void)state;
    buffer_init(&cargo, MAXIMUM);
    assert_true(notice_build(&notice, &cargo, &lengths));
    size_t start = lengths.message + lengths.headers;
    assert_int_equal(start + lengths.envelope, cargo.length);
    assert_true(envelope_parse(text_from(buffer_text(&cargo), start), &envelope));
    assert_string_equal(envelope.mail_id, notice.id);
    assert_string_equal(envelope.from_url, "");
    assert_string_equal(envelope.role, "notice");
    assert_int_equal(envelope.auto_generated, 1);
    assert_int_equal(envelope.recipient_count, 1);
    assert_string_equal(envelope.recipients[0].target, "me@example.test");
    assert_int_equal(envelope.recipients[0].delivery, DELIVERY_LOCAL);
    envelope_free(&envelope);
    buffer_free(&cargo);
}

static void eight_bit_headers_are_said_to_be_so(void **state) {
    struct notice notice = sample();
    struct notice_lengths lengths;
    struct envelope envelope;
    struct buffer cargo;
    (void)state;
    notice.original = TEXT("Subject: \xc3\xa4\r\n");
    buffer_init(&cargo, MAXIMUM);
    assert_true(notice_build(&notice, &cargo, &lengths));
    assert_true(holds(&cargo, lengths.message, "Content-Transfer-Encoding: 8bit\r\n\r\nSubject: \xc3\xa4\r\n"));
    assert_true(envelope_parse(text_from(buffer_text(&cargo), lengths.message + lengths.headers), &envelope));
    assert_int_equal(envelope.body, BODY_8BITMIME);
    envelope_free(&envelope);
    buffer_free(&cargo);
}

/* The worst that comes in: a hundred long recipients with long replies, and a header section without end. */
static void a_notice_always_fits_into_one_message(void **state) {
    static struct notice_failure failures[100];
    static char address[300], reply[500], headers[200 * 1024];
    struct notice notice = sample();
    struct notice_lengths lengths;
    struct buffer cargo;
    (void)state;
    memset(address, 'a', sizeof address - 1);
    memset(reply, 'r', sizeof reply - 1);
    memcpy(reply, "550 5.1.1 ", 10);
    for (size_t at = 0; at + 100 < sizeof headers; at += 100) {
        memset(headers + at, 'h', 100);
        memcpy(headers + at, "X-Y: ", 5);
        memcpy(headers + at + 98, "\r\n", 2);
    }
    for (size_t i = 0; i < COUNT_OF(failures); i++) {
        failures[i] = (struct notice_failure){address, address, "", reply};
    }
    notice.original = text_of(headers);
    notice.failures = failures;
    notice.count = COUNT_OF(failures);
    buffer_init(&cargo, MAXIMUM);
    assert_true(notice_build(&notice, &cargo, &lengths));
    size_t told = 0;
    struct text rest = text_first(buffer_text(&cargo), lengths.message);
    for (const char *at; (at = memmem(rest.data, rest.length, "Action: failed", 14)) != NULL; told++) {
        rest = text_from(rest, (size_t)(at - rest.data) + 14);
    }
    assert_int_equal(told, 100);
    buffer_free(&cargo);
}

static void headers_are_quoted_up_to_their_limit_in_whole_fields(void **state) {
    static char headers[100 * 1024];
    struct notice notice = sample();
    struct notice_lengths lengths;
    struct buffer cargo;
    (void)state;
    for (size_t at = 0; at + 1000 < sizeof headers; at += 1000) {
        memset(headers + at, 'h', 1000);
        memcpy(headers + at, "X-Y: ", 5);
        memcpy(headers + at + 998, "\r\n", 2);
    }
    notice.original = text_of(headers);
    buffer_init(&cargo, MAXIMUM);
    assert_true(notice_build(&notice, &cargo, &lengths));
    const char *start = memmem(cargo.data, lengths.message, "X-Y: ", 5);
    const char *end = memmem(cargo.data, lengths.message, "\r\n\r\n--=_1AbCdE-FgHiJk-Lm--", 26);
    assert_non_null(start);
    assert_non_null(end);
    assert_int_equal(end + 2 - start, NOTICE_HEADERS_MAXIMUM / 1000 * 1000);
    buffer_free(&cargo);
}

static void nothing_from_outside_can_end_a_line(void **state) {
    static const struct notice_failure nasty[] = {{"a\r\nX: y@far.test", "a\r\nX: y", "r\r\nX: y", "550 a\r\nX: y"}};
    struct notice notice = sample();
    struct notice_lengths lengths;
    struct buffer cargo;
    (void)state;
    notice.failures = nasty;
    notice.count = 1;
    notice.host = "h\r\nX: y";
    notice.envid = "e\r\nX: y";
    notice.message_id = "<1@e>\r\nX: y";
    buffer_init(&cargo, MAXIMUM);
    assert_true(notice_build(&notice, &cargo, &lengths));
    assert_false(holds(&cargo, lengths.message, "\nX: y"));
    buffer_free(&cargo);
}

static void notices_are_made_only_when_asked_for(void **state) {
    static const struct {
        const char *notify;
        bool wanted;
    } rows[] = {{"", true},       {"FAILURE", true},        {"failure", true}, {"DELAY,FAILURE", true},
                {"NEVER", false}, {"SUCCESS,DELAY", false}, {"never", false}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        print_message("NOTIFY=%s\n", rows[i].notify);
        assert_int_equal(notice_is_wanted(rows[i].notify), rows[i].wanted);
    }
}

static void the_status_comes_from_the_reply(void **state) {
    static const struct {
        const char *reply, *status;
    } rows[] = {{"550 5.1.1 no", "5.1.1"},
                {"550 no", "5.0.0"},
                {"451 4.4.1 no", "4.4.1"},
                {"451 no", "4.0.0"},
                {"554 4.4.7 expired", "4.4.7"},
                {"550", "5.0.0"},
                {"", "5.0.0"},
                {"nonsense", "5.0.0"},
                {"550 2.0.0 what", "5.0.0"}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char status[12];
        print_message("\"%s\"\n", rows[i].reply);
        notice_status(rows[i].reply, status);
        assert_string_equal(status, rows[i].status);
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_notice_is_a_multipart_report),
        cmocka_unit_test(its_envelope_can_never_cause_another),
        cmocka_unit_test(eight_bit_headers_are_said_to_be_so),
        cmocka_unit_test(a_notice_always_fits_into_one_message),
        cmocka_unit_test(headers_are_quoted_up_to_their_limit_in_whole_fields),
        cmocka_unit_test(nothing_from_outside_can_end_a_line),
        cmocka_unit_test(notices_are_made_only_when_asked_for),
        cmocka_unit_test(the_status_comes_from_the_reply),
    };
    setenv("TZ", "UTC", 1);
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
