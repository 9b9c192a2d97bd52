/* SPDX-License-Identifier: MIT
 * HMAC-SHA1 with OpenSSL, which no other folder below the processes may include. Called by lookup for SRS; a failure of
 * the library is one of memory, and ends the process. */
#include "tls/keyed_hash.h"
#include "base/log.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>

void keyed_hash(struct text key, struct text data, unsigned char hash[KEYED_HASH_SIZE]) {
    unsigned length = KEYED_HASH_SIZE;
    if (HMAC(EVP_sha1(), key.data, (int)key.length, (const unsigned char *)data.data, data.length, hash, &length) ==
        NULL) {
        die_out_of_memory();
    }
}
