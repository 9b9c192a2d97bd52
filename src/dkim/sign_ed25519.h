/* SPDX-License-Identifier: MIT
 * Ed25519 signatures (RFC 8463). Private to this folder. */
#ifndef DKIM_SIGN_ED25519_H
#define DKIM_SIGN_ED25519_H
#include "dkim/library.h"
/* As dkim_sign_message, for a key that is Ed25519. */
bool ed25519_sign_message(const struct dkim_key *key, const struct dkim_source *source, struct buffer *header);
#endif
