/* SPDX-License-Identifier: MIT
 * Mail data in chunks of a told length (RFC 3030, BDAT), in whatever pieces it arrives. Nothing in it ends it and no
 * dot is taken away; lines must end in CR LF all the same, as this may be sent on with DATA: a bare CR or LF is a
 * fault, or becomes CRLF where the operator wants that, but in the body of a message whose sender said BODY=BINARYMIME.
 * Values only, no I/O. */
#ifndef SMTP_CHUNK_DECODER_H
#define SMTP_CHUNK_DECODER_H
#include "smtp/data_decoder.h"
#include <stdint.h>

struct chunk_decoder {     /* zeroed before the first chunk of a message */
    bool normalise;        /* a bare CR or LF becomes CRLF, and is no fault */
    uint64_t remaining;    /* of the chunk in hand */
    bool binary;           /* BODY=BINARYMIME: set before the first chunk */
    bool after_cr;         /* the last byte was a CR, perhaps of the chunk before */
    bool in_body;          /* of a binary message: the empty line has come */
    size_t line_length;    /* of its line so far */
    bool is_binary;        /* its body has what is no line: DATA could not carry it */
    enum data_fault fault; /* the first one */
    bool eight_bit;        /* a byte above 0x7f came */
};
/* The next chunk has this many bytes. */
void chunk_decoder_begin(struct chunk_decoder *decoder, uint64_t size);
/* Takes all of input, or up to the end of the chunk (DATA_DECODER_END); *consumed tells how much. The sink gets it in
 * pieces that are borrowed. */
enum data_decoder_result chunk_decoder_feed(struct chunk_decoder *decoder, struct text input, data_decoder_sink *sink,
                                            void *context, size_t *consumed);
/* That was the last chunk: a CR at its end stands alone. */
void chunk_decoder_finish(struct chunk_decoder *decoder, data_decoder_sink *sink, void *context);
/* bdat = size [SP "LAST"], what stands behind the verb. False when it is malformed. */
bool chunk_parse(struct text argument, uint64_t *size, bool *last);
#endif
