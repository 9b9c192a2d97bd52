/* SPDX-License-Identifier: MIT
 * Private keys of certificates, and the one thing that is done with them: signing for TLS handshakes. Held by the
 * signer alone; who shows a certificate has its key signed with by number (tls_set_signer). */
#ifndef TLS_KEYS_H
#define TLS_KEYS_H
#include "base/buffer.h"
#include "base/text.h"
#include "tls/tls.h"
#include <stdbool.h>
#include <stdint.h>

#define TLS_SIGNATURE_MAXIMUM 2048u /* bytes: RSA with 16384 bits */

enum tls_signed {
    TLS_SIGNED,
    TLS_SIGN_FAILED, /* by the library */
    TLS_SIGN_REFUSED /* no such key, a scheme that is not the key's, SHA-1 where the preset has none, or nothing that a
                        TLS server signs */
};

struct tls_keys;
/* Reads every key of the settings, in their order, which is how they are numbered, and holds each against its
 * certificate. Where an identity has none, a key is made, the last, with a certificate (DER, into self_signed). NULL
 * with a sentence in error, and errno when it was a file. */
struct tls_keys *tls_keys_read(const struct tls_settings *settings, struct buffer *self_signed, struct buffer *error);
void tls_keys_free(struct tls_keys *keys);
size_t tls_keys_count(const struct tls_keys *keys);
/* Writes them into a file, from which tls_keys_load makes them again; false, NULL when that fails. Loading leaves the
 * descriptor's position alone: processes share it. */
bool tls_keys_store(const struct tls_keys *keys, int fd);
struct tls_keys *tls_keys_load(int fd, enum tls_preset preset);

/* key: its number; scheme: RFC 8446 4.2.3; content: what is signed, before any hashing. */
enum tls_signed tls_keys_sign(const struct tls_keys *keys, uint32_t key, uint32_t scheme, struct text content,
                              struct buffer *signature);
/* This process signs for itself: `parcelpost check` and tests. The keys stay the caller's, and have to outlive it. */
void tls_keys_use(const struct tls_keys *keys);
#endif
