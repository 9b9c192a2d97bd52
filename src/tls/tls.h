/* SPDX-License-Identifier: MIT
 * TLS with OpenSSL, as a stream's transport. Certificates and keys are read by the listener before it forks; the only
 * folder that includes OpenSSL's headers. */
#ifndef TLS_TLS_H
#define TLS_TLS_H
#include "base/buffer.h"
#include "base/stream.h"
#include <stdbool.h>
struct tls_server;
struct tls_client;
/* What a session's handshake gave, for Received, rows and rules. */
struct tls_facts {
    char version[16], cipher[64], server_name[256] /* SNI */;
    unsigned cipher_bits;
    bool verified;          /* client side: the chain and name were valid */
    char verify_error[128]; /* why not, "" */
};
/* Reads certificate chain and key (PEM). NULL with a sentence in error (missing, unreadable, do not match). */
struct tls_server *tls_server_new(const char *certificate, const char *private_key, struct buffer *error);
void tls_server_free(struct tls_server *server);
/* Server handshake on the stream; its input must be empty (RFC 3207 4.2: the caller discards or refuses what came
 * before). On success the stream's transport is TLS. reason gets words for the log. */
enum stream_result tls_accept(struct stream *stream, struct tls_server *server, int64_t deadline,
                              struct tls_facts *facts, char *reason, size_t size);
/* The same where the connection begins with the handshake (RFC 8314 3.3): what was read already is its beginning. */
enum stream_result tls_accept_begun(struct stream *stream, struct tls_server *server, int64_t deadline,
                                    struct tls_facts *facts, char *reason, size_t size);
/* The channel binding of the connection: kind is "tls-exporter" (RFC 9266; TLS 1.3) or "tls-server-end-point" (RFC
 * 5929). False: another kind, one that this connection has not, or no TLS. */
#define TLS_BINDING_MAXIMUM 64
bool tls_channel_binding(const struct stream *stream, struct text kind, unsigned char bytes[TLS_BINDING_MAXIMUM],
                         size_t *length);
/* A client context with the system's CA certificates (loaded now, before any chroot). Dies on failure. */
struct tls_client *tls_client_new(void);
/* Client handshake with SNI for host (none for address literals). Never fails for a certificate that cannot be
 * verified: facts->verified tells. */
enum stream_result tls_connect(struct stream *stream, struct tls_client *client, const char *host, int64_t deadline,
                               struct tls_facts *facts, char *reason, size_t size);
#endif
