/* SPDX-License-Identifier: MIT
 * The data encoder's byte machine; see data_encoder.h. Runs in delivery agents. Ordinary runs of bytes are copied
 * whole; only dots at line starts, CR and LF are looked at one by one. */
#include "smtp/data_encoder.h"
#include <string.h>

void data_encoder_init(struct data_encoder *encoder) {
    encoder->state = ENCODER_LINE_START;
}

/* How many bytes from `from` on are neither CR nor LF. */
static size_t run_length(struct text piece, size_t from) {
    size_t end = from;
    while (end < piece.length && piece.data[end] != '\r' && piece.data[end] != '\n') {
        end++;
    }
    return end - from;
}

/* A run of ordinary bytes; a CR that stood alone before it gets the LF it lacked. */
static bool put_run(struct data_encoder *encoder, const char *bytes, size_t length, struct buffer *output) {
    if (encoder->state == ENCODER_AFTER_CR) {
        if (!buffer_append_byte(output, '\n')) {
            return false;
        }
        encoder->state = ENCODER_LINE_START;
    }
    if (encoder->state == ENCODER_LINE_START && bytes[0] == '.' && !buffer_append_byte(output, '.')) {
        return false;
    }
    encoder->state = ENCODER_INSIDE;
    return buffer_append(output, bytes, length);
}

static bool put_cr(struct data_encoder *encoder, struct buffer *output) {
    bool appended =
        encoder->state == ENCODER_AFTER_CR ? buffer_append(output, "\n\r", 2) : buffer_append_byte(output, '\r');
    encoder->state = ENCODER_AFTER_CR;
    return appended;
}

static bool put_lf(struct data_encoder *encoder, struct buffer *output) {
    bool appended =
        encoder->state == ENCODER_AFTER_CR ? buffer_append_byte(output, '\n') : buffer_append(output, "\r\n", 2);
    encoder->state = ENCODER_LINE_START;
    return appended;
}

bool data_encoder_piece(struct data_encoder *encoder, struct text piece, struct buffer *output) {
    size_t at = 0;
    while (at < piece.length) {
        size_t length = run_length(piece, at);
        bool put;
        if (length > 0) {
            put = put_run(encoder, piece.data + at, length, output);
        } else {
            length = 1;
            put = piece.data[at] == '\r' ? put_cr(encoder, output) : put_lf(encoder, output);
        }
        if (!put) {
            return false;
        }
        at += length;
    }
    return true;
}

bool data_encoder_end(struct data_encoder *encoder, struct buffer *output) {
    static const char *const endings[] = {
        [ENCODER_LINE_START] = ".\r\n",
        [ENCODER_INSIDE] = "\r\n.\r\n",
        [ENCODER_AFTER_CR] = "\n.\r\n",
    };
    const char *ending = endings[encoder->state];
    encoder->state = ENCODER_LINE_START;
    return buffer_append_string(output, ending);
}
