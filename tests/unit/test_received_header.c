/* SPDX-License-Identifier: MIT
 * Unit test of receiver/received: the trace fields that a receiver adds. */
#include "mail/header.h"
#include "receiver/received.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct {
    const char *sentence;
    bool extended, tls, authenticated, utf8;
    const char *word;
    bool lmtp;
} protocol_rows[] = {
    {"HELO", false, false, false, false, "SMTP", false},
    {"EHLO", true, false, false, false, "ESMTP", false},
    {"EHLO within TLS", true, true, false, false, "ESMTPS", false},
    {"a login", true, false, true, false, "ESMTPA", false},
    {"a login within TLS", true, true, true, false, "ESMTPSA", false},
    {"SMTPUTF8", true, false, false, true, "UTF8SMTP", false},
    {"SMTPUTF8 with a login within TLS", true, true, true, true, "UTF8SMTPSA", false},
    {"LHLO", true, false, false, false, "LMTP", true},
    {"LHLO within TLS", true, true, false, false, "LMTPS", true},
    {"LHLO and a login", true, false, true, false, "LMTPA", true},
    {"LHLO within TLS with a login", true, true, true, false, "LMTPSA", true},
    {"LHLO and SMTPUTF8", true, false, false, true, "UTF8LMTP", true},
};

static void protocol_words(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof protocol_rows / sizeof protocol_rows[0]; i++) {
        const char *word = received_protocol(protocol_rows[i].lmtp, protocol_rows[i].extended, protocol_rows[i].tls,
                                             protocol_rows[i].authenticated, protocol_rows[i].utf8);
        if (strcmp(word, protocol_rows[i].word) != 0)
            fail_msg("%s: %s", protocol_rows[i].sentence, word);
    }
}

static const struct {
    const char *sentence, *ip, *name, *ehlo, *protocol, *tls;
    size_t recipients;
    int64_t uid;
    const char *field;
    bool alias;
} received_rows[] = {
    {"an alias that leads to two is one recipient", "192.0.2.1", "", "x.test", "ESMTP", "", 1, -1,
     "Received: from x.test ([192.0.2.1])\r\n"
     "\tby mail.example.test (Parcelpost) with ESMTP id ID\r\n"
     "\tfor <r0@example.test>;\r\n"
     "\tThu, 01 Jan 1970 00:00:00 +0000\r\n",
     true},
    {"a stranger whose name is confirmed", "192.0.2.1", "client.example.net", "client.example.net", "ESMTP", "", 1, -1,
     "Received: from client.example.net (client.example.net [192.0.2.1])\r\n"
     "\tby mail.example.test (Parcelpost) with ESMTP id ID\r\n"
     "\tfor <r0@example.test>;\r\n"
     "\tThu, 01 Jan 1970 00:00:00 +0000\r\n",
     false},
    {"no name, IPv6, TLS", "2001:db8::1", "", "x.test", "ESMTPS", "TLSv1.3 TLS_AES_256_GCM_SHA384", 1, -1,
     "Received: from x.test ([IPv6:2001:db8::1])\r\n"
     "\tby mail.example.test (Parcelpost) with ESMTPS id ID\r\n"
     "\t(TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"
     "\tfor <r0@example.test>;\r\n"
     "\tThu, 01 Jan 1970 00:00:00 +0000\r\n",
     false},
    {"two recipients: neither is named", "192.0.2.1", "", "x.test", "ESMTP", "", 2, -1,
     "Received: from x.test ([192.0.2.1])\r\n"
     "\tby mail.example.test (Parcelpost) with ESMTP id ID;\r\n"
     "\tThu, 01 Jan 1970 00:00:00 +0000\r\n",
     false},
    {"no EHLO domain", "192.0.2.1", "", "", "SMTP", "", 2, -1,
     "Received: from [192.0.2.1] ([192.0.2.1])\r\n"
     "\tby mail.example.test (Parcelpost) with SMTP id ID;\r\n"
     "\tThu, 01 Jan 1970 00:00:00 +0000\r\n",
     false},
    {"a local program", "unix", "", "localhost", "ESMTP", "", 2, 1000,
     "Received: from mail.example.test (uid 1000)\r\n"
     "\tby mail.example.test (Parcelpost) with ESMTP id ID;\r\n"
     "\tThu, 01 Jan 1970 00:00:00 +0000\r\n",
     false},
};

static void received_fields(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof received_rows / sizeof received_rows[0]; i++) {
        struct envelope envelope;
        struct buffer headers;
        envelope_init(&envelope);
        buffer_init(&headers, 4096);
        (void)text_copy(envelope.mail_id, sizeof envelope.mail_id, TEXT("ID"));
        envelope_set(&envelope.remote_ip, text_of(received_rows[i].ip));
        envelope_set(&envelope.remote_name, text_of(received_rows[i].name));
        envelope_set(&envelope.ehlo, text_of(received_rows[i].ehlo));
        envelope_set(&envelope.protocol, text_of(received_rows[i].protocol));
        envelope_set(&envelope.tls, text_of(received_rows[i].tls));
        for (size_t at = 0; at < received_rows[i].recipients; at++) {
            char address[] = "r0@example.test";
            address[1] = (char)('0' + at);
            (void)envelope_add(&envelope, text_of(address), text_of(address), DELIVERY_LOCAL);
            if (received_rows[i].alias) /* it leads to two */
                (void)envelope_add(&envelope, text_of(address), TEXT("other@example.test"), DELIVERY_LOCAL);
        }
        assert_true(received_format(&headers, &envelope, "mail.example.test", received_rows[i].uid));
        if (!text_equal(buffer_text(&headers), text_of(received_rows[i].field)))
            fail_msg("%s:\n%s", received_rows[i].sentence, buffer_string(&headers));
        buffer_free(&headers);
        envelope_free(&envelope);
    }
}

static const struct {
    const char *sentence, *section, *added;
} missing_rows[] = {
    {"both are there", "Date: x\r\nMessage-ID: <y>\r\n", ""},
    {"both are there, in other cases", "DATE: x\r\nmessage-id: <y>\r\n", ""},
    {"no Message-ID", "Date: x\r\n", "Message-ID: <ID@mail.example.test>\r\n"},
    {"no Date", "Message-ID: <y>\r\n", "Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n"},
    {"neither", "", "Date: Thu, 01 Jan 1970 00:00:00 +0000\r\nMessage-ID: <ID@mail.example.test>\r\n"},
};

static void missing_fields_of_submissions(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof missing_rows / sizeof missing_rows[0]; i++) {
        struct envelope envelope;
        struct buffer headers;
        envelope_init(&envelope);
        buffer_init(&headers, 4096);
        (void)text_copy(envelope.mail_id, sizeof envelope.mail_id, TEXT("ID"));
        assert_true(received_add_missing(&headers, text_of(missing_rows[i].section), &envelope, "mail.example.test"));
        if (!text_equal(buffer_text(&headers), text_of(missing_rows[i].added)))
            fail_msg("%s:\n%s", missing_rows[i].sentence, buffer_string(&headers));
        if (strstr(missing_rows[i].added, "Message-ID") != NULL)
            assert_string_equal(envelope.message_id, "<ID@mail.example.test>");
        buffer_free(&headers);
        envelope_free(&envelope);
    }
}

static void results_are_claimed_in_our_name(void **state) {
    struct buffer headers;
    struct header_field field;
    struct text section;

    (void)state;
    buffer_init(&headers, 4096);
    assert_true(received_results(&headers, "mail.example.test", TEXT("dkim=pass header.d=a.test; dkim=fail")));
    section = buffer_text(&headers);
    assert_true(text_equal(section, TEXT("Authentication-Results: mail.example.test;\r\n\tdkim=pass header.d=a.test;"
                                         "\r\n\tdkim=fail\r\n")));
    assert_true(header_next(&section, &field));
    assert_true(header_claims_our_results(&field, "mail.example.test"));
    buffer_free(&headers);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protocol_words),
        cmocka_unit_test(received_fields),
        cmocka_unit_test(missing_fields_of_submissions),
        cmocka_unit_test(results_are_claimed_in_our_name),
    };
    (void)setenv("TZ", "UTC", 1);
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
