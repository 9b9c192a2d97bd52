/* SPDX-License-Identifier: MIT
 * The presets of protocol versions and ciphers: Mozilla's "Server Side TLS", guidelines 5.7, in OpenSSL's names. Called
 * when a context is made, in the listener; fails only when OpenSSL knows none of a list. Of its oldest those are left
 * out in which the server's key decrypts (RSA key exchange): ours only signs. In their place DHE with AES and SHA-1,
 * which all of them know that are not older than 2002 (RFC 3268). */
#include "tls/server.h"

#define AEAD                                                                                                           \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"                         \
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"                           \
    "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305"
#define CBC                                                                                                            \
    "ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:"                   \
    "ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:"                   \
    "DHE-RSA-AES128-SHA256:DHE-RSA-AES256-SHA256:DHE-RSA-AES128-SHA:DHE-RSA-AES256-SHA"

static const struct preset {
    int least_version;
    const char *ciphers; /* of TLS 1.2 and before */
    uint64_t options;
} presets[] = {
    [TLS_PRESET_MODERN] = {TLS1_3_VERSION, AEAD, 0}, /* no use is made of the list */
    [TLS_PRESET_INTERMEDIATE] = {TLS1_2_VERSION, AEAD, 0},
    /* Signatures by SHA-1, which these versions have, are below OpenSSL's level 1. */
    [TLS_PRESET_OLD] = {TLS1_VERSION, AEAD ":" CBC ":@SECLEVEL=0", SSL_OP_CIPHER_SERVER_PREFERENCE},
};

bool preset_allows(enum tls_preset preset, int version) {
    return version >= presets[preset].least_version;
}

bool preset_apply(SSL_CTX *context, enum tls_preset preset) {
    const struct preset *row = &presets[preset];

    SSL_CTX_set_options(context, row->options);
    return SSL_CTX_set_min_proto_version(context, row->least_version) == 1 &&
           SSL_CTX_set_cipher_list(context, row->ciphers) == 1 &&
           SSL_CTX_set_ciphersuites(
               context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") == 1 &&
           SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384") == 1;
}
