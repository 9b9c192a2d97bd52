/* SPDX-License-Identifier: MIT
 * Private to tls/: one TLS connection as a stream's transport, for both sides. */
#ifndef TLS_SESSION_H
#define TLS_SESSION_H
#include "tls/tls.h"
#include <openssl/ssl.h>

struct tls_session;
/* Shakes hands on the stream's descriptor and becomes its transport; ssl is owned from now on, freed on failure. What
 * is in the stream's input is taken for the peer's first bytes of the handshake. */
enum stream_result session_start(struct stream *stream, SSL *ssl, int64_t deadline, struct tls_facts *facts,
                                 char *reason, size_t size);
/* NULL when the stream's transport is another one. */
SSL *session_ssl(const struct stream *stream);
/* Settings that both sides share: protocol versions, memory, no renegotiation. False on failure. */
bool session_prepare_context(SSL_CTX *context);
/* The last OpenSSL error in words, or words for none. */
const char *session_error(const char *otherwise);
#endif
