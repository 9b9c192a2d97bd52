/* SPDX-License-Identifier: MIT
 * Reading and cutting the header section of RFC 5322 messages: fields, unfolding, counting; values, no I/O. Never
 * changes a byte of what it does not remove. */
#ifndef MAIL_HEADER_H
#define MAIL_HEADER_H
#include "base/buffer.h"
#include "base/text.h"
#include <stdbool.h>
struct header_field {
    struct text whole; /* with its CRLF, folded lines included */
    struct text name;  /* without the colon and blanks before it */
    struct text value; /* raw, still folded, without leading blank and final CRLF */
};
/* Length of the header section including its final CRLF, without the empty line; everything when there is none. A line
 * that is neither a field nor a continuation ends the section (RFC 5322 2.1). */
size_t header_section_length(struct text message);
/* Takes the next field off *section (start it with the section's text); false at the end. */
bool header_next(struct text *section, struct header_field *field);
/* First field of this name; false when absent. */
bool header_find(struct text section, const char *name, struct header_field *field);
unsigned header_count(struct text section, const char *name);
/* The value unfolded (CRLF removed) into value; false when cut. */
bool header_value(const struct header_field *field, char *value, size_t size);
/* True for an Authentication-Results field whose authserv-id (RFC 8601 2.5) is name, any case, comments respected. */
bool header_claims_our_results(const struct header_field *field, const char *name);
/* True when an Auto-Submitted field (RFC 3834 5) says anything but "no", parameters and comments aside. */
bool header_is_automatic(struct text section);
#endif
