/* SPDX-License-Identifier: MIT
 * Mail data as a server reads it (RFC 5321 4.5.2): a byte machine with named states. Only CRLF.CRLF ends the data; a
 * dot at the start of a line is taken away; a bare CR, a bare LF and a NUL are faults, which are remembered while the
 * data is read to its real end, so that the dialogue stays in step and nothing can be smuggled. Where the operator
 * wants bare line ends normalised, the sink gets CRLF for each of them; they end neither the data nor, for dots, a
 * line: what ends the data is the same byte in either mode. No I/O, no memory. */
#ifndef SMTP_DATA_DECODER_H
#define SMTP_DATA_DECODER_H
#include "base/text.h"
#include <stdbool.h>
#include <stddef.h>

enum data_decoder_state {
    DECODER_LINE_START, /* nothing yet, or behind CRLF */
    DECODER_DOT,        /* behind a dot at the start of a line; it is not part of the message */
    DECODER_DOT_CR,     /* behind that dot and a CR */
    DECODER_TEXT,       /* within a line */
    DECODER_TEXT_CR,    /* behind a CR within a line */
    DECODER_END         /* behind CRLF.CRLF */
};
enum data_fault { DATA_FAULT_NONE, DATA_FAULT_BARE_CR, DATA_FAULT_BARE_LF, DATA_FAULT_NUL };
struct data_decoder {
    enum data_decoder_state state;
    bool normalise;        /* a bare CR or LF becomes CRLF, and is no fault */
    enum data_fault fault; /* the first one */
    bool eight_bit;        /* a byte above 0x7f came */
};
enum data_decoder_result { DATA_DECODER_MORE, DATA_DECODER_END };
/* Gets the message's bytes, dots taken away, in pieces that are borrowed. */
typedef void data_decoder_sink(void *context, struct text piece);

void data_decoder_init(struct data_decoder *decoder, bool normalise);
/* Takes all of input, or up to the end of the data; *consumed tells how much. After a fault what the sink gets is no
 * longer meant to be used. */
enum data_decoder_result data_decoder_feed(struct data_decoder *decoder, struct text input, data_decoder_sink *sink,
                                           void *context, size_t *consumed);
#endif
