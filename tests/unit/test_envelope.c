/* SPDX-License-Identifier: MIT
 * The envelope's text form: written, read back, and refused when it is damaged. */
#include "mail/envelope.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

static struct envelope envelope;
static struct buffer text;

static int begin(void **state) {
    (void)state;
    envelope_init(&envelope);
    snprintf(envelope.mail_id, sizeof envelope.mail_id, "1vMcGX-3kTz9Q-a7");
    envelope.received_at = 1795309323;
    envelope.contact_id = INT64_MAX;
    envelope.local_port = 587;
    envelope.auto_generated = 1;
    envelope.utf8 = 1;
    envelope.requiretls = 1;
    envelope.tls_optional = 1;
    envelope.hold_until = 1795400000;
    envelope.body = BODY_BINARYMIME;
    envelope_set(&envelope.remote_ip, TEXT("192.0.2.7"));
    envelope_set(&envelope.from_url, TEXT("j\xc3\xbcrgen@example.test"));
    envelope_set(&envelope.verdicts, TEXT("dkim=pass header.d=a.example; spf: none"));
    struct envelope_recipient *coco =
        envelope_add(&envelope, TEXT("coco@example.test"), TEXT("coco@example.test"), DELIVERY_LOCAL);
    envelope_set(&coco->notify, TEXT("SUCCESS,FAILURE"));
    envelope_set(&coco->orcpt, TEXT("rfc822;coco@example.test"));
    envelope_set(&coco->sender, TEXT("owner@lists.example"));
    envelope_add(&envelope, TEXT("postmaster"), TEXT("mike@example.net"), DELIVERY_REMOTE)->status =
        RECIPIENT_DELIVERED;
    envelope_add(&envelope, TEXT("c@d.example"), TEXT("c@d.example"), DELIVERY_NONE)->status = RECIPIENT_HELD;
    buffer_init(&text, 1u << 16);
    return 0;
}

static int end(void **state) {
    (void)state;
    envelope_free(&envelope);
    buffer_free(&text);
    return 0;
}

static void an_envelope_reads_back_as_it_was_written(void **state) {
    struct envelope back;
    (void)state;
    assert_true(buffer_append_string(&text, "before it"));
    assert_true(envelope_format(&envelope, &text));
    struct text form = text_from(buffer_text(&text), strlen("before it"));
    assert_true(envelope_parse(form, &back));
    assert_string_equal(back.mail_id, envelope.mail_id);
    assert_true(back.received_at == envelope.received_at);
    assert_true(back.contact_id == INT64_MAX);
    assert_int_equal(back.local_port, 587);
    assert_int_equal(back.auto_generated, 1);
    assert_int_equal(back.utf8, 1);
    assert_int_equal(back.requiretls, 1);
    assert_int_equal(back.tls_optional, 1);
    assert_true(back.hold_until == 1795400000);
    assert_int_equal(back.body, BODY_BINARYMIME);
    assert_string_equal(back.remote_ip, "192.0.2.7");
    assert_string_equal(back.from_url, "j\xc3\xbcrgen@example.test");
    assert_string_equal(back.verdicts, "dkim=pass header.d=a.example; spf: none");
    assert_string_equal(back.tls, "");
    assert_int_equal(back.recipient_count, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct envelope_recipient *was = &envelope.recipients[i], *is = &back.recipients[i];
        assert_int_equal(is->status, was->status);
        assert_int_equal(is->delivery, was->delivery);
        assert_string_equal(is->to_url, was->to_url);
        assert_string_equal(is->target, was->target);
        assert_string_equal(is->notify, was->notify);
        assert_string_equal(is->orcpt, was->orcpt);
        assert_string_equal(is->sender, was->sender);
        assert_int_equal(is->status_offset, was->status_offset);
        assert_int_equal(form.data[is->status_offset], (int)was->status);
        assert_int_equal(form.data[is->status_offset - 1], '\n');
    }
    envelope_free(&back);
}

static void every_string_has_its_own_key(void **state) {
    char **strings[] = {&envelope.remote_ip,    &envelope.remote_name, &envelope.local_ip,
                        &envelope.role,         &envelope.protocol,    &envelope.ehlo,
                        &envelope.from_url,     &envelope.account,     &envelope.tls,
                        &envelope.message_id,   &envelope.ret,         &envelope.envid,
                        &envelope.verdicts,     &envelope.solicit,     &envelope.future_release,
                        &envelope.reverse,      &envelope.listed_in,   &envelope.dnsbl_score,
                        &envelope.owner_targets};
    struct envelope back;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(strings); i++) {
        char value[16];
        snprintf(value, sizeof value, "value %zu", i);
        envelope_set(strings[i], text_of(value));
    }
    assert_true(envelope_format(&envelope, &text));
    assert_true(envelope_parse(buffer_text(&text), &back));
    for (size_t i = 0; i < COUNT_OF(strings); i++) {
        size_t place = (size_t)((char *)strings[i] - (char *)&envelope);
        char *value;
        memcpy(&value, (char *)&back + place, sizeof value);
        assert_string_equal(value, *strings[i]);
    }
    envelope_free(&back);
}

/* As a spool before these fields has it. */
static void an_envelope_without_the_newer_fields_is_read(void **state) {
    struct envelope back;
    (void)state;
    assert_true(envelope_parse(TEXT("envelope: 1\nmail_id: 1vMcGX-3kTz9Q-a7\nreceived_at: 2026-11-22 01:02:03\n"
                                    "contact_id: 17\nlocal_port: 25\nauto_generated: 0\nutf8: 0\nbody: 8BITMIME\n"
                                    "from_url: \nQ\tlocal\ta@b.test\ta@b.test\t\t\n"),
                               &back));
    assert_int_equal(back.body, BODY_8BITMIME);
    assert_int_equal(back.requiretls, 0);
    assert_int_equal(back.tls_optional, 0);
    assert_true(back.hold_until == 0);
    assert_true(envelope_begins_at(&back) == back.received_at);
    assert_string_equal(back.solicit, "");
    assert_string_equal(back.dnsbl_score, "");
    back.hold_until = back.received_at + 1;
    assert_true(envelope_begins_at(&back) == back.hold_until);
    envelope_free(&back);
}

static void a_status_can_be_overwritten_in_place(void **state) {
    struct envelope back;
    (void)state;
    assert_true(envelope_format(&envelope, &text));
    text.data[envelope.recipients[0].status_offset] = RECIPIENT_FAILED;
    assert_true(envelope_parse(buffer_text(&text), &back));
    assert_int_equal(back.recipients[0].status, RECIPIENT_FAILED);
    envelope_free(&back);
}

static void values_that_would_forge_lines_are_refused(void **state) {
    static const char *const values[] = {"a\nQ\tlocal\tx\tx\t\t", "a\tb", "a\rb"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        envelope_set(&envelope.ehlo, text_of(values[i]));
        assert_false(envelope_format(&envelope, &text));
        assert_int_equal(text.length, 0);
        envelope_set(&envelope.ehlo, TEXT_NONE);
        envelope_set(&envelope.recipients[1].orcpt, text_of(values[i]));
        assert_false(envelope_format(&envelope, &text));
        assert_int_equal(text.length, 0);
        envelope_set(&envelope.recipients[1].orcpt, TEXT_NONE);
    }
    assert_true(envelope_format(&envelope, &text));
}

static void an_envelope_past_the_maximum_leaves_nothing_behind(void **state) {
    struct buffer small;
    (void)state;
    buffer_init(&small, 400);
    assert_true(buffer_append_string(&small, "keep"));
    assert_false(envelope_format(&envelope, &small));
    assert_string_equal(buffer_string(&small), "keep");
    buffer_free(&small);
    memcpy(envelope.mail_id, "no", 3);
    assert_false(envelope_format(&envelope, &text));
}

#define HEAD "envelope: 1\nmail_id: 1vMcGX-3kTz9Q-a7\n"

static void damaged_texts_are_refused(void **state) {
    static const struct {
        const char *sentence;
        struct text text;
        bool accepted;
    } rows[] = {
        {"the least there can be", TEXT(HEAD), true},
        {"an unknown key is skipped", TEXT(HEAD "from_the_future: yes\n"), true},
        {"an empty value", TEXT(HEAD "ehlo: \n"), true},
        {"a recipient with empty parameters", TEXT(HEAD "Q\tlocal\ta@b\ta@b\t\t\n"), true},
        {"nothing", TEXT(""), false},
        {"no id", TEXT("envelope: 1\n"), false},
        {"no version", TEXT("mail_id: 1vMcGX-3kTz9Q-a7\n"), false},
        {"another version", TEXT("envelope: 2\nmail_id: 1vMcGX-3kTz9Q-a7\n"), false},
        {"an id that leaves the folder", TEXT("envelope: 1\nmail_id: ../../-etc/pa-ss\n"), false},
        {"a last line without its end", TEXT(HEAD "ehlo: a"), false},
        {"a NUL", TEXT(HEAD "ehlo: a\0b\n"), false},
        {"a CR", TEXT(HEAD "ehlo: a\r\n"), false},
        {"a TAB in a value", TEXT(HEAD "ehlo: a\tb\n"), false},
        {"a line without colon", TEXT(HEAD "ehlo\n"), false},
        {"a line without blank", TEXT(HEAD "ehlo:a\n"), false},
        {"a line without key", TEXT(HEAD ": a\n"), false},
        {"an empty line", TEXT(HEAD "\n"), false},
        {"a wrong date", TEXT(HEAD "received_at: yesterday\n"), false},
        {"a negative number", TEXT(HEAD "contact_id: -1\n"), false},
        {"a number too large", TEXT(HEAD "local_port: 4294967296\n"), false},
        {"an unknown body", TEXT(HEAD "body: 16BIT\n"), false},
        {"an unknown status", TEXT(HEAD "X\tlocal\ta@b\ta@b\t\t\n"), false},
        {"an unknown delivery", TEXT(HEAD "Q\tsomewhere\ta@b\ta@b\t\t\n"), false},
        {"five fields", TEXT(HEAD "Q\tlocal\ta@b\ta@b\t\n"), false},
        {"a sender of its own", TEXT(HEAD "Q\tlocal\ta@b\ta@b\t\t\towner@c\n"), true},
        {"eight fields", TEXT(HEAD "Q\tlocal\ta@b\ta@b\t\t\t\t\n"), false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct envelope back;
        print_message("%s\n", rows[i].sentence);
        assert_int_equal(envelope_parse(rows[i].text, &back), rows[i].accepted);
        envelope_free(&back);
    }
}

static void any_cut_or_flipped_byte_is_survived(void **state) {
    (void)state;
    assert_true(envelope_format(&envelope, &text));
    for (size_t i = 0; i < text.length; i++) {
        struct envelope back;
        (void)envelope_parse(text_first(buffer_text(&text), i), &back);
        envelope_free(&back);
        text.data[i] = (char)(text.data[i] ^ 0x2b);
        (void)envelope_parse(buffer_text(&text), &back);
        envelope_free(&back);
        text.data[i] = (char)(text.data[i] ^ 0x2b);
    }
}

static void many_recipients_are_kept_in_order(void **state) {
    struct envelope back;
    (void)state;
    for (int i = 3; i < 1000; i++) {
        char to[32];
        snprintf(to, sizeof to, "user%d@example.test", i);
        envelope_add(&envelope, text_of(to), text_of(to), DELIVERY_LOCAL);
    }
    buffer_free(&text);
    buffer_init(&text, ENVELOPE_TEXT_MAXIMUM);
    assert_true(envelope_format(&envelope, &text));
    assert_true(envelope_parse(buffer_text(&text), &back));
    assert_int_equal(back.recipient_count, 1000);
    assert_string_equal(back.recipients[999].to_url, "user999@example.test");
    assert_string_equal(envelope_delivery_name(back.recipients[999].delivery), "local");
    envelope_free(&back);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_envelope_reads_back_as_it_was_written, begin, end),
        cmocka_unit_test_setup_teardown(every_string_has_its_own_key, begin, end),
        cmocka_unit_test(an_envelope_without_the_newer_fields_is_read),
        cmocka_unit_test_setup_teardown(a_status_can_be_overwritten_in_place, begin, end),
        cmocka_unit_test_setup_teardown(values_that_would_forge_lines_are_refused, begin, end),
        cmocka_unit_test_setup_teardown(an_envelope_past_the_maximum_leaves_nothing_behind, begin, end),
        cmocka_unit_test_setup_teardown(damaged_texts_are_refused, begin, end),
        cmocka_unit_test_setup_teardown(any_cut_or_flipped_byte_is_survived, begin, end),
        cmocka_unit_test_setup_teardown(many_recipients_are_kept_in_order, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
