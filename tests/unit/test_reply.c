/* SPDX-License-Identifier: MIT
 * Replies: their wire form, their line for logs, and reading those of other servers. */
#include "mail/reply.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

static void replies_have_their_wire_form(void **state) {
    static const struct {
        const char *sentence;
        unsigned code;
        const char *enhanced, *text, *wire, *line;
    } rows[] = {
        {"one line", 250, "2.1.0", "OK", "250 2.1.0 OK\r\n", "250 2.1.0 OK"},
        {"without enhanced code", 220, "", "mail.example.test", "220 mail.example.test\r\n", "220 mail.example.test"},
        {"two lines", 550, "5.1.7", "first\nlast", "550-5.1.7 first\r\n550 5.1.7 last\r\n", "550 5.1.7 first last"},
        {"no text", 250, "2.0.0", "", "250 2.0.0 \r\n", "250 2.0.0 "},
        {"a last line end adds no empty line", 250, "2.0.0", "a\n", "250 2.0.0 a\r\n", "250 2.0.0 a "},
        {"an empty line in between", 214, "2.0.0", "a\n\nb", "214-2.0.0 a\r\n214-2.0.0 \r\n214 2.0.0 b\r\n",
         "214 2.0.0 a  b"},
        {"a CR cannot end a line", 500, "5.5.1", "a\rb\x01", "500 5.5.1 a?b?\r\n", "500 5.5.1 a b "},
        {"UTF-8 stays", 250, "2.0.0", "\xc3\xa4", "250 2.0.0 \xc3\xa4\r\n", "250 2.0.0 \xc3\xa4"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct reply reply;
        struct buffer wire;
        char line[200];
        print_message("%s\n", rows[i].sentence);
        buffer_init(&wire, 4096);
        reply_set(&reply, rows[i].code, rows[i].enhanced, "%s", rows[i].text);
        assert_true(reply_format(&reply, &wire));
        assert_string_equal(buffer_string(&wire), rows[i].wire);
        assert_string_equal(reply_line(&reply, line, sizeof line), rows[i].line);
        buffer_free(&wire);
    }
}

static void no_line_is_longer_than_the_standard_allows(void **state) {
    struct reply reply;
    struct buffer wire;
    char text[REPLY_TEXT_SIZE];
    struct text rest, line;
    size_t letters = 0, lines = 0;
    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    buffer_init(&wire, 4096);
    reply_set(&reply, 550, "5.7.1", "%s%s", text, "cut");
    assert_true(reply_format(&reply, &wire));
    rest = buffer_text(&wire);
    while (text_split(&rest, '\n', &line)) {
        assert_true(line.length + 1 <= 512);
        assert_int_equal(line.data[3], rest.length > 0 ? '-' : ' ');
        letters += line.length - strlen("550 5.7.1 \r");
        lines++;
    }
    assert_int_equal(letters, REPLY_TEXT_SIZE - 1);
    assert_int_equal(lines, 3);
    buffer_free(&wire);
}

static void a_reply_that_does_not_fit_is_not_begun(void **state) {
    struct reply reply;
    struct buffer wire;
    (void)state;
    buffer_init(&wire, 20);
    assert_true(buffer_append_string(&wire, "keep"));
    reply_set(&reply, 250, "2.0.0", "first\nsecond");
    assert_false(reply_format(&reply, &wire));
    assert_string_equal(buffer_string(&wire), "keep");
    buffer_free(&wire);
}

static void reply_lines_of_servers_are_read_strictly(void **state) {
    static const struct {
        const char *line;
        bool valid;
        unsigned code;
        bool more;
        const char *text;
    } rows[] = {
        {"250 OK", true, 250, false, "OK"},
        {"250-first", true, 250, true, "first"},
        {"250", true, 250, false, ""},
        {"250-", true, 250, true, ""},
        {"250 ", true, 250, false, ""},
        {"559 5.0.0 x", true, 559, false, "5.0.0 x"},
        {"", false, 0, false, ""},
        {"25", false, 0, false, ""},
        {"2500 OK", false, 0, false, ""},
        {"250OK", false, 0, false, ""},
        {"150 no", false, 0, false, ""},
        {"660 no", false, 0, false, ""},
        {"260 no", false, 0, false, ""},
        {"2x0 no", false, 0, false, ""},
        {"HTTP/1.1 200", false, 0, false, ""},
        {" 250 OK", false, 0, false, ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        unsigned code = 0;
        bool more = false;
        struct text text = TEXT_NONE;
        print_message("'%s' is %s\n", rows[i].line, rows[i].valid ? "a reply" : "no reply");
        assert_int_equal(reply_parse_line(text_of(rows[i].line), &code, &more, &text), rows[i].valid);
        assert_int_equal(code, rows[i].code);
        assert_int_equal(more, rows[i].more);
        assert_true(text_equal(text, text_of(rows[i].text)));
    }
}

static void enhanced_codes_are_split_off(void **state) {
    static const struct {
        const char *text, *enhanced, *rest;
    } rows[] = {
        {"2.1.0 OK", "2.1.0", "OK"},
        {"5.123.456 far", "5.123.456", "far"},
        {"4.4.2", "4.4.2", ""},
        {"OK", "", "OK"},
        {"", "", ""},
        {"3.1.0 x", "", "3.1.0 x"},
        {"2.1234.0 x", "", "2.1234.0 x"},
        {"2.1.0x", "", "2.1.0x"},
        {"2.1 x", "", "2.1 x"},
        {"2.1. x", "", "2.1. x"},
        {"2..1 x", "", "2..1 x"},
        {"5.7.26.1 x", "", "5.7.26.1 x"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct text text = text_of(rows[i].text);
        char enhanced[12];
        print_message("'%s'\n", rows[i].text);
        reply_split_enhanced(&text, enhanced);
        assert_string_equal(enhanced, rows[i].enhanced);
        assert_true(text_equal(text, text_of(rows[i].rest)));
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_have_their_wire_form),
        cmocka_unit_test(no_line_is_longer_than_the_standard_allows),
        cmocka_unit_test(a_reply_that_does_not_fit_is_not_begun),
        cmocka_unit_test(reply_lines_of_servers_are_read_strictly),
        cmocka_unit_test(enhanced_codes_are_split_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
