/* SPDX-License-Identifier: MIT
 * Certificates and keys in files, and what certificates say. Called by the listener before it forks, which reads no
 * keys, by the process that does (listener/key_reader.c), and by `parcelpost`; what is wrong with a file comes back as
 * a sentence that names it. */
#include "base/file.h"
#include "tls/provider.h"
#include "tls/server.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int no_passphrase(char *bytes, int size, int writing, void *context) {
    (void)bytes;
    (void)size;
    (void)writing;
    if (context != NULL)
        *(bool *)context = true;
    return 0;
}

bool certificate_is_readable(const char *what, const char *file, struct buffer *error) {
    if (faccessat(AT_FDCWD, file, R_OK, AT_EACCESS) == 0) /* with the rights in use, as open() */
        return file_is_regular(what, file, error);
    int problem = errno;
    (void)buffer_format(error, "%s %s: ", what, file);
    file_say_problem(file, problem, error);
    return false;
}

EVP_PKEY *certificate_read_key(const char *file, struct buffer *error) {
    if (!certificate_is_readable("private key", file, error) || !file_is_private("private key", file, error))
        return NULL;
    ERR_clear_error();
    BIO *stream = BIO_new_file(file, "r");
    bool asked = false;
    EVP_PKEY *key = stream != NULL ? PEM_read_bio_PrivateKey(stream, NULL, no_passphrase, &asked) : NULL;
    BIO_free(stream);
    if (key == NULL && asked)
        (void)buffer_format(error, "private key %s is encrypted, and nobody is there to be asked for its passphrase",
                            file);
    else if (key == NULL)
        (void)buffer_format(error, "private key %s: no PEM key that OpenSSL knows", file);
    return key;
}

X509 *certificate_read(const char *file, struct buffer *error) {
    if (!certificate_is_readable("certificate", file, error))
        return NULL;
    ERR_clear_error();
    BIO *stream = BIO_new_file(file, "r");
    X509 *certificate = stream != NULL ? PEM_read_bio_X509_AUX(stream, NULL, no_passphrase, NULL) : NULL;
    BIO_free(stream);
    if (certificate == NULL)
        (void)buffer_format(error, "certificate %s: %s", file, session_error("not a PEM certificate"));
    return certificate;
}

/* The key of the certificate that was just put into the context. */
static bool use_key(SSL_CTX *context, uint32_t number, const char *name, struct buffer *error) {
    EVP_PKEY *key = provider_key(SSL_CTX_get0_certificate(context), number);
    bool good = key != NULL && SSL_CTX_use_PrivateKey(context, key) == 1;

    if (!good)
        (void)buffer_format(error, "certificate %s: %s", name, session_error("no use can be made of its kind of key"));
    EVP_PKEY_free(key);
    return good;
}

bool certificate_use_file(SSL_CTX *context, const char *file, uint32_t number, struct buffer *error) {
    if (!certificate_is_readable("certificate", file, error))
        return false;
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(context, file) == 1)
        return use_key(context, number, file, error);
    (void)buffer_format(error, "certificate %s: %s", file, session_error("not a PEM certificate"));
    return false;
}

bool certificate_use(SSL_CTX *context, struct text der, uint32_t number, struct buffer *error) {
    ERR_clear_error();
    if (SSL_CTX_use_certificate_ASN1(context, (int)der.length, (const unsigned char *)der.data) == 1)
        return use_key(context, number, "(self-signed)", error);
    (void)buffer_format(error, "the self-signed certificate: %s", session_error("there is none"));
    return false;
}

/* ---- what a certificate says ---- */

static void take_bio(BIO *bio, char *text, size_t size) {
    char *bytes;
    long length = BIO_get_mem_data(bio, &bytes);
    size_t taken = length > 0 ? (size_t)length : 0;

    (void)text_copy(text, size, text_first((struct text){bytes, taken}, size - 1));
    BIO_free(bio);
}

void certificate_name(const X509_NAME *name, char *text, size_t size) {
    BIO *bio = BIO_new(BIO_s_mem());

    text[0] = '\0';
    if (bio == NULL)
        return;
    (void)X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253);
    take_bio(bio, text, size);
}

void certificate_fingerprint(const X509 *certificate, char text[3 * 32]) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;

    text[0] = '\0';
    if (X509_digest(certificate, EVP_sha256(), digest, &length) != 1)
        return;
    for (unsigned i = 0; i < length && i < 32; i++)
        (void)snprintf(text + 3 * (size_t)i, 4 - (i == 31), i == 31 ? "%02X" : "%02X:", digest[i]);
}

static void take_names(const X509 *certificate, char *text, size_t size) {
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    struct buffer list;

    buffer_init(&list, size - 1);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS)
            (void)buffer_format(&list, "%s%.*s", list.length > 0 ? " " : "", ASN1_STRING_length(name->d.dNSName),
                                (const char *)ASN1_STRING_get0_data(name->d.dNSName));
    }
    (void)text_copy(text, size, buffer_text(&list));
    buffer_free(&list);
    GENERAL_NAMES_free(names);
}

static void take_until(const X509 *certificate, struct tls_certificate *said) {
    struct tm until;

    said->expired = X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &until) != 1 ||
        strftime(said->until, sizeof said->until, "%Y-%m-%d %H:%M:%S", &until) == 0)
        said->until[0] = '\0';
}

bool tls_certificate_read(const char *file, struct tls_certificate *said, struct buffer *error) {
    *said = (struct tls_certificate){.expired = false};
    if (!certificate_is_readable("certificate", file, error))
        return false;
    FILE *stream = fopen(file, "re");
    if (stream == NULL) {
        (void)buffer_format(error, "certificate %s: %s", file, strerror(errno));
        return false;
    }
    X509 *certificate = PEM_read_X509_AUX(stream, NULL, no_passphrase, NULL);
    (void)fclose(stream);
    ERR_clear_error();
    if (certificate == NULL) {
        (void)buffer_format(error, "certificate %s: not a PEM certificate", file);
        return false;
    }
    const EVP_PKEY *key = X509_get0_pubkey(certificate);
    certificate_name(X509_get_subject_name(certificate), said->subject, sizeof said->subject);
    certificate_name(X509_get_issuer_name(certificate), said->issuer, sizeof said->issuer);
    certificate_fingerprint(certificate, said->fingerprint);
    take_names(certificate, said->names, sizeof said->names);
    take_until(certificate, said);
    if (key != NULL)
        (void)snprintf(said->key, sizeof said->key, "%.16s %d", EVP_PKEY_get0_type_name(key), EVP_PKEY_get_bits(key));
    X509_free(certificate);
    return true;
}
