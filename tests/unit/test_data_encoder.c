/* SPDX-License-Identifier: MIT
 * Mail data on its way out: dots, line ends, pieces of any size. */
#include "smtp/data_encoder.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

static const struct {
    const char *sentence, *message, *wire;
} rows[] = {
    {"an ordinary message gets its end", "a\r\n\r\nb\r\n", "a\r\n\r\nb\r\n.\r\n"},
    {"an empty message is only the end", "", ".\r\n"},
    {"a last line without an end gets one", "a", "a\r\n.\r\n"},
    {"a dot at the start of the message is doubled", ".a\r\n", "..a\r\n.\r\n"},
    {"a dot at the start of a line is doubled", "a\r\n.b\r\n", "a\r\n..b\r\n.\r\n"},
    {"a line that is only a dot is doubled", "a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n.\r\n"},
    {"two dots become three", "..\r\n", "...\r\n.\r\n"},
    {"dots inside a line stay", "a.b.\r\n", "a.b.\r\n.\r\n"},
    {"a dot as last byte is doubled and ended", "a\r\n.", "a\r\n..\r\n.\r\n"},
    {"a bare LF becomes CRLF", "a\nb\r\n", "a\r\nb\r\n.\r\n"},
    {"a bare CR becomes CRLF", "a\rb\r\n", "a\r\nb\r\n.\r\n"},
    {"a CR at the end becomes CRLF", "a\r", "a\r\n.\r\n"},
    {"CR CR LF is two line ends", "a\r\r\nb", "a\r\n\r\nb\r\n.\r\n"},
    {"a dot behind a bare LF is doubled, so that nothing is smuggled", "a\n.\r\nMAIL", "a\r\n..\r\nMAIL\r\n.\r\n"},
    {"a dot behind a bare CR is doubled", "a\r.\r\n", "a\r\n..\r\n.\r\n"},
    {"a dot before a bare LF cannot end the data", "a\r\n.\nb", "a\r\n..\r\nb\r\n.\r\n"},
    {"eight-bit bytes stay", "\xc3\xa4\xff\r\n", "\xc3\xa4\xff\r\n.\r\n"},
};

static void check(const char *message, const char *wire, size_t piece) {
    struct data_encoder encoder;
    struct buffer output;
    struct text rest = text_of(message);
    buffer_init(&output, 4096);
    data_encoder_init(&encoder);
    while (rest.length > 0) {
        assert_true(data_encoder_piece(&encoder, text_first(rest, piece), &output));
        rest = text_from(rest, piece);
    }
    assert_true(data_encoder_end(&encoder, &output));
    assert_string_equal(buffer_string(&output), wire);
    buffer_free(&output);
}

static void messages_are_encoded_whatever_the_pieces(void **state) {
    static const size_t pieces[] = {1, 2, 3, 1000};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t j = 0; j < COUNT_OF(pieces); j++) {
            print_message("%s (pieces of %zu)\n", rows[i].sentence, pieces[j]);
            check(rows[i].message, rows[i].wire, pieces[j]);
        }
    }
}

static void a_piece_at_most_doubles_and_adds_one(void **state) {
    static const char *const worst[] = {"\n\n\n\n", "\n.\n.\n.", "\r\r\r\r", ".\n.\n"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(worst); i++) {
        struct data_encoder encoder;
        struct buffer output;
        data_encoder_init(&encoder);
        buffer_init(&output, 2 * strlen(worst[i]) + 1);
        assert_true(data_encoder_piece(&encoder, text_of(worst[i]), &output));
        buffer_free(&output);
    }
}

static void a_full_buffer_is_told(void **state) {
    struct data_encoder encoder;
    struct buffer output;
    (void)state;
    data_encoder_init(&encoder);
    buffer_init(&output, 3);
    assert_false(data_encoder_piece(&encoder, TEXT("\n\n\n"), &output));
    buffer_free(&output);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_encoded_whatever_the_pieces),
        cmocka_unit_test(a_piece_at_most_doubles_and_adds_one),
        cmocka_unit_test(a_full_buffer_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
