/* SPDX-License-Identifier: MIT
 * The server's side of a TLS handshake in a session: behind STARTTLS, or at the very beginning. */
#ifndef RECEIVER_HANDSHAKE_H
#define RECEIVER_HANDSHAKE_H
#include <stdbool.h>
struct session;
/* Behind STARTTLS. False: it failed, which is logged, and nothing can be said any more. */
bool handshake_shake(struct session *session);
/* A connection that begins with TLS (RFC 8314 3.3). What is plain text is logged and a violation. */
bool handshake_begin(struct session *session);
#endif
