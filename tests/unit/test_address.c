/* SPDX-License-Identifier: MIT
 * Paths, mailboxes, domains and literals of RFC 5321 4.1.2, and what is dangerous. */
#include "mail/address.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))
#define L16 "abcdefghijklmnop"
#define L64 L16 L16 L16 L16

static const struct {
    const char *sentence, *argument;
    bool utf8;
    enum address_problem problem;
    const char *text, *rest;
} paths[] = {
    {"a plain path", "<coco@example.test>", false, ADDRESS_OK, "coco@example.test", ""},
    {"parameters follow", "<coco@example.test> SIZE=5", false, ADDRESS_OK, "coco@example.test", " SIZE=5"},
    {"the null path", "<> BODY=8BITMIME", false, ADDRESS_OK, "", " BODY=8BITMIME"},
    {"the domain becomes lower case, the local part stays", "<Coco@Example.TEST>", false, ADDRESS_OK,
     "Coco@example.test", ""},
    {"postmaster needs no domain", "<PostMaster>", false, ADDRESS_OK, "PostMaster", ""},
    {"others need one", "<coco>", false, ADDRESS_UNPARSABLE, NULL, ""},
    {"all of atext", "<a!#$%&'*+-/=?^_`{|}~9@b.example>", false, ADDRESS_OK, "a!#$%&'*+-/=?^_`{|}~9@b.example", ""},
    {"a source route is ignored", "<@a.example,@b.example:coco@c.example>", false, ADDRESS_OK, "coco@c.example", ""},
    {"a source route with a literal", "<@[IPv6:::1]:coco@c.example>", false, ADDRESS_OK, "coco@c.example", ""},
    {"a source route without its colon", "<@a.example,coco@c.example>", false, ADDRESS_UNPARSABLE, NULL, ""},
    {"a source route with a bad domain", "<@a..b:coco@c.example>", false, ADDRESS_UNPARSABLE, NULL, ""},
    {"a source route with nothing behind it", "<@a.example:>", false, ADDRESS_UNPARSABLE, NULL, ""},
    {"two at signs", "<x@y@z>", false, ADDRESS_UNPARSABLE, NULL, ""},
    {"two at signs before anything else", "<.x@y@z>", false, ADDRESS_UNPARSABLE, NULL, ""},
    {"no brackets", "coco@example.test", false, ADDRESS_UNPARSABLE, NULL, ""},
    {"no closing bracket", "<coco@example.test", false, ADDRESS_UNPARSABLE, NULL, ""},
    {"nothing", "", false, ADDRESS_UNPARSABLE, NULL, ""},
    {"no local part", "<@example.test>", false, ADDRESS_UNPARSABLE, NULL, ""},
    {"no domain after the at sign", "<coco@>", false, ADDRESS_UNPARSABLE, NULL, ""},
    {"a blank inside", "<co co@example.test>", false, ADDRESS_BAD_CHARACTERS, "co co", ""},
    {"a control byte", "<co\tco@example.test>", false, ADDRESS_BAD_CHARACTERS, "co\tco", ""},
    {"a bracket inside", "<<coco@example.test>", false, ADDRESS_BAD_CHARACTERS, "<coco", ""},
    {"a leading dot", "<.coco@example.test>", false, ADDRESS_BAD_DOTS, ".coco", ""},
    {"a trailing dot", "<coco.@example.test>", false, ADDRESS_BAD_DOTS, "coco.", ""},
    {"two dots", "<co..co@example.test>", false, ADDRESS_BAD_DOTS, "co..co", ""},
    {"bad characters go before bad dots", "<.co co@example.test>", false, ADDRESS_BAD_CHARACTERS, ".co co", ""},
    {"a dot between atoms", "<co.co@example.test>", false, ADDRESS_OK, "co.co@example.test", ""},
    {"quotes that nothing needs go (RFC 5321 4.1.2)", "<\"co.co\"@example.test>", false, ADDRESS_OK,
     "co.co@example.test", ""},
    {"and so do backslashes", "<\"\\c\\oco\"@example.test>", false, ADDRESS_OK, "coco@example.test", ""},
    {"within quotes that stay, too", "<\"c\\o co\\\"\"@example.test>", false, ADDRESS_OK, "\"co co\\\"\"@example.test",
     ""},
    {"an empty string keeps its quotes", "<\"\"@example.test>", false, ADDRESS_OK, "\"\"@example.test", ""},
    {"a quoted postmaster is one", "<\"Postmaster\">", false, ADDRESS_OK, "Postmaster", ""},
    {"a quoted string keeps its quotes", "<\"co co\"@example.test>", false, ADDRESS_OK, "\"co co\"@example.test", ""},
    {"a quoted string may hold brackets and at signs", "<\"a>b@c\"@d.example> X", false, ADDRESS_OK,
     "\"a>b@c\"@d.example", " X"},
    {"a quoted quote", "<\"a\\\"b\"@d.example>", false, ADDRESS_OK, "\"a\\\"b\"@d.example", ""},
    {"dots anywhere in quotes", "<\"..\"@d.example>", false, ADDRESS_OK, "\"..\"@d.example", ""},
    {"a quoted string without end", "<\"abc@d.example>", false, ADDRESS_UNPARSABLE, NULL, ""},
    {"text behind a quoted string", "<\"a\"b@d.example>", false, ADDRESS_UNPARSABLE, NULL, ""},
    {"a control byte in quotes", "<\"a\x01\"@d.example>", false, ADDRESS_BAD_CHARACTERS, "\"a\x01\"", ""},
    {"UTF-8 without SMTPUTF8", "<j\xc3\xbcrgen@example.test>", false, ADDRESS_BAD_CHARACTERS, "j\xc3\xbcrgen", ""},
    {"UTF-8 with SMTPUTF8", "<j\xc3\xbcrgen@example.test>", true, ADDRESS_OK, "j\xc3\xbcrgen@example.test", ""},
    {"bytes that are no UTF-8", "<j\xfcrgen@example.test>", true, ADDRESS_UNPARSABLE, NULL, ""},
    {"a domain in UTF-8 with SMTPUTF8",
     "<a@b\xc3\xbc"
     "cher.example>",
     true, ADDRESS_OK, "a@xn--bcher-kva.example", ""},
    {"one in any case, and beside an A-label",
     "<a@B\xc3\x9c"
     "cher.XN--BCHER-KVA.Example>",
     true, ADDRESS_OK, "a@xn--bcher-kva.xn--bcher-kva.example", ""},
    {"a domain in UTF-8 without",
     "<a@b\xc3\xbc"
     "cher.example>",
     false, ADDRESS_UNPARSABLE, NULL, ""},
    {"an IPv4 literal", "<a@[192.0.2.1]>", false, ADDRESS_OK, "a@[192.0.2.1]", ""},
    {"an IPv6 literal", "<a@[ipv6:2001:DB8::1]>", false, ADDRESS_OK, "a@[IPv6:2001:db8::1]", ""},
    {"a literal without an address", "<a@[example]>", false, ADDRESS_UNPARSABLE, NULL, ""},
    {"a domain with two dots", "<a@b..example>", false, ADDRESS_UNPARSABLE, NULL, ""},
    {"a domain that ends in a dot", "<a@b.example.>", false, ADDRESS_UNPARSABLE, NULL, ""},
    {"a domain with a blank", "<a@b .example>", false, ADDRESS_UNPARSABLE, NULL, ""},
    {"the longest local part", "<" L64 "@b.example>", false, ADDRESS_OK, L64 "@b.example", ""},
    {"one byte more", "<" L64 "x@b.example>", false, ADDRESS_TOO_LONG, NULL, ""},
};

static void paths_are_parsed_strictly(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        struct address address;
        struct text rest;
        char text[ADDRESS_SIZE * 2];
        print_message("%s\n", paths[i].sentence);
        assert_int_equal(address_parse_path(text_of(paths[i].argument), paths[i].utf8, &address, &rest),
                         paths[i].problem);
        if (paths[i].problem == ADDRESS_BAD_DOTS || paths[i].problem == ADDRESS_BAD_CHARACTERS) {
            assert_string_equal(address.local, paths[i].text);
        } else if (paths[i].problem == ADDRESS_OK) {
            assert_string_equal(address_text(&address, text, sizeof text), paths[i].text);
            assert_true(text_equal(rest, text_of(paths[i].rest)));
            assert_int_equal(address_is_null(&address), paths[i].text[0] == '\0');
        }
    }
}

static void a_nul_is_in_no_address(void **state) {
    struct address address;
    struct text rest;
    (void)state;
    assert_int_equal(address_parse_path(TEXT("<a\0b@c.example>"), true, &address, &rest), ADDRESS_BAD_CHARACTERS);
    assert_int_equal(address_parse_path(TEXT("<a@c.ex\0ample>"), true, &address, &rest), ADDRESS_UNPARSABLE);
    assert_int_equal(address_parse_path(TEXT("<a@[127.0.0.1\0]>"), true, &address, &rest), ADDRESS_UNPARSABLE);
    assert_int_equal(address_parse(TEXT("\"\0\"@c.example"), true, &address), ADDRESS_BAD_CHARACTERS);
}

static void long_domains_and_locals_are_refused_without_damage(void **state) {
    char mailbox[2000];
    struct address address;
    (void)state;
    for (size_t length = 1; length < 1500; length += 7) {
        memset(mailbox, 'a', length);
        memcpy(mailbox + length, "@b.example", 11);
        enum address_problem problem = address_parse(text_of(mailbox), false, &address);
        assert_int_equal(problem, length <= 64 ? ADDRESS_OK : ADDRESS_TOO_LONG);
        mailbox[0] = 'a';
        mailbox[1] = '@';
        for (size_t i = 2; i < length + 2; i++) {
            mailbox[i] = i % 50 == 49 && i != length + 1 ? '.' : 'b';
        }
        problem = address_parse((struct text){mailbox, length + 2}, false, &address);
        assert_int_equal(problem, length <= 255 ? ADDRESS_OK : ADDRESS_TOO_LONG);
    }
}

static void domains_are_checked_by_label(void **state) {
    static const struct {
        const char *domain;
        bool utf8, valid;
    } rows[] = {
        {"example.test", false, true},
        {"localhost", false, true},
        {"a-b.x1.example", false, true},
        {"1.2.3.4", false, true},
        {"xn--bcher-kva.example", false, true},
        {"-a.example", false, false},
        {"a-.example", false, false},
        {"a_b.example", false, false},
        {".example", false, false},
        {"example.", false, false},
        {"a..b", false, false},
        {"", false, false},
        {"a b", false, false},
        {"[1.2.3.4]", false, false},
        {"b\xc3\xbc"
         "cher.example",
         false, false},
        {"b\xc3\xbc"
         "cher.example",
         true, true},
        {"b\xfc"
         "cher.example",
         true, false},
        {"\xe2\x80\x8b.example", true, false},
        {L16 L16 L16 "abcdefghijklmno.example", false, true},
        {L64 ".example", false, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        print_message("'%s' is %s\n", rows[i].domain, rows[i].valid ? "a domain" : "no domain");
        assert_int_equal(address_domain_is_valid(text_of(rows[i].domain), rows[i].utf8), rows[i].valid);
    }
}

static void what_operators_write_gets_a_labels(void **state) {
    static const struct {
        const char *written, *normal;
    } rows[] = {
        {"j\xc3\xbcrgen@B\xc3\x9c"
         "cher.example",
         "j\xc3\xbcrgen@xn--bcher-kva.example"},
        {"@b\xc3\xbc"
         "cher.example",
         "@xn--bcher-kva.example"},
        {"@.b\xc3\xbc"
         "cher.example",
         "@.xn--bcher-kva.example"},
        {"Coco@Example.Test", "Coco@example.test"},
        {"@*", "@*"},
        {"=", "="},
        {"", ""},
        {"|program", "|program"},
        {"/a/b@c", "/a/b@c"},
        {"a@[IPv6:2001:DB8::1]", "a@[IPv6:2001:DB8::1]"},
        {"postmaster", "postmaster"},
    };
    char normal[2 * ADDRESS_SIZE], unicode[64];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        print_message("'%s'\n", rows[i].written);
        assert_true(address_normal(text_of(rows[i].written), normal, sizeof normal));
        assert_string_equal(normal, rows[i].normal);
    }
    assert_true(address_domain_unicode(TEXT("xn--bcher-kva.example"), unicode, sizeof unicode));
    assert_string_equal(unicode, "b\xc3\xbc"
                                 "cher.example");
    assert_false(address_domain_unicode(TEXT("example.test"), unicode, sizeof unicode));
    assert_false(address_domain_unicode(TEXT("xn--bcher-kva.example"), unicode, 8));
}

static void literals_give_their_address(void **state) {
    static const struct {
        const char *domain, *ip; /* NULL: no literal */
    } rows[] = {
        {"[127.0.0.1]", "127.0.0.1"},
        {"[IPv6:::1]", "::1"},
        {"[ipv6:2001:db8::5]", "2001:db8::5"},
        {"[::1]", NULL},
        {"[127.0.0.1", NULL},
        {"127.0.0.1", NULL},
        {"[]", NULL},
        {"[", NULL},
        {"", NULL},
        {"[IPv6:127.0.0.1]", NULL},
        {"[127.0.0.256]", NULL},
        {"[ 127.0.0.1]", NULL},
        {"[tag:content]", NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char ip[64];
        print_message("'%s' is %s\n", rows[i].domain, rows[i].ip == NULL ? "no literal" : rows[i].ip);
        assert_int_equal(address_is_literal(text_of(rows[i].domain)), rows[i].ip != NULL);
        if (rows[i].ip != NULL) {
            assert_true(address_literal_ip(text_of(rows[i].domain), ip, sizeof ip));
            assert_string_equal(ip, rows[i].ip);
            assert_false(address_literal_ip(text_of(rows[i].domain), ip, strlen(rows[i].ip)));
        }
    }
}

static void dangerous_local_parts_are_known(void **state) {
    static const struct {
        const char *mailbox;
        bool in_ours, elsewhere;
    } rows[] = {
        {"coco@a.example", false, false},  {"coco+tag@a.example", false, false}, {"a%b@a.example", true, true},
        {"a!b@a.example", true, true},     {"\"a@b\"@a.example", true, true},    {"\"a\\@b\"@a.example", true, true},
        {"a/b@a.example", true, false},    {"a/../b@a.example", true, true},     {"a|b@a.example", true, false},
        {"\".a\"@a.example", true, false}, {"\"\\.a\"@a.example", true, false},  {"\"/.\\./\"@a.example", true, true},
        {"a`b@a.example", false, true},    {"a#b@a.example", false, true},       {"a&b@a.example", false, true},
        {"a?b@a.example", false, true},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct address address;
        print_message("%s\n", rows[i].mailbox);
        if (strstr(rows[i].mailbox, "..") != NULL) { /* dots in a row come only by way of a hand-made struct */
            address = (struct address){.domain = "a.example"};
            snprintf(address.local, sizeof address.local, "%.*s", (int)strcspn(rows[i].mailbox, "@"), rows[i].mailbox);
        } else {
            assert_int_equal(address_parse(text_of(rows[i].mailbox), false, &address), ADDRESS_OK);
        }
        assert_int_equal(address_is_dangerous(&address, true), rows[i].in_ours);
        assert_int_equal(address_is_dangerous(&address, false), rows[i].elsewhere);
    }
}

static void addresses_are_compared_as_the_standard_says(void **state) {
    static const struct {
        const char *a, *b;
        bool equal;
    } rows[] = {
        {"coco@a.example", "coco@A.EXAMPLE", true},
        {"coco@a.example", "Coco@a.example", false},
        {"postmaster@a.example", "POSTMASTER@a.example", true},
        {"postmaster@a.example", "postmaster@b.example", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct address a, b;
        assert_int_equal(address_parse(text_of(rows[i].a), false, &a), ADDRESS_OK);
        assert_int_equal(address_parse(text_of(rows[i].b), false, &b), ADDRESS_OK);
        assert_int_equal(address_equal(&a, &b), rows[i].equal);
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_parsed_strictly),
        cmocka_unit_test(a_nul_is_in_no_address),
        cmocka_unit_test(long_domains_and_locals_are_refused_without_damage),
        cmocka_unit_test(domains_are_checked_by_label),
        cmocka_unit_test(what_operators_write_gets_a_labels),
        cmocka_unit_test(literals_give_their_address),
        cmocka_unit_test(dangerous_local_parts_are_known),
        cmocka_unit_test(addresses_are_compared_as_the_standard_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
