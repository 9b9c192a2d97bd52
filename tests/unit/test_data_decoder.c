/* SPDX-License-Identifier: MIT
 * Unit test of smtp/data_decoder: the byte machine for mail data, with every cut of the input. */
#include "base/buffer.h"
#include "smtp/data_decoder.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

static const struct row {
    const char *sentence;
    struct text input, message;
    size_t behind; /* bytes behind the end of data, which must be left alone */
    enum data_fault fault;
    bool open; /* the data does not end */
} rows[] = {
    {"lines are the message", TEXT("one\r\ntwo\r\n.\r\n"), TEXT("one\r\ntwo\r\n"), 0, DATA_FAULT_NONE, false},
    {"an empty message ends at once", TEXT(".\r\n"), TEXT(""), 0, DATA_FAULT_NONE, false},
    {"an empty line is kept", TEXT("\r\n.\r\n"), TEXT("\r\n"), 0, DATA_FAULT_NONE, false},
    {"a dot at the start of a line is taken away", TEXT("..\r\n...x\r\n.y\r\n.\r\n"), TEXT(".\r\n..x\r\ny\r\n"), 0,
     DATA_FAULT_NONE, false},
    {"the first line's dot is taken away too", TEXT("..first\r\n.\r\n"), TEXT(".first\r\n"), 0, DATA_FAULT_NONE, false},
    {"a dot elsewhere stays", TEXT("a.b.\r\n.\r\n"), TEXT("a.b.\r\n"), 0, DATA_FAULT_NONE, false},
    {"what follows the end is not data", TEXT("x\r\n.\r\nQUIT\r\n"), TEXT("x\r\n"), 6, DATA_FAULT_NONE, false},
    {"bytes above 0x7f are kept", TEXT("gr\xc3\xbc\xff\r\n.\r\n"), TEXT("gr\xc3\xbc\xff\r\n"), 0, DATA_FAULT_NONE,
     false},
    {"other control bytes are kept", TEXT("\x01\t\x0b\x0c\x7f\r\n.\r\n"), TEXT("\x01\t\x0b\x0c\x7f\r\n"), 0,
     DATA_FAULT_NONE, false},
    {"data without its end goes on", TEXT("one\r\n.tw"), TEXT("one\r\ntw"), 0, DATA_FAULT_NONE, true},
    {"LF.CRLF does not end the data", TEXT("x\n.\r\nMAIL\r\n.\r\n"), TEXT(""), 0, DATA_FAULT_BARE_LF, false},
    {"CRLF.LF does not end the data", TEXT("x\r\n.\nMAIL\r\n.\r\n"), TEXT(""), 0, DATA_FAULT_BARE_LF, false},
    {"LF.LF does not end the data", TEXT("x\n.\nMAIL\r\n.\r\n"), TEXT(""), 0, DATA_FAULT_BARE_LF, false},
    {"CR.CRLF does not end the data", TEXT("x\r.\r\nMAIL\r\n.\r\n"), TEXT(""), 0, DATA_FAULT_BARE_CR, false},
    {"CRLF.CR does not end the data", TEXT("x\r\n.\rMAIL\r\n.\r\n"), TEXT(""), 0, DATA_FAULT_BARE_CR, false},
    {"CRLF.CR.CRLF does not end the data", TEXT("x\r\n.\r.\r\nMAIL\r\n.\r\n"), TEXT(""), 0, DATA_FAULT_BARE_CR, false},
    {"CR CR LF holds a bare CR", TEXT("x\r\r\n.\r\n"), TEXT(""), 0, DATA_FAULT_BARE_CR, false},
    {"CRCRLF.CRLF ends the data, refused", TEXT("x\r\r\n.\r\n"), TEXT(""), 0, DATA_FAULT_BARE_CR, false},
    {"a NUL is a fault", TEXT("x\0y\r\n.\r\n"), TEXT(""), 0, DATA_FAULT_NUL, false},
    {"the first fault is the one remembered", TEXT("x\ny\rz\r\n.\r\n"), TEXT(""), 0, DATA_FAULT_BARE_LF, false},
    {"a fault is refused at the real end, in step", TEXT("x\ny\r\n.\r\nRSET\r\n"), TEXT(""), 6, DATA_FAULT_BARE_LF,
     false},
};

static void collect(void *context, struct text piece) {
    assert_true(piece.length > 0);
    assert_true(buffer_append_text(context, piece));
}

/* Feeds the input in pieces of `step` bytes. */
static void check(const struct row *row, size_t step) {
    struct data_decoder decoder;
    struct buffer message;
    size_t at = 0, consumed = 0;
    enum data_decoder_result result = DATA_DECODER_MORE;

    buffer_init(&message, 1024);
    data_decoder_init(&decoder, false);
    while (at < row->input.length && result == DATA_DECODER_MORE) {
        struct text piece = text_first(text_from(row->input, at), step);
        result = data_decoder_feed(&decoder, piece, collect, &message, &consumed);
        assert_true(consumed == piece.length || result == DATA_DECODER_END);
        at += consumed;
    }
    if ((result == DATA_DECODER_MORE) != row->open)
        fail_msg("%s, %zu bytes at a time: %s", row->sentence, step, row->open ? "ended" : "did not end");
    if (decoder.fault != row->fault)
        fail_msg("%s, %zu bytes at a time: fault %d", row->sentence, step, decoder.fault);
    if (row->input.length - at != row->behind)
        fail_msg("%s, %zu bytes at a time: %zu bytes left", row->sentence, step, row->input.length - at);
    if (row->fault == DATA_FAULT_NONE && !text_equal(buffer_text(&message), row->message))
        fail_msg("%s, %zu bytes at a time: got '%.*s'", row->sentence, step, TEXT_ARGS(buffer_text(&message)));
    buffer_free(&message);
}

static void every_row_with_every_cut(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t step = 1; step <= rows[i].input.length; step++)
            check(&rows[i], step);
}

static void eight_bit_is_noticed(void **state) {
    struct data_decoder decoder;
    struct buffer message;
    size_t consumed;

    (void)state;
    buffer_init(&message, 1024);
    data_decoder_init(&decoder, false);
    (void)data_decoder_feed(&decoder, TEXT("plain\r\n"), collect, &message, &consumed);
    assert_false(decoder.eight_bit);
    (void)data_decoder_feed(&decoder, TEXT("\xc3\xbc\r\n"), collect, &message, &consumed);
    assert_true(decoder.eight_bit);
    buffer_free(&message);
}

struct reading {
    struct data_decoder decoder;
    struct buffer message;
    size_t consumed;
};

static void read_in_steps(struct reading *reading, struct text input, size_t step, bool normalise) {
    enum data_decoder_result result = DATA_DECODER_MORE;
    size_t consumed;

    buffer_init(&reading->message, 1024);
    data_decoder_init(&reading->decoder, normalise);
    for (reading->consumed = 0; reading->consumed < input.length && result == DATA_DECODER_MORE;) {
        struct text piece = text_first(text_from(input, reading->consumed), step);
        result = data_decoder_feed(&reading->decoder, piece, collect, &reading->message, &consumed);
        reading->consumed += consumed;
    }
}

/* Every byte at every place of a long line, alone and with what makes an end of it, read whole as byte by byte. */
static void no_byte_is_passed_over_in_a_long_line(void **state) {
    static const struct text behind[] = {TEXT(""), TEXT("\n"), TEXT("\n.\r\nrest"), TEXT("\r\n.\r\nrest")};
    char line[64];

    (void)state;
    for (unsigned round = 0; round < 256 * 32 * 4 * 2; round++) {
        struct text end = behind[round / 2 % 4];
        size_t place = 4 + round / 8 % 32;
        struct reading whole, bytes;
        memset(line, 'x', sizeof line);
        line[place] = (char)(round / 256);
        memcpy(line + place + 1, end.data, end.length);
        read_in_steps(&whole, (struct text){line, sizeof line}, sizeof line, round % 2 != 0);
        read_in_steps(&bytes, (struct text){line, sizeof line}, 1, round % 2 != 0);
        if (memcmp(&whole.decoder, &bytes.decoder, sizeof whole.decoder) != 0 || whole.consumed != bytes.consumed ||
            !text_equal(buffer_text(&whole.message), buffer_text(&bytes.message)))
            fail_msg("byte %u at %zu", round / 256, place);
        buffer_free(&whole.message);
        buffer_free(&bytes.message);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_with_every_cut),
        cmocka_unit_test(eight_bit_is_noticed),
        cmocka_unit_test(no_byte_is_passed_over_in_a_long_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
