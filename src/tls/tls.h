/* SPDX-License-Identifier: MIT
 * TLS with OpenSSL, as a stream's transport. Certificates are read by the listener before it forks, their keys are the
 * signer's (tls/keys.h); the only folder that includes OpenSSL's headers. */
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
    bool resumed;           /* server side: with a ticket of an earlier session */
    /* Server side, of the client's certificate, "": subject and issuer (RFC 4514) when client_ca vouches for it;
     * SHA-256 of any, as openssl(1) prints it. Whoever shows it has its key. */
    char client[256], client_issuer[256], client_fingerprint[3 * 32];
};

/* ---- the server's side ---- */

enum tls_preset { TLS_PRESET_INTERMEDIATE, TLS_PRESET_MODERN, TLS_PRESET_OLD };
/* The certificates of one server name, of different kinds of keys (RSA, ECDSA): the client's choice. */
struct tls_identity {
    const char *name; /* "mail.example.org", "*.example.org"; "" for all that no other has */
    const char *const *certificates, *const
                                         *private_keys; /* PEM files: a chain, and its key, for tls_keys_read alone */
    size_t count;                                       /* 0: a self-signed one is made */
};
struct tls_settings {
    const struct tls_identity *identities; /* the first one's name is "" */
    size_t count;
    const char *own_name;    /* for a self-signed certificate */
    struct text self_signed; /* it, as tls_keys_read made it; "" where every identity has its own */
    enum tls_preset preset;
    bool ask_client;       /* for a certificate; none, or a bad one, is no error */
    const char *client_ca; /* PEM, who may vouch for one; "" */
    long session_lifetime; /* seconds for which a session can be resumed; 0: none can */
};
/* How this process has signatures made with the private keys, which it does not hold: key is a number (tls/keys.h),
 * scheme one of RFC 8446 4.2.3, content what is signed. Appends the signature; false when there is none, which ends the
 * handshake. channel: where to ask. Set before a server is made, and in each process that accepts. */
typedef bool tls_sign_function(int channel, uint32_t key, uint32_t scheme, struct text content,
                               struct buffer *signature);
void tls_set_signer(tls_sign_function *sign, int channel);
/* Reads everything but keys, and rehearses a handshake with each certificate. NULL with a sentence in error (a file is
 * missing, unreadable, cannot be used). */
struct tls_server *tls_server_new(const struct tls_settings *settings, struct buffer *error);
void tls_server_free(struct tls_server *server);
/* The keys that tickets are made with go on: sessions of the former server can be resumed with this one, where both
 * ask the same of clients. */
void tls_server_take_tickets(struct tls_server *server, const struct tls_server *former);
/* Makes a new key when the one in use is session_lifetime old; the former one is still taken. now: clock_now_ms. True
 * when it did: processes forked from now on should serve. */
bool tls_server_rotate(struct tls_server *server, int64_t now);
/* A line in the log about each certificate that has expired or is not valid yet, and about it again when that changes:
 * time passes, and clocks are set. now: seconds since 1970. */
void tls_server_watch_validity(struct tls_server *server, int64_t now);
/* Which identity a server name gets, by their names: its index, exact before wildcard (RFC 6125 6.4.3), else 0. */
size_t tls_name_find(const char *const *names, size_t count, struct text name);
/* True for a name that an identity may have: a host name, or "*." and one. */
bool tls_name_is_valid(struct text name);
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
/* What handshakes and records needed and need no more goes back to the machine: for who waits long. */
void tls_give_back(void);
/* What a certificate file says, for people. */
struct tls_certificate {
    char subject[256], issuer[256], names[512], key[32], until[32], fingerprint[3 * 32];
    bool expired;
};
bool tls_certificate_read(const char *file, struct tls_certificate *certificate, struct buffer *error);

/* ---- the client's side ---- */

/* A client context with the system's CA certificates (loaded now, before any chroot). Dies on failure. */
struct tls_client *tls_client_new(void);
/* Client handshake with SNI for host (none for address literals). Never fails for a certificate that cannot be
 * verified: facts->verified tells. */
enum stream_result tls_connect(struct stream *stream, struct tls_client *client, const char *host, int64_t deadline,
                               struct tls_facts *facts, char *reason, size_t size);
#endif
