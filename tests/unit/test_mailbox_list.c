/* SPDX-License-Identifier: MIT
 * The addresses of a From field, however it is written. */
#include "mail/mailbox_list.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct row {
    const char *sentence, *field;
    const char *addresses[4]; /* up to the first NULL */
    bool bad;                 /* behind them */
} rows[] = {
    {"an address alone", "coco@example.test", {"coco@example.test"}, false},
    {"a name before it", "Coco Chanel <coco@example.test>", {"coco@example.test"}, false},
    {"a name in quotes, with what looks like another address",
     "\"mike@x <y@z>, \" <coco@example.test>",
     {"coco@example.test"},
     false},
    {"comments are nobody", "(mike@x) coco@example.test (evil@x (y@z))", {"coco@example.test"}, false},
    {"a comment with a quoted parenthesis", "(\\)) coco@example.test", {"coco@example.test"}, false},
    {"several", "coco@example.test, Mike <mike@example.test>", {"coco@example.test", "mike@example.test"}, false},
    {"empty ones between them",
     ", coco@example.test,, mike@example.test,",
     {"coco@example.test", "mike@example.test"},
     false},
    {"a group", "Friends: coco@example.test, <mike@example.test>;", {"coco@example.test", "mike@example.test"}, false},
    {"a group and more", "A: a@x; b@y", {"a@x", "b@y"}, false},
    {"a group of nobody", "undisclosed: ;", {NULL}, false},
    {"an old route", "<@one.test,@two.test:coco@example.test>", {"coco@example.test"}, false},
    {"blanks around at sign and dot", "coco @ example . test", {"coco@example.test"}, false},
    {"blanks elsewhere make no address of two words", "co co@example.test", {"co co@example.test"}, false},
    {"a comment parts words too", "co(x)co@example.test", {"co co@example.test"}, false},
    {"a quoted local part", "\"a b\"@example.test", {"\"a b\"@example.test"}, false},
    {"nobody", "", {NULL}, false},
    {"brackets with nothing in them", "<>", {""}, false},
    {"an address in place of a route's host", "<mike@x:coco@example.test>", {NULL}, true},
    {"an address before another within the brackets", "<mike@x,coco@example.test>", {NULL}, true},
    {"an address in place of a group's name", "mike@x: coco@example.test;", {NULL}, true},
    {"a group's name in quotes", "\"mike@x\": coco@example.test;", {"coco@example.test"}, false},
    {"brackets that do not close", "Coco <coco@example.test", {NULL}, true},
    {"brackets that do not open", "coco@example.test>", {NULL}, true},
    {"two pairs of brackets", "<coco@example.test> <mike@x>", {NULL}, true},
    {"words behind the brackets", "<coco@example.test> mike@x", {NULL}, true},
    {"quotes that do not end", "\"coco <coco@example.test>", {NULL}, true},
    {"a comment that does not end", "coco@example.test (x", {NULL}, true},
};

static void every_address_of_a_field_is_found(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct text rest = text_of(rows[i].field);
        char address[MAILBOX_SIZE];
        size_t count = 0;
        bool bad = false;
        print_message("  %s\n", rows[i].sentence);
        while (mailbox_list_next(&rest, address, &bad)) {
            assert_true(count < 4 && rows[i].addresses[count] != NULL);
            assert_string_equal(address, rows[i].addresses[count++]);
        }
        assert_null(rows[i].addresses[count]);
        assert_int_equal(bad, rows[i].bad);
    }
}

static void a_long_name_is_no_address_and_a_long_address_none_either(void **state) {
    char field[3 * MAILBOX_SIZE], address[MAILBOX_SIZE];
    bool bad;
    (void)state;
    memset(field, 'x', sizeof field);
    (void)text_copy(field + MAILBOX_SIZE + 9, 32, TEXT(" <coco@example.test>"));
    struct text rest = text_of(field);
    assert_true(mailbox_list_next(&rest, address, &bad));
    assert_string_equal(address, "coco@example.test");
    memset(field, 'x', sizeof field);
    (void)text_copy(field + MAILBOX_SIZE + 9, 32, TEXT("@example.test"));
    rest = text_of(field);
    assert_false(mailbox_list_next(&rest, address, &bad));
    assert_true(bad);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_address_of_a_field_is_found),
        cmocka_unit_test(a_long_name_is_no_address_and_a_long_address_none_either),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
