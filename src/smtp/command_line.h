/* SPDX-License-Identifier: MIT
 * Command lines as a server reads them (RFC 5321 2.3.8, 4.1.1): whole lines out of a stream of bytes, then verb,
 * argument and ESMTP parameters out of a line. Parsers only: no I/O, no policy, nothing allocated. */
#ifndef SMTP_COMMAND_LINE_H
#define SMTP_COMMAND_LINE_H
#include "base/text.h"
#include <stdbool.h>
#include <stddef.h>

enum command_line_result {
    COMMAND_LINE_ITEM,     /* a line */
    COMMAND_LINE_MORE,     /* its end has not arrived */
    COMMAND_LINE_TOO_LONG, /* these four: a line that must be refused; it has been read to its end */
    COMMAND_LINE_BARE_CR,
    COMMAND_LINE_BARE_LF,
    COMMAND_LINE_NUL
};
struct command_line_reader {
    size_t maximum;                 /* of a line with its CRLF */
    enum command_line_result fault; /* of the line being read; COMMAND_LINE_ITEM: none so far */
    size_t length;                  /* of what was skipped of a faulty line */
    char previous;                  /* the last byte skipped */
};
void command_line_reader_init(struct command_line_reader *reader, size_t maximum);
/* Looks at everything that has arrived. *consumed bytes are to be taken off the input, for a line after its use: *line
 * is borrowed and has no CRLF. Only CRLF ends a line; a line with a bare LF is refused as a whole, but when that LF is
 * the last byte there is, it is refused at once, because its sender is waiting for a reply. */
enum command_line_result command_line_next(struct command_line_reader *reader, struct text input, struct text *line,
                                           size_t *consumed);

/* "verb argument" without the blanks around either. */
void command_line_split(struct text line, struct text *verb, struct text *argument);

enum command_parameter_result { COMMAND_PARAMETER_ITEM, COMMAND_PARAMETER_END, COMMAND_PARAMETER_BAD };
struct command_parameter {
    struct text keyword;
    struct text value; /* "" without '=' */
    bool has_value;
};
/* Takes the next `esmtp-keyword ["=" esmtp-value]` (RFC 5321 4.1.2) off *rest, which is what stands behind the path:
 * nothing, or a blank first. */
enum command_parameter_result command_parameter_next(struct text *rest, struct command_parameter *parameter);
#endif
