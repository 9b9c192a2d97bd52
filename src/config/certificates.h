/* SPDX-License-Identifier: MIT
 * The configured certificates, as TLS wants them. */
#ifndef CONFIG_CERTIFICATES_H
#define CONFIG_CERTIFICATES_H
#include "config/config.h"
#include "tls/keys.h"
#include "tls/tls.h"

/* False when none is configured, or the file is not there. */
bool config_has_certificate(const struct config *config);
/* The keys of all certificates, in their order; where there is none, one with a self-signed certificate (DER, into
 * self_signed, else nothing). NULL with a sentence in error. Called by who can read the keys. */
struct tls_keys *config_tls_keys(const struct config *config, struct buffer *self_signed, struct buffer *error);
/* Everything that clients are shown; NULL with a sentence in error. Signs to rehearse: tls_set_signer comes before. */
struct tls_server *config_tls_server(const struct config *config, struct text self_signed, struct buffer *error);
/* The files that a client which asks for this name is shown: the tls_certificate block's, or the key's. */
const struct config_strings *config_certificates_for(const struct config *config, struct text name);
#endif
