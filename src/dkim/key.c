/* SPDX-License-Identifier: MIT
 * DKIM keys: reading private ones, making new ones, the DNS record of each (RFC 6376 3.6.1, RFC 8463 4). Called by the
 * signer before it drops its privileges, and by `parcelpost dkim`. Errors come back as sentences; key bytes are wiped.
 */
#include "base/file.h"
#include "base/memory.h"
#include "dkim/library.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PEM_MAXIMUM (64u * 1024)
#define RSA_BITS_MINIMUM 1024 /* RFC 8301 3.2 */
#define RSA_BITS_NEW 2048u
#define ED25519_PUBLIC_SIZE 32u

static void wipe(struct buffer *secret) {
    if (secret->data != NULL) {
        explicit_bzero(secret->data, secret->capacity);
    }
    buffer_free(secret);
}

/* Instead of asking at the terminal: an encrypted key cannot be read. */
static int no_password(char *password, int size, int writing, void *context) {
    (void)password;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

static bool read_file(const char *file, struct buffer *content, struct buffer *error) {
    if (!file_is_regular("private key", file, error)) {
        return false;
    }
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        int problem = errno;
        buffer_format(error, "%s: the DKIM key cannot be opened: ", file);
        file_say_problem(file, problem, error);
        return false;
    }
    bool good = file_read_into(fd, content);
    if (!good) {
        buffer_format(error, "%s: the DKIM key cannot be read: %s", file, strerror(errno));
    }
    close(fd);
    return good && file_is_private("private key", file, error);
}

static EVP_PKEY *parse_pem(const struct buffer *pem) {
    BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->length);
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
    BIO_free(bio);
    return key;
}

/* Reads the file and checks that the key is one that can sign; NULL with a sentence. */
static EVP_PKEY *read_key(const char *file, struct buffer *pem, struct buffer *error) {
    if (!read_file(file, pem, error)) {
        return NULL;
    }
    EVP_PKEY *key = pem->length > 0 ? parse_pem(pem) : NULL;
    if (key == NULL) {
        buffer_format(error, "%s: this is no private key in PEM form without a password", file);
        return NULL;
    }
    int kind = EVP_PKEY_get_base_id(key);
    if (kind == EVP_PKEY_ED25519 || (kind == EVP_PKEY_RSA && EVP_PKEY_get_bits(key) >= RSA_BITS_MINIMUM)) {
        return key;
    }
    if (kind == EVP_PKEY_RSA) {
        buffer_format(error, "%s: this RSA key has %d bits; accepted: %d or more (RFC 8301)", file,
                      EVP_PKEY_get_bits(key), RSA_BITS_MINIMUM);
    } else {
        buffer_format(error, "%s: this key cannot sign mail; accepted: RSA, Ed25519", file);
    }
    EVP_PKEY_free(key);
    return NULL;
}

struct dkim_key *dkim_key_read(const char *file, const char *domain, const char *selector, struct buffer *error) {
    struct buffer pem;
    struct dkim_key *result = NULL;
    buffer_init(&pem, PEM_MAXIMUM);
    EVP_PKEY *key = read_key(file, &pem, error);
    if (key != NULL) {
        result = memory_new(1, sizeof *result);
        result->domain = memory_string(text_of(domain));
        result->selector = memory_string(text_of(selector));
        text_lower(result->domain);
        if (EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519) {
            result->openssl_key = key;
        } else {
            result->pem = memory_string(buffer_text(&pem));
            EVP_PKEY_free(key);
        }
    }
    wipe(&pem);
    return result;
}

void dkim_key_free(struct dkim_key *key) {
    if (key == NULL) {
        return;
    }
    if (key->pem != NULL) {
        explicit_bzero(key->pem, strlen(key->pem));
        free(key->pem);
    }
    EVP_PKEY_free(key->openssl_key);
    free(key->domain);
    free(key->selector);
    free(key);
}

const char *dkim_key_domain(const struct dkim_key *key) {
    return key->domain;
}

const char *dkim_key_selector(const struct dkim_key *key) {
    return key->selector;
}

static bool append_record(struct buffer *record, const char *kind, const unsigned char *public, size_t length) {
    size_t size = (length + 2) / 3 * 4 + 1;
    char *encoded = memory_new(size, 1);
    bool good = text_base64_encode((struct text){(const char *)public, length}, encoded, size) &&
                buffer_format(record, "v=DKIM1; k=%s; p=%s", kind, encoded);
    free(encoded);
    return good;
}

/* RFC 6376 3.6.1: an RSA key as SubjectPublicKeyInfo; RFC 8463 4.2: an Ed25519 key bare. */
static bool make_record(EVP_PKEY *key, struct buffer *record) {
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519) {
        unsigned char public[ED25519_PUBLIC_SIZE];
        size_t length = sizeof public;
        return EVP_PKEY_get_raw_public_key(key, public, &length) == 1 &&
               append_record(record, "ed25519", public, length);
    }
    unsigned char *public = NULL;
    int length = i2d_PUBKEY(key, &public);
    bool good = length > 0 && append_record(record, "rsa", public, (size_t)length);
    OPENSSL_free(public);
    return good;
}

bool dkim_key_record(const char *file, struct buffer *record, struct buffer *error) {
    struct buffer pem;
    buffer_init(&pem, PEM_MAXIMUM);
    EVP_PKEY *key = read_key(file, &pem, error);
    bool good = key != NULL && make_record(key, record);
    if (key != NULL && !good) {
        buffer_format(error, "%s: the DNS record of this key cannot be made", file);
    }
    EVP_PKEY_free(key);
    wipe(&pem);
    return good;
}

static bool write_pem(EVP_PKEY *key, struct buffer *pem) {
    char *text = NULL;
    BIO *bio = BIO_new(BIO_s_secmem());
    bool good = bio != NULL && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1;
    long length = good ? BIO_get_mem_data(bio, &text) : 0;
    good = good && length > 0 && buffer_append(pem, text, (size_t)length);
    BIO_free(bio);
    return good;
}

bool dkim_key_generate(const char *kind, struct buffer *pem, struct buffer *record, struct buffer *error) {
    EVP_PKEY *key = NULL;
    if (strcmp(kind, "rsa") == 0) {
        key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)RSA_BITS_NEW);
    } else if (strcmp(kind, "ed25519") == 0) {
        key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    } else {
        buffer_format(error, "\"%s\" is no kind of DKIM key; accepted: rsa, ed25519", kind);
        return false;
    }
    bool good = key != NULL && write_pem(key, pem) && make_record(key, record);
    if (!good) {
        buffer_format(error, "OpenSSL could not make the %s key", kind);
    }
    EVP_PKEY_free(key);
    return good;
}
