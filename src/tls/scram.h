/* SPDX-License-Identifier: MIT
 * The keys of SCRAM-SHA-256 (RFC 5802 3, RFC 7677): made from a password once, compared with a client's proof later.
 * Values, no I/O; who has the keys of a user can answer in the server's place, so only lookup and `parcelpost user` do.
 */
#ifndef TLS_SCRAM_H
#define TLS_SCRAM_H
#include "base/text.h"
#include <stdint.h>
#define SCRAM_KEY_SIZE 32  /* SHA-256 */
#define SCRAM_SALT_SIZE 16 /* of those that are made here */
#define SCRAM_SALT_MAXIMUM 64
#define SCRAM_TEXT_SIZE 384
#define SCRAM_ITERATIONS_MINIMUM 4096 /* RFC 7677 4 */
#define SCRAM_ITERATIONS_MAXIMUM 10000000

struct scram_verifier {
    uint32_t iterations;
    size_t salt_length;
    unsigned char salt[SCRAM_SALT_MAXIMUM], stored_key[SCRAM_KEY_SIZE], server_key[SCRAM_KEY_SIZE];
};
/* password: prepared (mail/saslprep.h). salt: up to SCRAM_SALT_MAXIMUM bytes. */
void scram_make(struct text password, struct text salt, uint32_t iterations, struct scram_verifier *verifier);
/* For a user who is not there: its salt is always the same for a name, and nobody has the keys. */
void scram_make_false(struct text secret, struct text name, uint32_t iterations, struct scram_verifier *verifier);
/* True when the proof is that of the password. The signature is made in either case. */
bool scram_check(const struct scram_verifier *verifier, struct text auth_message, struct text proof,
                 unsigned char server_signature[SCRAM_KEY_SIZE]);
/* As it is stored, "SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey" with base64 (RFC 5803). False: malformed. */
bool scram_parse(struct text stored, struct scram_verifier *verifier);
void scram_format(const struct scram_verifier *verifier, char stored[SCRAM_TEXT_SIZE]);
#endif
