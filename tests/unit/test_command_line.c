/* SPDX-License-Identifier: MIT
 * Unit test of smtp/command_line: whole lines out of bytes that come in any pieces, and what a line is made of. */
#include "smtp/command_line.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <string.h>

#define MAXIMUM 20

/* Each row: what arrives in one piece, and the results one behind the other: the line in brackets, or the fault's sign.
 */
static const struct {
    const char *sentence, *bytes;
    size_t length;
    const char *results;
} line_rows[] = {
#define ROW(sentence, bytes, results)                                                                                  \
    { sentence, bytes, sizeof(bytes) - 1, results }
    ROW("a line ends in CRLF", "NOOP\r\n", "[NOOP]"),
    ROW("an empty line is a line", "\r\n", "[]"),
    ROW("two lines in one packet are two lines", "RSET\r\nNOOP\r\n", "[RSET][NOOP]"),
    ROW("a line without its end is waited for", "NOO", ""),
    ROW("a CR at the end of what has arrived may become CRLF", "NOOP\r", ""),
    ROW("a line one byte above the maximum is refused", "NOOP 67890123456789\r\n", "(long)"),
    ROW("a line of exactly the maximum, with its CRLF, is accepted", "NOOP 6789012345678\r\n", "[NOOP 6789012345678]"),
    ROW("a line that is too long is skipped to its end", "NOOP 678901234567890123456789\r\nQUIT\r\n", "(long)[QUIT]"),
    ROW("a line with a bare LF is refused as a whole", "NOOP\nQUIT\r\nRSET\r\n", "(lf)[RSET]"),
    ROW("a bare LF with nothing behind it is answered at once", "NOOP\n", "(lf)"),
    ROW("a line with a bare CR is refused as a whole", "NOOP\rQUIT\r\nRSET\r\n", "(cr)[RSET]"),
    ROW("CR CR LF holds a bare CR", "NOOP\r\r\nRSET\r\n", "(cr)[RSET]"),
    ROW("a NUL is refused", "NO\0OP\r\nRSET\r\n", "(nul)[RSET]"),
#undef ROW
};

static const char *const fault_signs[] = {
    [COMMAND_LINE_TOO_LONG] = "(long)",
    [COMMAND_LINE_BARE_CR] = "(cr)",
    [COMMAND_LINE_BARE_LF] = "(lf)",
    [COMMAND_LINE_NUL] = "(nul)",
};

/* Works off everything in `pending`; returns how much is left. */
static size_t take_all(struct command_line_reader *reader, char *pending, size_t length, char *results) {
    for (;;) {
        struct text line;
        size_t consumed;
        enum command_line_result result = command_line_next(reader, (struct text){pending, length}, &line, &consumed);
        if (result == COMMAND_LINE_ITEM)
            snprintf(results + strlen(results), 64, "[%.*s]", TEXT_ARGS(line));
        else if (result != COMMAND_LINE_MORE)
            memcpy(results + strlen(results), fault_signs[result], strlen(fault_signs[result]) + 1);
        memmove(pending, pending + consumed, length - consumed);
        length -= consumed;
        if (result == COMMAND_LINE_MORE)
            return length;
    }
}

static void lines_in_one_piece(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof line_rows / sizeof line_rows[0]; i++) {
        struct command_line_reader reader;
        char pending[256], results[256] = "";
        command_line_reader_init(&reader, MAXIMUM);
        memcpy(pending, line_rows[i].bytes, line_rows[i].length);
        (void)take_all(&reader, pending, line_rows[i].length, results);
        if (strcmp(results, line_rows[i].results) != 0)
            fail_msg("%s: wanted %s, got %s", line_rows[i].sentence, line_rows[i].results, results);
    }
}

/* The same rows byte by byte. Only a bare LF differs: each time it is the last byte there is. */
static void lines_byte_by_byte(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof line_rows / sizeof line_rows[0]; i++) {
        struct command_line_reader reader;
        char pending[256], results[256] = "";
        size_t length = 0;
        if (strstr(line_rows[i].results, "(lf)") != NULL)
            continue;
        command_line_reader_init(&reader, MAXIMUM);
        for (size_t at = 0; at < line_rows[i].length; at++) {
            pending[length++] = line_rows[i].bytes[at];
            length = take_all(&reader, pending, length, results);
            assert_true(length <= MAXIMUM);
        }
        if (strcmp(results, line_rows[i].results) != 0)
            fail_msg("byte by byte, %s: wanted %s, got %s", line_rows[i].sentence, line_rows[i].results, results);
    }
}

static const struct {
    const char *sentence, *line, *verb, *argument;
} split_rows[] = {
    {"a verb alone", "NOOP", "NOOP", ""},
    {"a verb and its argument", "MAIL FROM:<a@b>", "MAIL", "FROM:<a@b>"},
    {"blanks around the argument are not part of it", "EHLO   x.test  ", "EHLO", "x.test"},
    {"a tab separates too", "EHLO\tx.test", "EHLO", "x.test"},
    {"DATABASE is not DATA with something behind it", "DATABASE", "DATABASE", ""},
    {"an empty line has no verb", "", "", ""},
};

static void verbs_and_arguments(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof split_rows / sizeof split_rows[0]; i++) {
        struct text verb, argument;
        command_line_split(text_of(split_rows[i].line), &verb, &argument);
        if (!text_equal(verb, text_of(split_rows[i].verb)) || !text_equal(argument, text_of(split_rows[i].argument)))
            fail_msg("%s: got '%.*s' and '%.*s'", split_rows[i].sentence, TEXT_ARGS(verb), TEXT_ARGS(argument));
    }
}

static const struct {
    const char *sentence, *rest, *results;
} parameter_rows[] = {
    {"nothing behind the path", "", ""},
    {"blanks behind the path", "  ", ""},
    {"a keyword with a value", " SIZE=100", "SIZE=100;"},
    {"two parameters", " SIZE=100 BODY=8BITMIME", "SIZE=100;BODY=8BITMIME;"},
    {"a keyword without a value", " SMTPUTF8", "SMTPUTF8;"},
    {"no blank between path and parameter", "SIZE=100", "bad"},
    {"a value must not be empty", " SIZE=", "bad"},
    {"a value has no second '='", " SIZE=1=2", "bad"},
    {"a keyword begins with a letter or digit", " -SIZE=1", "bad"},
    {"a keyword is not empty", " =1", "bad"},
    {"what is no UTF-8 is no value", " X=\xff", "bad"},
};

static void parameters(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof parameter_rows / sizeof parameter_rows[0]; i++) {
        struct text rest = text_of(parameter_rows[i].rest);
        struct command_parameter parameter;
        enum command_parameter_result result;
        char results[256] = "";
        while ((result = command_parameter_next(&rest, &parameter)) == COMMAND_PARAMETER_ITEM)
            snprintf(results + strlen(results), sizeof results - strlen(results), "%.*s%s%.*s;",
                     TEXT_ARGS(parameter.keyword), parameter.has_value ? "=" : "", TEXT_ARGS(parameter.value));
        if (result == COMMAND_PARAMETER_BAD)
            snprintf(results, sizeof results, "bad");
        if (strcmp(results, parameter_rows[i].results) != 0)
            fail_msg("%s: wanted %s, got %s", parameter_rows[i].sentence, parameter_rows[i].results, results);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_in_one_piece),
        cmocka_unit_test(lines_byte_by_byte),
        cmocka_unit_test(verbs_and_arguments),
        cmocka_unit_test(parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
