/* SPDX-License-Identifier: MIT
 * Unit test of mail/extension: the table of keywords is complete, and lines for EHLO are what RFC 5321 4.1.1.1 allows.
 */
#include "mail/extension.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

static void every_extension_has_a_keyword_of_its_own(void **state) {
    (void)state;
    for (size_t i = EXTENSION_NONE + 1; i < EXTENSIONS; i++) {
        assert_non_null(extension_names[i]);
        assert_true(extension_line_is_valid(text_of(extension_names[i])));
        assert_int_equal(extension_find(text_of(extension_names[i])), i); /* so that no two are the same */
    }
    assert_int_equal(extension_find(TEXT("smtputf8")), EXTENSION_SMTPUTF8);
    assert_int_equal(extension_find(TEXT("SMTPUTF")), EXTENSION_NONE);
    assert_int_equal(extension_find(TEXT("")), EXTENSION_NONE);
}

static const struct {
    const char *sentence, *line;
    bool valid;
} rows[] = {
    {"a keyword", "XFORWARD", true},
    {"a keyword with parameters", "NO-SOLICITING net.example:ADV x=1", true},
    {"nothing", "", false},
    {"a hyphen in front", "-X", false},
    {"another character", "X_Y", false},
    {"two blanks", "X  Y", false},
    {"a blank at the end", "X ", false},
    {"no ASCII", "X \xc3\xa4", false},
    {"a line feed", "X\nY", false},
    {"a tab", "X\tY", false},
};

static void lines_for_ehlo(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (extension_line_is_valid(text_of(rows[i].line)) != rows[i].valid)
            fail_msg("%s", rows[i].sentence);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_extension_has_a_keyword_of_its_own),
        cmocka_unit_test(lines_for_ehlo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
