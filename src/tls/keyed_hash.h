/* SPDX-License-Identifier: MIT
 * HMAC-SHA1 (RFC 2104), for marks that only their maker can make and know again. */
#ifndef TLS_KEYED_HASH_H
#define TLS_KEYED_HASH_H
#include "base/text.h"
#define KEYED_HASH_SIZE 20
void keyed_hash(struct text key, struct text data, unsigned char hash[KEYED_HASH_SIZE]);
#endif
