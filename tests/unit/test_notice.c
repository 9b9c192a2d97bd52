/* SPDX-License-Identifier: MIT
 * Notices: their form and words for each kind, their envelope, their bounds. */
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
#define TEXT_OF(literal)                                                                                               \
    { (literal), sizeof(literal) - 1 }

static const struct notice_recipient two[] = {
    {"coco@far.test", "coco@far.test", "rfc822;co+2Bco@far.test", TEXT_OF("550 5.1.1 no such user"), true, false},
    {"mike@far.test", "mike@far.test", "", TEXT_OF("451 4.4.1 cannot connect"), false, true},
};

static struct notice sample(void) {
    return (struct notice){
        .kind = NOTICE_FAILED,
        .server_name = "mail.example.test",
        .server_title = "Example",
        .postmaster = "postmaster@example.test",
        .id = "1AbCdE-FgHiJk-Lm",
        .mail_id = "1AbCdE-000000-00",
        .addressee = "me@example.test",
        .targets = TEXT("local:me@example.test"),
        .envid = "QQ+20314159",
        .message_id = "<1@example.test>",
        .host = "mx.far.test",
        .arrived_at = 1000000000,
        .tried_since = 1000000000,
        .attempted_at = 1000000300,
        .expires_at = 1000432000,
        .now = 1000000600,
        .original = TEXT("Received: by us\r\nSubject: hello\r\n there\r\n"),
        .recipients = two,
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
        "\r\n--=_1AbCdE-FgHiJk-Lm\r\nContent-Description: Notification\r\nContent-Type: text/plain; "
        "charset=us-ascii\r\n\r\n",
        "\r\n<coco@far.test>\r\n    There is no such user at this address.\r\n    Its server said: 550 5.1.1 no such "
        "user\r\n",
        "\r\n<mike@far.test>\r\n    It was tried for 10 minutes, without success.\r\n    The recipient's mail server "
        "could not be reached.\r\n    (451 4.4.1 cannot connect)\r\n",
        "\r\n--=_1AbCdE-FgHiJk-Lm\r\nContent-Description: Delivery report\r\nContent-Type: "
        "message/delivery-status\r\n\r\nOriginal-Envelope-Id: QQ 314159\r\nReporting-MTA: dns; mail.example.test\r\n",
        "Arrival-Date: Sun, 09 Sep 2001 01:46:40 +0000\r\n\r\nOriginal-Recipient: rfc822; co+co@far.test\r\n"
        "Final-Recipient: rfc822; coco@far.test\r\nAction: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.far.test\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\nLast-Attempt-Date: Sun, 09 Sep 2001 01:51:40 +0000\r\n",
        "\r\n\r\nFinal-Recipient: rfc822; mike@far.test\r\nAction: failed\r\nStatus: 4.4.7\r\n"
        "Diagnostic-Code: X-Parcelpost; 451 4.4.1 cannot connect\r\nLast-Attempt-Date: ",
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

static const struct notice_recipient abroad[] = {
    {"j\xc3\xbcrgen@far.test", "j\xc3\xbcrgen@far.test", "utf-8;j\\x{FC}rgen@far.test", TEXT_OF("550 5.6.7 no"), true,
     false},
};

/* RFC 6533: what is not ASCII stands in words and, with a type of its own, in the machine's part; in ASCII for an
 * addressee whose servers may know no SMTPUTF8, else as it is. */
static void addresses_beyond_ascii_are_told_as_the_addressee_can_read_them(void **state) {
    static const struct {
        const char *addressee;
        const char *expected[5];
        uint32_t utf8;
    } rows[] = {
        {"me@example.test",
         {"report-type=delivery-status;", "Content-Type: text/plain; charset=utf-8\r\n",
          "\r\n<j\xc3\xbcrgen@far.test>\r\n", "message/delivery-status\r\n",
          "\r\nOriginal-Recipient: utf-8; j\\x{FC}rgen@far.test\r\nFinal-Recipient: utf-8; "
          "j\\x{FC}rgen@far.test\r\n"},
         0},
        {"zo\xc3\xab@example.test",
         {"report-type=global-delivery-status;", "To: <zo\xc3\xab@example.test>\r\n",
          "Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n",
          "Final-Recipient: utf-8; j\xc3\xbcrgen@far.test\r\n", "Content-Type: message/global-headers\r\n"},
         1},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct notice notice = sample();
        struct notice_lengths lengths;
        struct envelope envelope;
        struct buffer cargo;
        notice.addressee = rows[i].addressee;
        notice.targets = TEXT("local:me@example.test");
        notice.recipients = abroad;
        notice.count = 1;
        notice.original = TEXT("Subject: Gr\xc3\xbc\xc3\x9f"
                               "e\r\n");
        buffer_init(&cargo, MAXIMUM);
        assert_true(notice_build(&notice, &cargo, &lengths));
        for (size_t k = 0; k < COUNT_OF(rows[i].expected); k++) {
            print_message("%s: %.60s\n", rows[i].addressee, rows[i].expected[k]);
            assert_true(holds(&cargo, lengths.message, rows[i].expected[k]));
        }
        assert_true(envelope_parse(text_from(buffer_text(&cargo), lengths.message + lengths.headers), &envelope));
        assert_int_equal(envelope.utf8, rows[i].utf8);
        assert_int_equal(envelope.body, BODY_8BITMIME);
        envelope_free(&envelope);
        buffer_free(&cargo);
    }
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
    assert_string_equal(envelope.recipients[0].notify, "NEVER");
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
    static struct notice_recipient recipients[100];
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
    for (size_t i = 0; i < COUNT_OF(recipients); i++) {
        recipients[i] = (struct notice_recipient){address, address, "", text_of(reply), true, true};
    }
    notice.original = text_of(headers);
    notice.recipients = recipients;
    notice.count = COUNT_OF(recipients);
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
    static const struct notice_recipient nasty[] = {
        {"a\r\nX: y@far.test", "a\r\nX: y", "r\r\nX: y", TEXT_OF("550 a\r\nX: y"), true, false}};
    struct notice notice = sample();
    struct notice_lengths lengths;
    struct buffer cargo;
    (void)state;
    notice.recipients = nasty;
    notice.count = 1;
    notice.host = "h\r\nX: y";
    notice.envid = "e\r\nX: y";
    notice.message_id = "<1@e>\r\nX: y";
    buffer_init(&cargo, MAXIMUM);
    assert_true(notice_build(&notice, &cargo, &lengths));
    assert_false(holds(&cargo, lengths.message, "\nX: y"));
    buffer_free(&cargo);
}

static void the_status_comes_from_the_reply_in_the_class_of_its_kind(void **state) {
    static const struct {
        const char *reply, *failed, *delayed, *delivered;
    } rows[] = {
        {"550 5.1.1 no", "5.1.1", "4.0.0", "2.0.0"},
        {"550 no", "5.0.0", "4.0.0", "2.0.0"},
        {"451 4.4.1 no", "4.4.1", "4.4.1", "2.0.0"},
        {"451 no", "4.0.0", "4.0.0", "2.0.0"},
        {"250 2.1.5 yes", "5.0.0", "4.0.0", "2.1.5"},
        {"550", "5.0.0", "4.0.0", "2.0.0"},
        {"", "5.0.0", "4.0.0", "2.0.0"},
        {"nonsense", "5.0.0", "4.0.0", "2.0.0"},
        {"550 2.0.0 what", "5.0.0", "4.0.0", "2.0.0"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct notice_recipient recipient = {.reply = text_of(rows[i].reply)};
        char status[12];
        print_message("\"%s\"\n", rows[i].reply);
        notice_status(NOTICE_FAILED, &recipient, status);
        assert_string_equal(status, rows[i].failed);
        notice_status(NOTICE_DELAYED, &recipient, status);
        assert_string_equal(status, rows[i].delayed);
        notice_status(NOTICE_RELAYED, &recipient, status);
        assert_string_equal(status, rows[i].delivered);
        recipient.expired = true;
        notice_status(NOTICE_FAILED, &recipient, status);
        assert_string_equal(status, "4.4.7");
    }
}

static void frequent_causes_have_a_plain_sentence(void **state) {
    static const struct {
        const char *status, *words;
    } rows[] = {
        {"5.1.1", "no such user"},
        {"5.1.2", "domain of this address does not exist"},
        {"5.1.10", "no mail at all"},
        {"5.2.2", "mailbox is full"},
        {"4.2.2", "mailbox is full"},
        {"5.3.4", "too large"},
        {"5.2.3", "too large"},
        {"4.4.1", "could not be reached"},
        {"5.4.6", "in circles"},
        {"5.7.1", "refuses this message"},
        {"5.7.26", "refuses this message"},
        {"4.7.4", "secured connection"},
        {"5.6.3", "messages of this kind"},
        {"5.6.7", "beyond ASCII"},
        {"5.6.0", "cannot handle"},
        {"5.7.30", "TLS all the way"},
        {"5.1.99", "wrong with this address"},
        {"5.0.0", ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        print_message("%s\n", rows[i].status);
        assert_non_null(strstr(notice_sentence(rows[i].status), rows[i].words));
        assert_int_equal(notice_sentence(rows[i].status)[0] == '\0', rows[i].words[0] == '\0');
    }
}

static void each_kind_says_what_became_of_the_message(void **state) {
    static const struct {
        enum notice_kind kind;
        const char *subject, *words, *status, *never;
    } rows[] = {
        {NOTICE_DELAYED, "Subject: Delayed Mail (delivery is still being tried)\r\n",
         "    It has been tried for 10 minutes so far.\r\n    The mailbox is full.\r\n    Its server said: 452 4.2.2 "
         "full",
         "Action: delayed\r\nStatus: 4.2.2\r\nRemote-MTA: dns; mx.far.test\r\nDiagnostic-Code: smtp; 452 4.2.2 full\r\n"
         "Last-Attempt-Date: Sun, 09 Sep 2001 01:51:40 +0000\r\nWill-Retry-Until: Fri, 14 Sep 2001 01:46:40 +0000\r\n",
         "not be tried again"},
        {NOTICE_DELIVERED, "Subject: Mail Delivery Report: delivered\r\n", "was delivered to the recipients",
         "Action: delivered\r\nStatus: 2.0.0\r\n", "Will-Retry-Until"},
        {NOTICE_RELAYED, "Subject: Mail Delivery Report: handed on\r\n", "These do not confirm deliveries",
         "Action: relayed\r\nStatus: 2.0.0\r\nRemote-MTA: dns; mx.far.test\r\n", "mailbox is full"},
        {NOTICE_EXPANDED, "Subject: Mail Delivery Report: passed on\r\n", "passed on to those that they stand for",
         "Final-Recipient: rfc822; all@example.test\r\nAction: expanded\r\nStatus: 2.0.0\r\n", "inner@"},
    };
    static const struct notice_recipient one[] = {
        {"coco@far.test", "coco@far.test", "", TEXT_OF("452 4.2.2 full"), true, false}};
    static const struct notice_recipient alias[] = {
        {"all@example.test", "inner@far.test", "", TEXT_OF(""), false, false}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct notice notice = sample();
        struct notice_lengths lengths;
        struct buffer cargo;
        print_message("%s", rows[i].subject);
        notice.kind = rows[i].kind;
        notice.recipients = rows[i].kind == NOTICE_EXPANDED ? alias : one;
        notice.count = 1;
        buffer_init(&cargo, MAXIMUM);
        assert_true(notice_build(&notice, &cargo, &lengths));
        assert_true(holds(&cargo, lengths.message, rows[i].subject));
        assert_true(holds(&cargo, lengths.message, rows[i].words));
        assert_true(holds(&cargo, lengths.message, rows[i].status));
        assert_false(holds(&cargo, lengths.message, rows[i].never));
        buffer_free(&cargo);
    }
}

static void a_whole_message_is_returned_as_one(void **state) {
    struct notice notice = sample();
    struct notice_lengths lengths;
    struct buffer cargo;
    (void)state;
    notice.original = TEXT("Subject: hello\r\n\r\nThe body.\r\n");
    notice.whole = true;
    buffer_init(&cargo, MAXIMUM);
    assert_true(notice_build(&notice, &cargo, &lengths));
    assert_true(
        holds(&cargo, lengths.message,
              "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: hello\r\n\r\nThe "
              "body.\r\n\r\n--=_1AbCdE-FgHiJk-Lm--\r\n"));
    assert_true(holds(&cargo, lengths.message, "the last one holds your message"));
    buffer_free(&cargo);
}

static void it_goes_to_all_that_its_addressee_stands_for(void **state) {
    struct notice notice = sample();
    struct notice_lengths lengths;
    struct envelope envelope;
    struct buffer cargo;
    (void)state;
    notice.targets = TEXT("local:coco@example.test remote:me@far.test");
    buffer_init(&cargo, MAXIMUM);
    assert_true(notice_build(&notice, &cargo, &lengths));
    assert_true(envelope_parse(text_from(buffer_text(&cargo), lengths.message + lengths.headers), &envelope));
    assert_int_equal(envelope.recipient_count, 2);
    assert_string_equal(envelope.recipients[0].target, "coco@example.test");
    assert_int_equal(envelope.recipients[0].delivery, DELIVERY_LOCAL);
    assert_string_equal(envelope.recipients[1].target, "me@far.test");
    assert_int_equal(envelope.recipients[1].delivery, DELIVERY_REMOTE);
    assert_string_equal(envelope.recipients[1].to_url, "me@example.test");
    envelope_free(&envelope);
    buffer_free(&cargo);
}

static void the_postmasters_copy_goes_to_the_postmaster(void **state) {
    struct notice notice = sample();
    struct notice_lengths lengths;
    struct envelope envelope;
    struct buffer cargo;
    (void)state;
    notice.copy = true;
    notice.targets = TEXT("local:postmaster@example.test");
    buffer_init(&cargo, MAXIMUM);
    assert_true(notice_build(&notice, &cargo, &lengths));
    assert_true(holds(&cargo, lengths.message, "To: <postmaster@example.test>\r\nSubject: Postmaster Copy: "));
    assert_true(holds(&cargo, lengths.message, "A copy of what <me@example.test> is told"));
    assert_true(envelope_parse(text_from(buffer_text(&cargo), lengths.message + lengths.headers), &envelope));
    assert_int_equal(envelope.recipient_count, 1);
    assert_string_equal(envelope.recipients[0].target, "postmaster@example.test");
    envelope_free(&envelope);
    buffer_free(&cargo);
}

static void the_remote_server_is_named_as_rfc_3464_wants(void **state) {
    static const struct {
        const char *host, *field; /* NULL: none */
    } rows[] = {{"mx.far.test", "Remote-MTA: dns; mx.far.test\r\n"},
                {"mx.far.test:2525", "Remote-MTA: dns; mx.far.test\r\n"},
                {"127.0.0.1:24", "Remote-MTA: dns; [127.0.0.1]\r\n"},
                {"192.0.2.7", "Remote-MTA: dns; [192.0.2.7]\r\n"},
                {"[2001:db8::1]:25", "Remote-MTA: dns; [IPv6:2001:db8::1]\r\n"},
                {"/run/lmtp", NULL},
                {"", NULL}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct notice notice = sample();
        struct notice_lengths lengths;
        struct buffer cargo;
        print_message("%s\n", rows[i].host);
        notice.host = rows[i].host;
        buffer_init(&cargo, MAXIMUM);
        assert_true(notice_build(&notice, &cargo, &lengths));
        assert_true(holds(&cargo, lengths.message, rows[i].field != NULL ? rows[i].field : "Status: 5.1.1\r\nDiag"));
        buffer_free(&cargo);
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_notice_is_a_multipart_report),
        cmocka_unit_test(addresses_beyond_ascii_are_told_as_the_addressee_can_read_them),
        cmocka_unit_test(its_envelope_can_never_cause_another),
        cmocka_unit_test(eight_bit_headers_are_said_to_be_so),
        cmocka_unit_test(a_notice_always_fits_into_one_message),
        cmocka_unit_test(headers_are_quoted_up_to_their_limit_in_whole_fields),
        cmocka_unit_test(nothing_from_outside_can_end_a_line),
        cmocka_unit_test(the_status_comes_from_the_reply_in_the_class_of_its_kind),
        cmocka_unit_test(frequent_causes_have_a_plain_sentence),
        cmocka_unit_test(each_kind_says_what_became_of_the_message),
        cmocka_unit_test(a_whole_message_is_returned_as_one),
        cmocka_unit_test(it_goes_to_all_that_its_addressee_stands_for),
        cmocka_unit_test(the_postmasters_copy_goes_to_the_postmaster),
        cmocka_unit_test(the_remote_server_is_named_as_rfc_3464_wants),
    };
    setenv("TZ", "UTC", 1);
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
