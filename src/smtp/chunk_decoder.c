/* SPDX-License-Identifier: MIT
 * The byte machine for chunks. Called by receivers on bytes from anybody, after privileges are gone; cannot fail. */
#include "smtp/chunk_decoder.h"

#define LINE_LONGEST 998 /* RFC 5321 4.5.3.1.6, without the CR LF */

/* What stands in the body of a binary message is none, but it keeps the message from going on with DATA. */
static void note_fault(struct chunk_decoder *decoder, enum data_fault fault) {
    if (decoder->binary && decoder->in_body)
        decoder->is_binary = true;
    else if (decoder->fault == DATA_FAULT_NONE)
        decoder->fault = fault;
}

/* This byte shows that a CR or LF stands alone: the one before it, or itself. */
static bool is_bare(const struct chunk_decoder *decoder, char byte) {
    return decoder->after_cr != (byte == '\n');
}

/* A binary message is never changed. */
static bool is_normalised(const struct chunk_decoder *decoder) {
    return decoder->normalise && !decoder->binary;
}

static void count_line(struct chunk_decoder *decoder, char byte) {
    bool ends = decoder->after_cr && byte == '\n';

    decoder->in_body |= ends && decoder->line_length == 0;
    decoder->line_length = ends ? 0 : decoder->line_length + (byte != '\r' || decoder->after_cr);
    if (decoder->line_length > LINE_LONGEST)
        decoder->is_binary = true;
}

static void look_at(struct chunk_decoder *decoder, char byte) {
    if (is_bare(decoder, byte) && !is_normalised(decoder))
        note_fault(decoder, decoder->after_cr ? DATA_FAULT_BARE_CR : DATA_FAULT_BARE_LF);
    if (byte == '\0')
        note_fault(decoder, DATA_FAULT_NUL);
    decoder->eight_bit |= (unsigned char)byte > 0x7f;
    if (decoder->binary)
        count_line(decoder, byte);
    decoder->after_cr = byte == '\r';
}

static void give(struct text input, size_t *from, size_t to, data_decoder_sink *sink, void *context) {
    if (to > *from)
        sink(context, text_first(text_from(input, *from), to - *from));
    *from = to;
}

void chunk_decoder_begin(struct chunk_decoder *decoder, uint64_t size) {
    decoder->remaining = size;
}

enum data_decoder_result chunk_decoder_feed(struct chunk_decoder *decoder, struct text input, data_decoder_sink *sink,
                                            void *context, size_t *consumed) {
    size_t length = input.length < decoder->remaining ? input.length : (size_t)decoder->remaining;

    size_t given = 0;

    for (size_t i = 0; i < length; i++) {
        if (is_normalised(decoder) && is_bare(decoder, input.data[i])) {
            give(input, &given, i, sink, context);
            sink(context, decoder->after_cr ? TEXT("\n") : TEXT("\r"));
        }
        look_at(decoder, input.data[i]);
    }
    give(input, &given, length, sink, context);
    decoder->remaining -= length;
    *consumed = length;
    return decoder->remaining == 0 ? DATA_DECODER_END : DATA_DECODER_MORE;
}

void chunk_decoder_finish(struct chunk_decoder *decoder, data_decoder_sink *sink, void *context) {
    if (decoder->after_cr && is_normalised(decoder))
        sink(context, TEXT("\n"));
    else if (decoder->after_cr)
        note_fault(decoder, DATA_FAULT_BARE_CR);
}

bool chunk_parse(struct text argument, uint64_t *size, bool *last) {
    size_t blank = text_find(argument, ' ');
    struct text word = text_trim(text_from(argument, blank));

    *last = text_equal_nocase(word, TEXT("LAST"));
    return text_number(text_first(argument, blank), INT64_MAX, size) && (*last || word.length == 0);
}
