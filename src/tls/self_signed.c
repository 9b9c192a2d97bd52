/* SPDX-License-Identifier: MIT
 * A certificate that nobody vouches for, made in memory when none is configured, by the process that reads keys: enough
 * to try a server out, and against listeners on the wire who only listen. It is another one after each start and
 * reload. Fails when OpenSSL does. */
#include "tls/server.h"
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define COMMON_NAME_MAXIMUM 64 /* RFC 5280, upper bounds; the whole name is among the others anyway */
#define VALID_SECONDS (3650L * 86400)

static bool add_extension(X509 *certificate, int kind, const char *value) {
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, kind, value);
    bool good = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;

    X509_EXTENSION_free(extension);
    return good;
}

static bool set_names(X509 *certificate, const char *name) {
    X509_NAME *subject = X509_get_subject_name(certificate);
    char names[300];

    (void)snprintf(names, sizeof names, "DNS:%s", name);
    const char *common = strlen(name) <= COMMON_NAME_MAXIMUM ? name : "Parcelpost";
    return X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)common, -1, -1, 0) == 1 &&
           X509_set_issuer_name(certificate, subject) == 1 && add_extension(certificate, NID_subject_alt_name, names) &&
           add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE");
}

static bool fill(X509 *certificate, EVP_PKEY *key, const char *name) {
    uint64_t serial;

    return RAND_bytes((unsigned char *)&serial, sizeof serial) == 1 && X509_set_version(certificate, 2) == 1 &&
           ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(certificate), VALID_SECONDS) != NULL &&
           X509_set_pubkey(certificate, key) == 1 && set_names(certificate, name) &&
           X509_sign(certificate, key, EVP_sha256()) > 0;
}

static bool append_der(X509 *certificate, struct buffer *der) {
    unsigned char *bytes = NULL;
    int length = i2d_X509(certificate, &bytes);
    bool good = length > 0 && buffer_append(der, bytes, (size_t)length);

    OPENSSL_free(bytes);
    return good;
}

EVP_PKEY *self_signed_make(const char *name, struct buffer *der) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    bool good = key != NULL && certificate != NULL && fill(certificate, key, name) && append_der(certificate, der);

    X509_free(certificate);
    if (good)
        return key;
    EVP_PKEY_free(key);
    return NULL;
}
