/* SPDX-License-Identifier: MIT
 * What signing and verifying share: handles of libopendkim and feeding it a message. Private to this folder. */
#ifndef DKIM_LIBRARY_H
#define DKIM_LIBRARY_H
#include "dkim/dkim.h"
#include <sys/types.h>

#include <opendkim/dkim.h>
#define DKIM_SIGNATURES_MAXIMUM 10u         /* fields looked at, from the top: the newest */
#define DKIM_FIELDS_MAXIMUM 2000u           /* header fields handed over */
#define DKIM_FIELD_MAXIMUM (128u * 1024)    /* bytes of one; longer ones are left out, so that what covers them fails */
#define DKIM_SIGNATURE_FIELD_MAXIMUM 16384u /* bytes of a DKIM-Signature field */
struct dkim_key {
    char *domain, *selector;
    char *pem;                       /* RSA: libopendkim reads it for each signature; NULL for Ed25519 */
    struct evp_pkey_st *openssl_key; /* Ed25519, else NULL */
};
/* The fields that are signed, NULL at the end. */
extern const char *const library_signed_fields[];
/* One handle a process for each use, made on first use. NULL when libopendkim cannot start (logged). */
DKIM_LIB *library_for_signing(void);
DKIM_LIB *library_for_verifying(void);
/* Hands over the header fields. False when libopendkim is out of resources. *signatures counts DKIM-Signature fields.
 */
bool library_feed_headers(DKIM *dkim, struct text headers, unsigned *signatures);
/* Hands over the body in pieces of at most 64 KiB. False when it cannot be read (logged) or libopendkim fails. */
bool library_feed_body(DKIM *dkim, const struct dkim_source *source);
/* The callback of the verifying handle: finds the public key through the lookup in the handle's user context. */
struct library_lookup {
    dkim_lookup *lookup;
    void *context;
};
DKIM_CBSTAT library_find_key(DKIM *dkim, DKIM_SIGINFO *signature, u_char *record, size_t size);
/* The callback that refuses query methods that we do not speak before anything is computed. */
DKIM_CBSTAT library_prescreen(DKIM *dkim, DKIM_SIGINFO **signatures, int count);
#endif
