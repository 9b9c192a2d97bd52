/* SPDX-License-Identifier: MIT
 * Private to tls/: what is signed in handshakes and how. One row a signature scheme; both sides of the signer's channel
 * read it. */
#ifndef TLS_SCHEME_H
#define TLS_SCHEME_H
#include "base/text.h"
#include "tls/tls.h"
#include <stdbool.h>
#include <stdint.h>

/* The pair of hashes that RSA keys sign in TLS 1.0 and 1.1 has no number (RFC 4346 7.4.3). */
#define SCHEME_RSA_MD5_SHA1 1u

struct scheme {
    uint32_t code;    /* RFC 8446 4.2.3 */
    const char *type; /* of the key, in OpenSSL's names */
    int digest;       /* NID; NID_undef where the scheme hashes by itself */
    bool pss;         /* RSA: the padding, with a salt as long as the digest, else PKCS #1 v1.5 */
    bool tls13;       /* may sign a CertificateVerify of TLS 1.3 (RFC 8446 4.2.3: no PKCS #1, no SHA-1) */
};
const struct scheme *scheme_of_code(uint32_t code);
/* The one for this key, digest and padding; NULL for none. */
const struct scheme *scheme_find(const char *type, int digest, bool pss);
/* True when any scheme has this kind of key with this digest. */
bool scheme_has_digest(const char *type, int digest);
/* SHA-1 belongs to TLS 1.0 and 1.1, which only one preset has. */
bool scheme_is_allowed(const struct scheme *scheme, enum tls_preset preset);
/* True for what a TLS server signs in this scheme: the content of CertificateVerify (RFC 8446 4.4.3), or of
 * ServerKeyExchange before that (RFC 8422 5.4, RFC 5246 7.4.3). Neither can be read as the other, and nothing a mail
 * server signs otherwise begins like one. */
bool scheme_signs(const struct scheme *scheme, struct text content);
#endif
