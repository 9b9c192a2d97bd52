/* SPDX-License-Identifier: MIT
 * Private to tls/: an OpenSSL provider whose keys are elsewhere. A key of it is a public key and a number; what it
 * signs is signed by the function of tls_set_signer. */
#ifndef TLS_PROVIDER_H
#define TLS_PROVIDER_H
#include <openssl/core.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

#define PROVIDER_NAME "parcelpost"

struct delegated_key {
    const char *type; /* in OpenSSL's names */
    EVP_PKEY *public; /* of another provider */
    bool signs;       /* has a number; a peer's key that was imported to be compared has none */
    uint32_t number;
};

/* Makes the provider known to this process and its children; false when OpenSSL does not take it. */
bool provider_load(void);
/* The private key of this certificate, as something to be shown to OpenSSL: NULL when there is no such kind of key. */
EVP_PKEY *provider_key(const X509 *certificate, uint32_t number);

/* ---- provider_signature.c ---- */
extern const OSSL_DISPATCH provider_signature[];
#endif
