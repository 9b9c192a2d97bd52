/* SPDX-License-Identifier: MIT
 * From the wire's CRLF to the LF of files and filters, over pieces of any size. Used by maildir.c and filter.c. */
#ifndef AGENT_LINE_ENDS_H
#define AGENT_LINE_ENDS_H
#include "agent/delivery.h"
#include <stdbool.h>
struct line_ends { /* all zero at the start */
    bool kept;     /* set by the caller: of a binary message no byte is changed */
    bool after_cr;
    char out[DELIVERY_PIECE + 1];
};
/* Writes the piece with each CRLF as LF unless they are kept; no other byte changes. False with errno. */
bool line_ends_write(int fd, struct line_ends *ends, struct text piece);
/* Writes what the last piece left open. False with errno. */
bool line_ends_finish(int fd, struct line_ends *ends);
#endif
