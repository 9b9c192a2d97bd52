/* SPDX-License-Identifier: MIT
 * The header fields that a receiver adds: Received, Authentication-Results, and for members' mail a missing Date and
 * Message-ID. Values only. */
#ifndef RECEIVER_RECEIVED_H
#define RECEIVER_RECEIVED_H
#include "base/buffer.h"
#include "mail/envelope.h"
#include <stdbool.h>

/* RFC 5321 4.4, RFC 3848, RFC 6531 4.3: the word after "with". */
const char *received_protocol(bool lmtp, bool extended, bool tls, bool authenticated, bool utf8);
/* Appends "Received: …" with its CRLF, from what the envelope says. local_uid: of a peer on this host, or -1. `for`
 * only with one recipient, so that nobody learns of the others. */
bool received_format(struct buffer *headers, const struct envelope *envelope, const char *server_name,
                     int64_t local_uid);
/* Appends Date and Message-ID when the header section has none (RFC 6409 8.2, 8.3); a Message-ID that is made is set in
 * the envelope too. */
bool received_add_missing(struct buffer *headers, struct text section, struct envelope *envelope,
                          const char *server_name);
/* Appends "Authentication-Results: NAME; results" (RFC 8601 2.2), one result a line. */
bool received_results(struct buffer *headers, const char *server_name, struct text results);
#endif
