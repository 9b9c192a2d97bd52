/* SPDX-License-Identifier: MIT
 * SCRAM-SHA-256's keys with OpenSSL, see scram.h. Called by lookup on what strangers sent, and by `parcelpost user`. A
 * failure of the library is one of memory, and ends the process. */
#include "tls/scram.h"
#include "base/log.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

static struct text key_text(const unsigned char key[SCRAM_KEY_SIZE]) {
    return (struct text){(const char *)key, SCRAM_KEY_SIZE};
}

static void keyed(struct text key, struct text data, unsigned char hash[SCRAM_KEY_SIZE]) {
    unsigned length = SCRAM_KEY_SIZE;
    if (HMAC(EVP_sha256(), key.data, (int)key.length, (const unsigned char *)data.data, data.length, hash, &length) ==
        NULL) {
        die_out_of_memory();
    }
}

static void digest(struct text data, unsigned char hash[SCRAM_KEY_SIZE]) {
    if (SHA256((const unsigned char *)data.data, data.length, hash) == NULL) {
        die_out_of_memory();
    }
}

void scram_make(struct text password, struct text salt, uint32_t iterations, struct scram_verifier *verifier) {
    unsigned char salted[SCRAM_KEY_SIZE], client_key[SCRAM_KEY_SIZE];
    *verifier = (struct scram_verifier){.iterations = iterations, .salt_length = salt.length};
    if (salt.length > SCRAM_SALT_MAXIMUM) {
        die_panic("a salt of %zu bytes", salt.length);
    }
    memcpy(verifier->salt, salt.data, salt.length);
    if (PKCS5_PBKDF2_HMAC(password.data, (int)password.length, verifier->salt, (int)salt.length, (int)iterations,
                          EVP_sha256(), SCRAM_KEY_SIZE, salted) != 1) {
        die_out_of_memory();
    }
    keyed(key_text(salted), TEXT("Client Key"), client_key);
    digest(key_text(client_key), verifier->stored_key);
    keyed(key_text(salted), TEXT("Server Key"), verifier->server_key);
    OPENSSL_cleanse(salted, sizeof salted);
    OPENSSL_cleanse(client_key, sizeof client_key);
}

void scram_make_false(struct text secret, struct text name, uint32_t iterations, struct scram_verifier *verifier) {
    unsigned char of_name[SCRAM_KEY_SIZE];
    *verifier = (struct scram_verifier){.iterations = iterations, .salt_length = SCRAM_SALT_SIZE};
    keyed(secret, name, of_name);
    keyed(key_text(of_name), TEXT("salt"), verifier->stored_key);
    memcpy(verifier->salt, verifier->stored_key, SCRAM_SALT_SIZE);
    keyed(key_text(of_name), TEXT("StoredKey"), verifier->stored_key);
    keyed(key_text(of_name), TEXT("ServerKey"), verifier->server_key);
    OPENSSL_cleanse(of_name, sizeof of_name);
}

bool scram_check(const struct scram_verifier *verifier, struct text auth_message, struct text proof,
                 unsigned char server_signature[SCRAM_KEY_SIZE]) {
    unsigned char client_key[SCRAM_KEY_SIZE], hash[SCRAM_KEY_SIZE];
    bool whole = proof.length == SCRAM_KEY_SIZE;
    keyed(key_text(verifier->stored_key), auth_message, client_key); /* ClientSignature */
    for (size_t i = 0; whole && i < SCRAM_KEY_SIZE; i++) {
        client_key[i] ^= (unsigned char)proof.data[i];
    }
    digest(key_text(client_key), hash);
    keyed(key_text(verifier->server_key), auth_message, server_signature);
    bool same = CRYPTO_memcmp(hash, verifier->stored_key, sizeof hash) == 0;
    OPENSSL_cleanse(client_key, sizeof client_key);
    return same && whole;
}

/* ---- as text ---- */

static bool take_key(struct text encoded, unsigned char key[SCRAM_KEY_SIZE]) {
    size_t length;
    return text_base64_decode(encoded, (char *)key, SCRAM_KEY_SIZE, &length) && length == SCRAM_KEY_SIZE;
}

bool scram_parse(struct text stored, struct scram_verifier *verifier) {
    struct text mechanism, iterations, salt, stored_key;
    uint64_t number;
    *verifier = (struct scram_verifier){.iterations = 0};
    bool good = text_split(&stored, '$', &mechanism) && text_equal(mechanism, TEXT("SCRAM-SHA-256")) &&
                text_split(&stored, ':', &iterations) && text_split(&stored, '$', &salt) &&
                text_split(&stored, ':', &stored_key) && text_number(iterations, SCRAM_ITERATIONS_MAXIMUM, &number) &&
                number > 0 &&
                text_base64_decode(salt, (char *)verifier->salt, SCRAM_SALT_MAXIMUM, &verifier->salt_length) &&
                verifier->salt_length > 0 && take_key(stored_key, verifier->stored_key) &&
                take_key(stored, verifier->server_key);
    if (good) {
        verifier->iterations = (uint32_t)number;
    }
    return good;
}

void scram_format(const struct scram_verifier *verifier, char stored[SCRAM_TEXT_SIZE]) {
    char salt[2 * SCRAM_SALT_MAXIMUM], stored_key[2 * SCRAM_KEY_SIZE], server_key[2 * SCRAM_KEY_SIZE];
    (void)text_base64_encode((struct text){(const char *)verifier->salt, verifier->salt_length}, salt, sizeof salt);
    (void)text_base64_encode(key_text(verifier->stored_key), stored_key, sizeof stored_key);
    (void)text_base64_encode(key_text(verifier->server_key), server_key, sizeof server_key);
    (void)snprintf(stored, SCRAM_TEXT_SIZE, "SCRAM-SHA-256$%u:%s$%s:%s", (unsigned)verifier->iterations, salt,
                   stored_key, server_key);
}
