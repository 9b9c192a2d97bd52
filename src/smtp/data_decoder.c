/* SPDX-License-Identifier: MIT
 * The byte machine for mail data. Called by receivers on bytes from anybody, after privileges are gone; cannot fail. It
 * copies nothing: what lies between two taken-away dots goes to the sink as one piece of the input. */
#include "smtp/data_decoder.h"
#include <string.h>

#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (unsigned char)(value))

/* What has been read of the input but not yet given to the sink: [start, at). */
struct run {
    struct text input;
    size_t start;
    data_decoder_sink *sink;
    void *context;
};

static void give(struct run *run, size_t end) {
    if (end > run->start)
        run->sink(run->context, text_first(text_from(run->input, run->start), end - run->start));
    run->start = end;
}

static void note_fault(struct data_decoder *decoder, enum data_fault fault) {
    if (decoder->fault == DATA_FAULT_NONE)
        decoder->fault = fault;
}

void data_decoder_init(struct data_decoder *decoder, bool normalise) {
    *decoder = (struct data_decoder){.state = DECODER_LINE_START, .normalise = normalise};
}

/* A byte within a line. A bare LF does not start a line: a dot behind it is no dot at the start of one. */
static enum data_decoder_state text_byte(struct data_decoder *decoder, char byte) {
    if (byte == '\r')
        return DECODER_TEXT_CR;
    if (byte == '\n' && !decoder->normalise)
        note_fault(decoder, DATA_FAULT_BARE_LF);
    else if (byte == '\0')
        note_fault(decoder, DATA_FAULT_NUL);
    else if ((unsigned char)byte > 0x7f)
        decoder->eight_bit = true;
    return DECODER_TEXT;
}

/* Behind a CR: only LF completes it. */
static enum data_decoder_state cr_byte(struct data_decoder *decoder, char byte) {
    if (byte == '\n')
        return DECODER_LINE_START;
    if (!decoder->normalise)
        note_fault(decoder, DATA_FAULT_BARE_CR);
    return text_byte(decoder, byte);
}

static enum data_decoder_state next_state(struct data_decoder *decoder, char byte) {
    switch (decoder->state) {
    case DECODER_LINE_START:
        return byte == '.' ? DECODER_DOT : text_byte(decoder, byte);
    case DECODER_DOT:
        return byte == '\r' ? DECODER_DOT_CR : text_byte(decoder, byte);
    case DECODER_DOT_CR:
        return byte == '\n' ? DECODER_END : cr_byte(decoder, byte);
    case DECODER_TEXT:
        return text_byte(decoder, byte);
    case DECODER_TEXT_CR:
        return cr_byte(decoder, byte);
    case DECODER_END:
        break;
    }
    return DECODER_END;
}

/* True for bytes that change nothing within a line: most of them. */
static bool is_plain(char byte) {
    return (unsigned char)byte > '\r' && (unsigned char)byte <= 0x7f;
}

/* Where the plain bytes from `at` on end. Eight at a time: a byte that is not plain has its high bit, or gets it (by
 * borrowing at the latest) when what is above CR is taken away. */
static size_t skip_plain(struct text input, size_t at) {
    uint64_t word;

    for (; input.length - at >= sizeof word; at += sizeof word) {
        memcpy(&word, input.data + at, sizeof word);
        if (((word | (word - EACH_BYTE('\r' + 1))) & EACH_BYTE(0x80)) != 0)
            break;
    }
    while (at < input.length && is_plain(input.data[at]))
        at++;
    return at;
}

/* A dot at the start of a line is dropped, and so is the CR behind it until it is known to belong to no end of data
 * (which is a fault anyway: ".CR" without LF). */
static void keep_or_drop(struct run *run, enum data_decoder_state state, size_t at) {
    if (state == DECODER_DOT)
        give(run, at);
    if (state == DECODER_DOT || state == DECODER_DOT_CR || state == DECODER_END)
        run->start = at + 1;
}

/* Before a byte: the half that a bare line end lacks. A CR behind a dot was held back, and comes now. */
static void complete_line_end(struct run *run, enum data_decoder_state state, char byte, size_t at) {
    bool after_cr = state == DECODER_TEXT_CR || state == DECODER_DOT_CR;

    if (after_cr == (byte == '\n'))
        return;
    give(run, at);
    if (!after_cr)
        run->sink(run->context, TEXT("\r"));
    else
        run->sink(run->context, state == DECODER_DOT_CR ? TEXT("\r\n") : TEXT("\n"));
}

enum data_decoder_result data_decoder_feed(struct data_decoder *decoder, struct text input, data_decoder_sink *sink,
                                           void *context, size_t *consumed) {
    struct run run = {.input = input, .sink = sink, .context = context};
    size_t at = 0;

    while (at < input.length && decoder->state != DECODER_END) {
        if (decoder->state == DECODER_TEXT && is_plain(input.data[at])) {
            at = skip_plain(input, at + 1);
            continue;
        }
        if (decoder->normalise)
            complete_line_end(&run, decoder->state, input.data[at], at);
        decoder->state = next_state(decoder, input.data[at]);
        keep_or_drop(&run, decoder->state, at);
        at++;
    }
    give(&run, at);
    *consumed = at;
    return decoder->state == DECODER_END ? DATA_DECODER_END : DATA_DECODER_MORE;
}
