/* SPDX-License-Identifier: MIT
 * Mail ids: their form, that no two are the same, and that those of notices repeat. */
#include "mail/mail_id.h"
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

static int compare_ids(const void *a, const void *b) {
    return strcmp(a, b);
}

static void ids_of_one_second_are_all_different(void **state) {
    static char ids[20000][MAIL_ID_SIZE];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        mail_id_make(i % 2 == 0 ? 62 : 36, ids[i]);
        assert_true(mail_id_is_valid(text_of(ids[i])));
    }
    qsort(ids, COUNT_OF(ids), sizeof ids[0], compare_ids);
    for (size_t i = 1; i < COUNT_OF(ids); i++) {
        assert_string_not_equal(ids[i - 1], ids[i]);
    }
}

static void base_36_has_no_lower_case(void **state) {
    char id[MAIL_ID_SIZE];
    (void)state;
    for (int i = 0; i < 1000; i++) {
        mail_id_make(36, id);
        for (size_t at = 0; at < MAIL_ID_SIZE - 1; at++) {
            assert_false(islower((unsigned char)id[at]));
        }
    }
}

static void the_first_six_digits_are_the_seconds(void **state) {
    char id[MAIL_ID_SIZE];
    uint64_t seconds = 0;
    (void)state;
    mail_id_make(36, id);
    for (int i = 0; i < 6; i++) {
        seconds = seconds * 36 + (uint64_t)(isdigit((unsigned char)id[i]) ? id[i] - '0' : id[i] - 'A' + 10);
    }
    uint64_t now = (uint64_t)time(NULL);
    assert_true(seconds <= now && seconds + 5 > now);
}

static void only_the_right_form_is_valid(void **state) {
    static const struct {
        const char *sentence;
        struct text id;
        bool valid;
    } rows[] = {
        {"letters and digits with hyphens in their places", TEXT("1vMcGX-3kTz9Q-a7"), true},
        {"nothing is no id", TEXT(""), false},
        {"one short", TEXT("1vMcGX-3kTz9Q-a"), false},
        {"one long", TEXT("1vMcGX-3kTz9Q-a7b"), false},
        {"a hyphen out of place", TEXT("1vMcG-X3kTz9Q-a7"), false},
        {"a slash would leave the queue", TEXT("../../-etc/pa-ss"), false},
        {"a NUL is no digit", TEXT("1vMcGX-3kTz\0Q-a7"), false},
        {"eight bits are no digits", TEXT("1vMcGX-3kTz\xe4Q-a7"), false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        print_message("%s\n", rows[i].sentence);
        assert_int_equal(mail_id_is_valid(rows[i].id), rows[i].valid);
    }
}

static void a_derived_id_repeats_and_depends_on_everything(void **state) {
    static const struct {
        const char *about;
        unsigned attempt;
        const char *kind;
        unsigned base;
    } rows[] = {
        {"1vMcGX-3kTz9Q-a7", 0, "failed", 62},  {"1vMcGX-3kTz9Q-a7", 1, "failed", 62},
        {"1vMcGX-3kTz9Q-a7", 10, "failed", 62}, {"1vMcGX-3kTz9Q-a7", 0, "delayed", 62},
        {"1vMcGX-3kTz9Q-a8", 0, "failed", 62},  {"1vMcGX-3kTz9Q-a7", 0, "failed", 36},
    };
    char ids[COUNT_OF(rows)][MAIL_ID_SIZE];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char again[MAIL_ID_SIZE];
        mail_id_derive(rows[i].about, rows[i].attempt, rows[i].kind, rows[i].base, ids[i]);
        mail_id_derive(rows[i].about, rows[i].attempt, rows[i].kind, rows[i].base, again);
        assert_string_equal(ids[i], again);
        assert_true(mail_id_is_valid(text_of(ids[i])));
        assert_memory_equal(ids[i], rows[i].about, 6);
        assert_string_not_equal(ids[i], rows[i].about);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(ids[i], ids[j]);
        }
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_of_one_second_are_all_different),
        cmocka_unit_test(base_36_has_no_lower_case),
        cmocka_unit_test(the_first_six_digits_are_the_seconds),
        cmocka_unit_test(only_the_right_form_is_valid),
        cmocka_unit_test(a_derived_id_repeats_and_depends_on_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
