/* SPDX-License-Identifier: MIT
 * The signer's keys: which domain is signed with which. Private to this folder. */
#ifndef SIGNER_KEYS_H
#define SIGNER_KEYS_H
#include "config/config.h"
#include "dkim/dkim.h"
struct keys {
    struct dkim_key **items;
    size_t count;
};
/* Reads every configured key: the dkim blocks, and dkim_private_key_file for each local domain that has no block of the
 * same selector. Each signs a message once, so that a key that cannot is found at start. False with a sentence. */
bool keys_read(struct keys *keys, const struct config *config, struct buffer *error);
void keys_free(struct keys *keys);
/* The name that keys for this domain are configured under: itself, or the nearest parent domain; "" when none is. */
struct text keys_domain(const struct keys *keys, struct text domain);
#endif
