/* SPDX-License-Identifier: MIT
 * Unit test of smtp/chunk_decoder: lengths alone end a chunk, bare CR and LF are found in every split over chunks and
 * packets, and nothing is changed. */
#include "base/buffer.h"
#include "smtp/chunk_decoder.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
// clang-format on

#define BYTES(literal)                                                                                                 \
    { (literal), sizeof(literal) - 1 }

static void collect(void *context, struct text piece) {
    assert_true(buffer_append_text(context, piece));
}

static const struct {
    const char *sentence;
    struct text data;
    enum data_fault fault;
    bool eight_bit, binary, is_binary;
} rows[] = {
    {"lines", BYTES("Subject: x\r\n\r\na\r\n"), DATA_FAULT_NONE, false, false, false},
    {"what would end DATA", BYTES("a\r\n.\r\nMAIL FROM:<>\r\n..\r\n"), DATA_FAULT_NONE, false, false, false},
    {"no line end at the end", BYTES("a\r\nb"), DATA_FAULT_NONE, false, false, false},
    {"8-bit", BYTES("\xc3\xa4\r\n"), DATA_FAULT_NONE, true, false, false},
    {"a bare CR", BYTES("a\rb\r\n"), DATA_FAULT_BARE_CR, false, false, false},
    {"a bare CR at the end", BYTES("a\r\n\r"), DATA_FAULT_BARE_CR, false, false, false},
    {"two CR", BYTES("a\r\r\n"), DATA_FAULT_BARE_CR, false, false, false},
    {"a bare LF", BYTES("a\nb\r\n"), DATA_FAULT_BARE_LF, false, false, false},
    {"a bare LF at the start", BYTES("\n"), DATA_FAULT_BARE_LF, false, false, false},
    {"LF dot LF", BYTES("a\n.\n"), DATA_FAULT_BARE_LF, false, false, false},
    {"a NUL", BYTES("a\0b\r\n"), DATA_FAULT_NUL, false, false, false},
    {"a binary body", BYTES("Subject: x\r\n\r\na\nb\rc\0"), DATA_FAULT_NONE, false, true, true},
    {"a binary body without a header", BYTES("\r\n\n"), DATA_FAULT_NONE, false, true, true},
    {"called binary, and is lines", BYTES("Subject: x\r\n\r\n\xc3\r\n\r\n"), DATA_FAULT_NONE, true, true, false},
    {"a CR at the end of a binary body", BYTES("\r\n\r"), DATA_FAULT_NONE, false, true, true},
    {"a binary message's header is lines", BYTES("Subject: x\ny\r\n\r\n"), DATA_FAULT_BARE_LF, false, true, false},
    {"nor may its header hold a NUL", BYTES("a\0\r\n\r\n"), DATA_FAULT_NUL, false, true, false},
    {"LF LF does not end its header", BYTES("a\n\n\0"), DATA_FAULT_BARE_LF, false, true, false},
};

/* The data as two chunks cut at `cut`, each arriving in packets of `packet` bytes with commands behind it. */
static void feed_cut(size_t row, size_t cut, size_t packet) {
    struct text chunks[2] = {text_first(rows[row].data, cut), text_from(rows[row].data, cut)};
    struct chunk_decoder decoder = {.binary = rows[row].binary, .normalise = rows[row].binary};
    struct buffer input, output;

    buffer_init(&output, 4096);
    for (size_t i = 0; i < 2; i++) {
        size_t at = 0, consumed;
        enum data_decoder_result result = DATA_DECODER_MORE;
        buffer_init(&input, 4096);
        (void)buffer_append_text(&input, chunks[i]);
        (void)buffer_append_string(&input, "NOOP\n");
        chunk_decoder_begin(&decoder, chunks[i].length);
        while (result == DATA_DECODER_MORE) {
            struct text rest = text_from(buffer_text(&input), at);
            result = chunk_decoder_feed(&decoder, text_first(rest, packet), collect, &output, &consumed);
            at += consumed;
        }
        assert_int_equal(at, chunks[i].length);
        buffer_free(&input);
    }
    chunk_decoder_finish(&decoder, collect, &output);
    if (decoder.fault != rows[row].fault || decoder.eight_bit != rows[row].eight_bit ||
        decoder.is_binary != rows[row].is_binary)
        fail_msg("%s, cut at %zu, packets of %zu: fault %d", rows[row].sentence, cut, packet, (int)decoder.fault);
    assert_true(text_equal(buffer_text(&output), rows[row].data));
    buffer_free(&output);
}

static void every_split_gives_the_same(void **state) {
    (void)state;
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++)
        for (size_t cut = 0; cut <= rows[row].data.length; cut++)
            for (size_t packet = 1; packet <= rows[row].data.length + 5; packet++)
                feed_cut(row, cut, packet);
}

/* RFC 5321 4.5.3.1.6: such a line is nothing for DATA where its sender said that it is binary. */
static void a_line_that_is_too_long_is_binary(void **state) {
    static char line[1002] = "\r\n";
    (void)state;
    for (size_t length = 997; length < 1000; length++) {
        struct chunk_decoder decoder = {.binary = true};
        struct buffer output;
        size_t consumed;
        memset(line + 2, 'x', length);
        buffer_init(&output, 4096);
        chunk_decoder_begin(&decoder, length + 2);
        (void)chunk_decoder_feed(&decoder, (struct text){line, length + 2}, collect, &output, &consumed);
        chunk_decoder_finish(&decoder, collect, &output);
        assert_int_equal(decoder.is_binary, length > 998);
        buffer_free(&output);
    }
}

static const struct {
    const char *sentence, *argument;
    bool valid, last;
    uint64_t size;
} arguments[] = {
    {"a size", "10", true, false, 10},
    {"nothing, the last", "0 LAST", true, true, 0},
    {"in small letters", "7 last", true, true, 7},
    {"no size", "", false, false, 0},
    {"LAST alone", "LAST", false, false, 0},
    {"a negative size", "-1", false, false, 0},
    {"a sign", "+1", false, false, 0},
    {"another word", "1 FIRST", false, false, 0},
    {"a word more", "1 LAST LAST", false, false, 0},
    {"more than there is", "99999999999999999999", false, false, 0},
};

static void arguments_are_read_strictly(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof arguments / sizeof arguments[0]; i++) {
        uint64_t size = 0;
        bool last = false;
        bool valid = chunk_parse(text_of(arguments[i].argument), &size, &last);
        if (valid != arguments[i].valid || (valid && (size != arguments[i].size || last != arguments[i].last)))
            fail_msg("%s", arguments[i].sentence);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_split_gives_the_same),
        cmocka_unit_test(a_line_that_is_too_long_is_binary),
        cmocka_unit_test(arguments_are_read_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
