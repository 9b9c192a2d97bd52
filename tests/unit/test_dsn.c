/* SPDX-License-Identifier: MIT
 * The values of RFC 3461: xtext both ways, NOTIFY, ORCPT, ENVID. */
#include "mail/dsn.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

static void xtext_is_decoded_strictly(void **state) {
    static const struct {
        const char *sentence, *xtext, *plain; /* plain NULL: refused */
    } rows[] = {
        {"plain words stand for themselves", "QQ314159", "QQ314159"},
        {"a byte in upper case hex", "a+20b+2B+3D", "a b+="},
        {"nothing", "", ""},
        {"lower case hex is none (RFC 3461 4)", "a+2b", NULL},
        {"half a byte", "a+2", NULL},
        {"a lone plus", "a+", NULL},
        {"a blank", "a b", NULL},
        {"an equals sign", "a=b", NULL},
        {"what would end a line", "a+0D+0Ab", NULL},
        {"a byte that is not ASCII", "+C3+A4", NULL},
        {"a raw byte that is not ASCII", "\xc3\xa4", NULL},
        {"delete", "+7F", NULL},
    };
    char plain[40];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        print_message("%s\n", rows[i].sentence);
        bool good = dsn_xtext_decode(text_of(rows[i].xtext), plain, sizeof plain);
        assert_int_equal(good, rows[i].plain != NULL);
        if (good) {
            assert_string_equal(plain, rows[i].plain);
        }
    }
    assert_true(dsn_xtext_decode(TEXT("+41+42+43"), plain, 4));
    assert_false(dsn_xtext_decode(TEXT("+41+42+43+44"), plain, 4));
}

static void what_is_encoded_is_decoded_to_the_same(void **state) {
    char every[96], xtext[300], plain[96];
    size_t length = 0;
    (void)state;
    for (char byte = ' '; byte <= '~'; byte++) {
        every[length++] = byte;
    }
    every[length] = '\0';
    assert_true(dsn_xtext_encode(text_of(every), xtext, sizeof xtext));
    assert_null(strpbrk(xtext, " ="));
    assert_true(dsn_xtext_decode(text_of(xtext), plain, sizeof plain));
    assert_string_equal(plain, every);
    assert_false(dsn_xtext_encode(TEXT("a+b"), xtext, 5));
    assert_true(dsn_xtext_encode(TEXT("a+b"), xtext, 6));
    assert_string_equal(xtext, "a+2Bb");
}

static void notify_is_read_and_written(void **state) {
    static const struct {
        const char *value, *written; /* NULL: refused */
    } rows[] = {
        {"NEVER", "NEVER"},
        {"never", "NEVER"},
        {"SUCCESS", "SUCCESS"},
        {"failure", "FAILURE"},
        {"DELAY", "DELAY"},
        {"DELAY,SUCCESS", "SUCCESS,DELAY"},
        {"DELAY,FAILURE", "FAILURE,DELAY"},
        {"SUCCESS,FAILURE", "SUCCESS,FAILURE"},
        {"DELAY,FAILURE,SUCCESS", "SUCCESS,FAILURE,DELAY"},
        {"FAILURE,FAILURE", "FAILURE"},
        {"", NULL},
        {",", NULL},
        {"SUCCESS,", NULL},
        {",SUCCESS", NULL},
        {"SUCCESS,,DELAY", NULL},
        {"NEVER,DELAY", NULL},
        {"SUCCES", NULL},
        {"SUCCESS, DELAY", NULL},
    };
    unsigned notify;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        print_message("NOTIFY=%s\n", rows[i].value);
        bool good = dsn_notify_parse(text_of(rows[i].value), &notify);
        assert_int_equal(good, rows[i].written != NULL);
        if (good) {
            assert_string_equal(dsn_notify_text(notify), rows[i].written);
            assert_true(strlen(rows[i].written) < DSN_NOTIFY_SIZE);
        }
    }
    assert_string_equal(dsn_notify_text(0), "");
}

static void orcpt_is_a_type_and_an_address(void **state) {
    static const struct {
        const char *value;
        bool valid;
    } rows[] = {
        {"rfc822;coco@example.test", true},
        {"rfc822;coco+2Bnews@example.test", true},
        {"X-Pager;call+20me", true},
        {"utf-8;j\\x{FC}rgen@example.test", true},
        {"UTF-8;j\xc3\xbcrgen@example.test", true},
        {"utf-8;a\\x{2B}b@example.test", true},
        {"utf-8;a+b@example.test", false},
        {"utf-8;a\\b@example.test", false},
        {"utf-8;a\\x{fc}@example.test", false},
        {"utf-8;a\\x{F}@example.test", false},
        {"utf-8;a\\x{110000}@example.test", false},
        {"utf-8;a\\x{D800}@example.test", false},
        {"utf-8;a\\x{00}@example.test", false},
        {"utf-8;a\xfc@example.test", false},
        {"utf-8;a\\x{FC", false},
        {"rfc822;", false},
        {";coco@example.test", false},
        {"coco@example.test", false},
        {"rfc 822;coco@example.test", false},
        {"rfc822;coco+news@example.test", false},
        {"rfc822;a+0Ab", false},
        {"r.f;a", false},
    };
    char longest[DSN_ORCPT_MAXIMUM + 2];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        print_message("ORCPT=%s\n", rows[i].value);
        assert_int_equal(dsn_orcpt_is_valid(text_of(rows[i].value)), rows[i].valid);
    }
    memset(longest, 'a', sizeof longest);
    longest[3] = ';';
    assert_true(dsn_orcpt_is_valid((struct text){longest, DSN_ORCPT_MAXIMUM}));
    assert_false(dsn_orcpt_is_valid((struct text){longest, DSN_ORCPT_MAXIMUM + 1}));
}

static void an_orcpt_can_be_made_of_any_address(void **state) {
    char orcpt[DSN_ORCPT_MAXIMUM + 1], longest[DSN_ORCPT_MAXIMUM], plain[DSN_ORCPT_MAXIMUM];
    (void)state;
    assert_string_equal(dsn_orcpt_of("co+co@example.test", orcpt), "rfc822;co+2Bco@example.test");
    assert_true(dsn_orcpt_is_valid(text_of(orcpt)));
    assert_string_equal(dsn_orcpt_of("j\xc3\xbcr+\xf0\x9f\x93\xa6@example.test", orcpt),
                        "utf-8;j\\x{FC}r\\x{2B}\\x{1F4E6}@example.test");
    assert_true(dsn_orcpt_is_valid(text_of(orcpt)));
    assert_true(dsn_orcpt_address(text_of(orcpt), plain, sizeof plain));
    assert_string_equal(plain, "j\xc3\xbcr+\xf0\x9f\x93\xa6@example.test");
    assert_string_equal(dsn_orcpt_of("a\x01@example.test", orcpt), "");
    assert_string_equal(dsn_orcpt_ascii(TEXT("utf-8;j\xc3\xbcrgen@x.test"), orcpt), "utf-8;j\\x{FC}rgen@x.test");
    assert_string_equal(dsn_orcpt_ascii(TEXT("rfc822;a+2Bb@x.test"), orcpt), "rfc822;a+2Bb@x.test");
    assert_string_equal(dsn_orcpt_ascii(TEXT_NONE, orcpt), "");
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_string_equal(dsn_orcpt_of(longest, orcpt), "");
}

static void an_envid_has_at_most_a_hundred_characters(void **state) {
    char xtext[3 * (DSN_ENVID_MAXIMUM + 1)];
    (void)state;
    for (size_t i = 0; i < sizeof xtext; i++) {
        xtext[i] = "+20"[i % 3];
    }
    assert_true(dsn_envid_is_valid((struct text){xtext, sizeof xtext - 3}));
    assert_false(dsn_envid_is_valid((struct text){xtext, sizeof xtext}));
    assert_false(dsn_envid_is_valid(TEXT_NONE));
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(xtext_is_decoded_strictly),
        cmocka_unit_test(what_is_encoded_is_decoded_to_the_same),
        cmocka_unit_test(notify_is_read_and_written),
        cmocka_unit_test(orcpt_is_a_type_and_an_address),
        cmocka_unit_test(an_orcpt_can_be_made_of_any_address),
        cmocka_unit_test(an_envid_has_at_most_a_hundred_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
