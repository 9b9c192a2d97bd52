/* SPDX-License-Identifier: MIT
 * Solicitation keywords (RFC 3865 2.2): which lists are, and what they name. */
#include "mail/solicitation.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

static void lists_of_keywords(void **state) {
    static const struct {
        const char *list;
        bool valid;
    } rows[] = {
        {"net.example:ADV", true},
        {"net.example:ADV,org.example:ADV:ADLT", true},
        {"a", true},
        {"a-b_c.d:9", true},
        {"", false},
        {",a", false},
        {"a,", false},
        {"a,,b", false},
        {"9a", false},
        {"a b", false},
        {"a, b", false},
        {"a=b", false},
        {"\xc3\xa4", false},
        {":a", false},
    };
    char longest[SOLICITATION_MAXIMUM + 2];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        print_message("%s\n", rows[i].list);
        assert_int_equal(solicitation_is_valid(text_of(rows[i].list)), rows[i].valid);
    }
    memset(longest, 'a', sizeof longest);
    assert_true(solicitation_is_valid((struct text){longest, SOLICITATION_MAXIMUM}));
    assert_false(solicitation_is_valid((struct text){longest, SOLICITATION_MAXIMUM + 1}));
}

static void a_list_names_whole_words_in_any_case(void **state) {
    const struct text list = TEXT("net.example:ADV, Org.Example:ADV:ADLT");
    (void)state;
    assert_true(solicitation_names(list, TEXT("NET.example:adv")));
    assert_true(solicitation_names(list, TEXT("org.example:ADV:ADLT")));
    assert_false(solicitation_names(list, TEXT("org.example:ADV")));
    assert_false(solicitation_names(list, TEXT("net.example:ADV2")));
    assert_false(solicitation_names(TEXT_NONE, TEXT("net.example:ADV")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_keywords),
        cmocka_unit_test(a_list_names_whole_words_in_any_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
