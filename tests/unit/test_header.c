/* SPDX-License-Identifier: MIT
 * Header sections: where they end, fields, unfolding, whose results a field claims. */
#include "mail/header.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

static void the_section_ends_where_it_should(void **state) {
    static const struct {
        const char *sentence, *message;
        size_t length;
    } rows[] = {
        {"before the empty line", "A: b\r\nC: d\r\n\r\nbody\r\n", 12},
        {"at the end without an empty line", "A: b\r\n", 6},
        {"at once when the message is empty", "", 0},
        {"at once before an empty line", "\r\nA: b\r\n", 0},
        {"before a line that is no field", "A: b\r\nno field\r\nC: d\r\n", 6},
        {"not before a continuation", "A: b\r\n c\r\n\td\r\n\r\n", 14},
        {"at once before a continuation of nothing", " c\r\nA: b\r\n", 0},
        {"at once before an mbox line", "From coco@a.example Sun Nov 22 01:02:03 2026\r\nA: b\r\n", 0},
        {"before a colon without a name", "A: b\r\n: c\r\n", 6},
        {"before a name with a byte of eight bits", "A: b\r\n\xc3\xa4: c\r\n", 6},
        {"not before blanks in front of the colon", "A \t: b\r\n\r\n", 8},
        {"after a line without its end", "A: b", 4},
        {"a blank line of white space continues the field", "A: b\r\n \r\nC: d\r\n\r\n", 15},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        print_message("%s\n", rows[i].sentence);
        assert_int_equal(header_section_length(text_of(rows[i].message)), rows[i].length);
    }
}

static void fields_come_one_by_one_with_every_byte(void **state) {
    struct text section = TEXT("Subject : a\r\n\tb\r\nX:\r\nTo: c \r\n\r\nY: z\r\n");
    struct header_field field;
    (void)state;
    assert_true(header_next(&section, &field));
    assert_true(text_equal(field.whole, TEXT("Subject : a\r\n\tb\r\n")));
    assert_true(text_equal(field.name, TEXT("Subject")));
    assert_true(text_equal(field.value, TEXT("a\r\n\tb")));
    assert_true(header_next(&section, &field));
    assert_true(text_equal(field.name, TEXT("X")));
    assert_int_equal(field.value.length, 0);
    assert_true(header_next(&section, &field));
    assert_true(text_equal(field.value, TEXT("c ")));
    assert_false(header_next(&section, &field));
    assert_true(text_equal(section, TEXT("\r\nY: z\r\n")));
}

static void fields_are_found_and_counted_in_any_case(void **state) {
    struct text section = TEXT("Received: 1\r\nreceived: 2\r\nRECEIVED : 3\r\nX-Received: 4\r\n\r\nReceived: 5\r\n");
    struct header_field field;
    (void)state;
    assert_int_equal(header_count(section, "Received"), 3);
    assert_int_equal(header_count(section, "Subject"), 0);
    assert_true(header_find(section, "x-received", &field));
    assert_true(text_equal(field.value, TEXT("4")));
    assert_false(header_find(section, "X-Receive", &field));
}

static void values_are_unfolded(void **state) {
    static const struct {
        const char *message, *value;
    } rows[] = {
        {"A: b\r\n c\r\n", "b c"},       {"A:\r\n b\r\n", "b"}, {"A: b \t \r\n", "b"},
        {"A: b\r\n\t\tc\r\n", "b\t\tc"}, {"A: \r\n", ""},       {"A: b\rc\r\n", "b\rc"},
    };
    char small[4];
    struct header_field field;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct text section = text_of(rows[i].message);
        char value[32];
        assert_true(header_next(&section, &field));
        assert_true(header_value(&field, value, sizeof value));
        assert_string_equal(value, rows[i].value);
    }
    struct text section = TEXT("A: bcd\r\nE: fghi\r\n");
    assert_true(header_next(&section, &field));
    assert_true(header_value(&field, small, sizeof small));
    assert_true(header_next(&section, &field));
    assert_false(header_value(&field, small, sizeof small));
    assert_string_equal(small, "fgh");
}

static void claims_of_our_name_are_seen_through(void **state) {
    static const struct {
        const char *sentence, *message;
        bool ours;
    } rows[] = {
        {"plain", "Authentication-Results: mail.example.test; dkim=pass\r\n", true},
        {"any case", "authentication-RESULTS: MAIL.Example.TEST; none\r\n", true},
        {"with a version", "Authentication-Results: mail.example.test 1; none\r\n", true},
        {"without anything else", "Authentication-Results: mail.example.test\r\n", true},
        {"no blank after the colon", "Authentication-Results:mail.example.test;none\r\n", true},
        {"folded before the name", "Authentication-Results:\r\n mail.example.test; none\r\n", true},
        {"folded behind the name", "Authentication-Results: mail.example.test\r\n ; none\r\n", true},
        {"behind a comment", "Authentication-Results: (a (nested \\) one) b) mail.example.test; none\r\n", true},
        {"before a comment", "Authentication-Results: mail.example.test(comment); none\r\n", true},
        {"quoted", "Authentication-Results: \"mail.example.test\"; none\r\n", true},
        {"quoted with backslashes", "Authentication-Results: \"mail\\.example.test\"; none\r\n", true},
        {"with the root dot", "Authentication-Results: mail.example.test.; none\r\n", true},
        {"another server", "Authentication-Results: mx.example.net; dkim=pass\r\n", false},
        {"a longer name", "Authentication-Results: mail.example.test.evil.example; none\r\n", false},
        {"a shorter name", "Authentication-Results: example.test; none\r\n", false},
        {"our name in a comment only", "Authentication-Results: (mail.example.test) mx.example.net; none\r\n", false},
        {"our name in a later place", "Authentication-Results: mx.example.net; x=mail.example.test\r\n", false},
        {"another field", "X-Authentication-Results: mail.example.test; none\r\n", false},
        {"nothing", "Authentication-Results: \r\n", false},
        {"a comment without end", "Authentication-Results: (mail.example.test\r\n", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct text section = text_of(rows[i].message);
        struct header_field field;
        print_message("%s\n", rows[i].sentence);
        assert_true(header_next(&section, &field));
        assert_int_equal(header_claims_our_results(&field, "mail.example.test"), rows[i].ours);
    }
}

static void whatever_is_submitted_automatically_says_so(void **state) {
    static const struct {
        const char *sentence, *header;
        bool automatic;
    } rows[] = {
        {"nothing is said", "Subject: x\r\n", false},
        {"no", "Auto-Submitted: no\r\n", false},
        {"in any case, with white around it", "AUTO-SUBMITTED:   No \r\n", false},
        {"a comment before and behind", "Auto-Submitted: (a (nested) one) no(really)\r\n", false},
        {"folded", "Auto-Submitted:\r\n\tno\r\n", false},
        {"parameters, which it need not have", "Auto-Submitted: no; owner=me\r\n", false},
        {"and without a blank", "Auto-Submitted: no;owner=me\r\n", false},
        {"a program's", "Auto-Submitted: auto-generated\r\n", true},
        {"an answer with parameters", "Auto-Submitted: auto-replied; owner-email=x\r\n", true},
        {"an extension that begins with no", "Auto-Submitted: notification\r\n", true},
        {"a short one", "Auto-Submitted: not-a\r\n", true},
        {"… with a hyphen", "Auto-Submitted: no-reply\r\n", true},
        {"one that is longer than any we know", "Auto-Submitted: no-person-wrote-this-nor-will-read-it\r\n", true},
        {"no in a comment alone", "Auto-Submitted: (no) auto-generated\r\n", true},
        {"nothing in the field", "Auto-Submitted:\r\n", true},
        {"two that disagree", "Auto-Submitted: no\r\nAuto-Submitted: auto-generated\r\n", true},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (header_is_automatic(text_of(rows[i].header)) != rows[i].automatic) {
            fail_msg("%s", rows[i].sentence);
        }
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_section_ends_where_it_should),
        cmocka_unit_test(fields_come_one_by_one_with_every_byte),
        cmocka_unit_test(fields_are_found_and_counted_in_any_case),
        cmocka_unit_test(values_are_unfolded),
        cmocka_unit_test(whatever_is_submitted_automatically_says_so),
        cmocka_unit_test(claims_of_our_name_are_seen_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
