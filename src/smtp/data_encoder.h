/* SPDX-License-Identifier: MIT
 * Mail data for the wire (RFC 5321 4.5.2): a byte machine that doubles a dot at the start of a line, turns a bare CR or
 * bare LF into CRLF, so that no line of ours can end any other way (smuggling), and ends with CRLF.CRLF. The message
 * may come in pieces of any size. Called by the client; values only, fails only when the output buffer is full. */
#ifndef SMTP_DATA_ENCODER_H
#define SMTP_DATA_ENCODER_H
#include "base/buffer.h"
#include "base/text.h"
#include <stdbool.h>

enum data_encoder_state {
    ENCODER_LINE_START, /* nothing yet, or behind CRLF */
    ENCODER_INSIDE,     /* within a line */
    ENCODER_AFTER_CR    /* a CR was written; what follows decides */
};
struct data_encoder {
    enum data_encoder_state state;
};
void data_encoder_init(struct data_encoder *encoder);
/* Appends one piece, encoded: at most twice its length plus one byte. False when output is full (then use it no more).
 */
bool data_encoder_piece(struct data_encoder *encoder, struct text piece, struct buffer *output);
/* Appends what ends the mail data: CRLF if the last line has none, and ".CRLF". */
bool data_encoder_end(struct data_encoder *encoder, struct buffer *output);
#endif
