/* SPDX-License-Identifier: MIT
 * Fuzz target: mail data. However it is cut into pieces, DATA gives the same message, fault and end; what is encoded
 * is decoded to itself; chunks give what was in them; a file gets LF line ends and no byte is lost. */
#include "agent/line_ends.h"
#include "base/file.h"
#include "fuzz.h"
#include "smtp/chunk_decoder.h"
#include "smtp/data_encoder.h"
#include <unistd.h>

struct outcome {
    struct data_decoder decoder;
    enum data_decoder_result result;
    struct buffer message;
    size_t used;
};

static void fuzz_start(void) {
}

static void keep(void *context, struct text piece) {
    FUZZ_CHECK(buffer_append_text(context, piece));
}

/* size 0: all at once */
static void decode(struct text data, size_t size, bool normalise, struct outcome *outcome) {
    buffer_init(&outcome->message, 1u << 20);
    data_decoder_init(&outcome->decoder, normalise);
    outcome->used = 0;
    do {
        struct text piece = text_from(data, outcome->used);
        size_t consumed;

        if (size > 0)
            piece = text_first(piece, size);
        outcome->result = data_decoder_feed(&outcome->decoder, piece, keep, &outcome->message, &consumed);
        FUZZ_CHECK(consumed <= piece.length);
        FUZZ_CHECK(outcome->result == DATA_DECODER_END || consumed == piece.length);
        outcome->used += consumed;
    } while (outcome->result == DATA_DECODER_MORE && outcome->used < data.length);
}

static void check_splits(struct text data, size_t size, bool normalise) {
    struct outcome whole, split;

    decode(data, 0, normalise, &whole);
    decode(data, size, normalise, &split);
    FUZZ_CHECK(!normalise || whole.decoder.fault == DATA_FAULT_NONE || whole.decoder.fault == DATA_FAULT_NUL);
    FUZZ_CHECK(whole.result == split.result && whole.used == split.used);
    FUZZ_CHECK(whole.decoder.fault == split.decoder.fault && whole.decoder.eight_bit == split.decoder.eight_bit);
    FUZZ_CHECK(whole.decoder.fault != DATA_FAULT_NONE ||
               text_equal(buffer_text(&whole.message), buffer_text(&split.message)));
    if (whole.result == DATA_DECODER_END)
        FUZZ_CHECK(text_ends_nocase(text_first(data, whole.used), TEXT(".\r\n")));
    buffer_free(&whole.message);
    buffer_free(&split.message);
}

/* Nothing that we send can hold a line end other than CRLF, or an end before its end. */
static void check_encoder(struct text data, size_t size) {
    struct data_encoder encoder;
    struct outcome back;
    struct buffer wire;

    buffer_init(&wire, 1u << 21);
    data_encoder_init(&encoder);
    for (size_t at = 0; at < data.length; at += size)
        FUZZ_CHECK(data_encoder_piece(&encoder, text_first(text_from(data, at), size), &wire));
    FUZZ_CHECK(data_encoder_end(&encoder, &wire));
    decode(buffer_text(&wire), 0, false, &back);
    FUZZ_CHECK(back.result == DATA_DECODER_END && back.used == wire.length);
    FUZZ_CHECK(back.decoder.fault == DATA_FAULT_NONE || back.decoder.fault == DATA_FAULT_NUL);
    buffer_free(&back.message);
    buffer_free(&wire);
}

static void check_chunks(struct text data, size_t size, bool normalise, bool binary) {
    struct chunk_decoder decoder = {.normalise = normalise, .binary = binary};
    struct buffer message;
    size_t consumed = 0, taken = 0;

    buffer_init(&message, 1u << 20);
    while (taken < data.length) {
        struct text chunk = text_first(text_from(data, taken), 3 * size);
        chunk_decoder_begin(&decoder, chunk.length);
        for (size_t at = 0; at < chunk.length; at += consumed) {
            (void)chunk_decoder_feed(&decoder, text_first(text_from(chunk, at), size), keep, &message, &consumed);
            FUZZ_CHECK(consumed > 0);
        }
        FUZZ_CHECK(decoder.remaining == 0);
        taken += chunk.length;
    }
    chunk_decoder_finish(&decoder, keep, &message);
    FUZZ_CHECK(decoder.fault != DATA_FAULT_NONE || normalise || text_equal(buffer_text(&message), data));
    buffer_free(&message);
}

static void check_file(struct text data, size_t size, bool kept) {
    static struct line_ends ends;
    struct buffer written;
    int fd = file_memory("file");
    size_t lost = 0;

    ends = (struct line_ends){.kept = kept};
    for (size_t at = 0; at < data.length; at += size)
        FUZZ_CHECK(line_ends_write(fd, &ends, text_first(text_from(data, at), size)));
    FUZZ_CHECK(line_ends_finish(fd, &ends) && lseek(fd, 0, SEEK_SET) == 0);
    buffer_init(&written, 1u << 20);
    FUZZ_CHECK(file_read_into(fd, &written));
    for (size_t at = 1; !kept && at < data.length; at++)
        lost += data.data[at - 1] == '\r' && data.data[at] == '\n';
    FUZZ_CHECK(written.length + lost == data.length);
    buffer_free(&written);
    (void)close(fd);
}

/* As long as pieces are, and without a line end, so that nothing becomes shorter. */
static void check_long_piece(char byte) {
    static struct line_ends ends;
    static char piece[DELIVERY_PIECE];
    int fd = file_memory("file");

    memset(piece, byte == '\r' || byte == '\n' ? 'x' : byte, sizeof piece);
    piece[0] = '\r';
    ends = (struct line_ends){.kept = false};
    FUZZ_CHECK(line_ends_write(fd, &ends, (struct text){piece, sizeof piece}) && line_ends_finish(fd, &ends));
    FUZZ_CHECK(file_size(fd) == (int64_t)sizeof piece);
    (void)close(fd);
}

static void fuzz_one(struct text input) {
    uint8_t flags = fuzz_byte(&input);
    size_t size = flags % 7 + 1;

    check_splits(input, size, flags & 0x80);
    check_encoder(input, size);
    check_chunks(input, size, flags & 0x80, flags & 0x40);
    check_file(input, size, flags & 0x20);
    if (flags & 0x10 && input.length > 0)
        check_long_piece(input.data[0]);
}
