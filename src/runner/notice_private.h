/* SPDX-License-Identifier: MIT
 * What the three files that build a notice share. */
#ifndef RUNNER_NOTICE_PRIVATE_H
#define RUNNER_NOTICE_PRIVATE_H
#include "runner/notice.h"

#define NOTICE_ADDRESS_ROOM 700
#define NOTICE_REPLY_ROOM 600
#define NOTICE_SHORT_RECIPIENT 110   /* bytes for one in the machine's part with what RFC 3464 demands, no address */
#define NOTICE_ENVELOPE_RESERVE 5000 /* bytes for the envelope and the last boundary */

/* An address or other words for a header or the report: printable ASCII, bounded. */
const char *notice_shown(char *room, size_t size, struct text value);
/* An address in UTF-8, where it is that and harmless; else as notice_shown. */
const char *notice_shown_utf8(char *room, size_t size, const char *address);
/* RFC 6533: an address of somebody's is not ASCII: the words of the notice are UTF-8. And: the addressee's own is not,
 * so that the whole notice is for SMTPUTF8. */
bool notice_has_utf8(const struct notice *notice);
bool notice_is_international(const struct notice *notice);
/* The boundary, Content-Description and Content-Type of the next part. */
bool notice_put_part(const struct notice *notice, struct buffer *out, const char *description, const char *type);
const char *notice_subject(const struct notice *notice);
/* The part for people, in at most `room` bytes beside what every notice has (notice_words.c). */
bool notice_put_words(const struct notice *notice, struct buffer *out, size_t room);
/* The part for programs (notice_status.c). */
bool notice_put_status(const struct notice *notice, struct buffer *out);
#endif
