/* SPDX-License-Identifier: MIT
 * The table of private keys. Read from their files as root by a process that ends right after (listener/key_reader.c),
 * loaded from its memory file by the signer before it drops. A file that cannot be used is a sentence that names it. */
#include "tls/keys.h"
#include "base/file.h"
#include "base/memory.h"
#include "tls/scheme.h"
#include "tls/server.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#define STORED_MAXIMUM (16u * 1024 * 1024)

struct tls_keys {
    EVP_PKEY **items;
    size_t count;
    enum tls_preset preset;
};

/* Owns the key from now on. */
static void add(struct tls_keys *keys, EVP_PKEY *key) {
    keys->items = memory_resize(keys->items, keys->count + 1, sizeof *keys->items);
    keys->items[keys->count++] = key;
}

static bool add_pair(struct tls_keys *keys, const char *certificate_file, const char *file, struct buffer *error) {
    X509 *certificate = certificate_read(certificate_file, error);
    EVP_PKEY *key = certificate != NULL ? certificate_read_key(file, error) : NULL;
    bool fits = key != NULL && X509_check_private_key(certificate, key) == 1;

    if (key != NULL && !fits)
        (void)buffer_format(error, "private key %s does not belong to certificate %s", file, certificate_file);
    if (key != NULL)
        add(keys, key);
    X509_free(certificate);
    return fits;
}

static bool add_self_signed(struct tls_keys *keys, const char *name, struct buffer *certificate, struct buffer *error) {
    EVP_PKEY *key = self_signed_make(name, certificate);

    if (key != NULL)
        add(keys, key);
    else
        (void)buffer_format(error, "a self-signed certificate cannot be made: %s", session_error("OpenSSL fails"));
    return key != NULL;
}

static bool read_all(struct tls_keys *keys, const struct tls_settings *settings, struct buffer *self_signed,
                     struct buffer *error) {
    bool all = true;

    for (size_t i = 0; i < settings->count; i++) {
        const struct tls_identity *identity = &settings->identities[i];
        all = all && identity->count > 0;
        for (size_t j = 0; j < identity->count; j++)
            if (!add_pair(keys, identity->certificates[j], identity->private_keys[j], error))
                return false;
    }
    return all || add_self_signed(keys, settings->own_name, self_signed, error);
}

struct tls_keys *tls_keys_read(const struct tls_settings *settings, struct buffer *self_signed, struct buffer *error) {
    struct tls_keys *keys = memory_new(1, sizeof *keys);
    keys->preset = settings->preset;
    bool good = read_all(keys, settings, self_signed, error);
    int reason = errno;

    ERR_clear_error();
    if (!good) {
        tls_keys_free(keys);
        keys = NULL;
    }
    errno = reason;
    return keys;
}

void tls_keys_free(struct tls_keys *keys) {
    if (keys == NULL)
        return;
    for (size_t i = 0; i < keys->count; i++)
        EVP_PKEY_free(keys->items[i]); /* which wipes it */
    free(keys->items);
    free(keys);
}

size_t tls_keys_count(const struct tls_keys *keys) {
    return keys->count;
}

/* ---- in a file ---- */

bool tls_keys_store(const struct tls_keys *keys, int fd) {
    BIO *file = BIO_new_fd(fd, BIO_NOCLOSE);
    bool good = file != NULL;

    for (size_t i = 0; good && i < keys->count; i++)
        good = i2d_PKCS8PrivateKeyInfo_bio(file, keys->items[i]) == 1;
    BIO_free(file);
    ERR_clear_error();
    return good;
}

static bool parse(struct tls_keys *keys, const unsigned char *bytes, size_t length) {
    const unsigned char *end = bytes + length;
    EVP_PKEY *key;

    while (bytes < end && (key = d2i_AutoPrivateKey(NULL, &bytes, end - bytes)) != NULL)
        add(keys, key);
    ERR_clear_error();
    return bytes == end;
}

struct tls_keys *tls_keys_load(int fd, enum tls_preset preset) {
    struct tls_keys *keys = memory_new(1, sizeof *keys);
    keys->preset = preset;
    int64_t length = file_size(fd);
    bool good = length > 0 && length <= STORED_MAXIMUM;
    unsigned char *bytes = good ? memory_new((size_t)length, 1) : NULL;

    good = good && file_pread_all(fd, bytes, (size_t)length, 0) && parse(keys, bytes, (size_t)length);
    if (bytes != NULL)
        explicit_bzero(bytes, (size_t)length);
    free(bytes);
    if (good)
        return keys;
    tls_keys_free(keys);
    return NULL;
}

/* ---- signing ---- */

static bool sign(EVP_PKEY *key, const struct scheme *scheme, struct text content, struct buffer *signature) {
    const char *digest = scheme->digest != NID_undef ? OBJ_nid2sn(scheme->digest) : NULL;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *options = NULL;
    size_t length = TLS_SIGNATURE_MAXIMUM;
    char *place = buffer_reserve(signature, length);
    bool good = context != NULL && place != NULL &&
                EVP_DigestSignInit_ex(context, &options, digest, NULL, NULL, key, NULL) == 1;

    if (good && scheme->pss)
        good = EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1;
    good = good && EVP_DigestSign(context, (unsigned char *)place, &length, (const unsigned char *)content.data,
                                  content.length) == 1;
    if (good)
        buffer_advance(signature, length);
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return good;
}

enum tls_signed tls_keys_sign(const struct tls_keys *keys, uint32_t key, uint32_t scheme_code, struct text content,
                              struct buffer *signature) {
    const struct scheme *scheme = scheme_of_code(scheme_code);

    if (key >= keys->count || scheme == NULL || EVP_PKEY_is_a(keys->items[key], scheme->type) != 1 ||
        !scheme_is_allowed(scheme, keys->preset) || !scheme_signs(scheme, content))
        return TLS_SIGN_REFUSED;
    return sign(keys->items[key], scheme, content, signature) ? TLS_SIGNED : TLS_SIGN_FAILED;
}

static const struct tls_keys *own; /* of tls_keys_use */

static bool sign_here(int channel, uint32_t key, uint32_t scheme, struct text content, struct buffer *signature) {
    (void)channel;
    return tls_keys_sign(own, key, scheme, content, signature) == TLS_SIGNED;
}

void tls_keys_use(const struct tls_keys *keys) {
    own = keys;
    tls_set_signer(sign_here, -1);
}
