/* SPDX-License-Identifier: MIT
 * What ties a login to the TLS connection that it came through, so that nobody in between can hand it on. Called by
 * receivers, confined, after the handshake; needs nothing but what the connection has in memory. */
#include "tls/server.h"
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <string.h>

/* RFC 9266: only where the handshake's keys depend on all of it, which TLS 1.3 makes sure of. */
static bool export_keys(SSL *ssl, unsigned char bytes[TLS_BINDING_MAXIMUM], size_t *length) {
    static const char label[] = "EXPORTER-Channel-Binding";

    *length = 32;
    return SSL_version(ssl) >= TLS1_3_VERSION &&
           SSL_export_keying_material(ssl, bytes, *length, label, sizeof label - 1, NULL, 0, 0) == 1;
}

/* RFC 5929 4.1: by the hash of the certificate's signature, but never by one weaker than SHA-256. */
static bool hash_certificate(SSL *ssl, unsigned char bytes[TLS_BINDING_MAXIMUM], size_t *length) {
    const X509 *certificate = SSL_get_certificate(ssl);
    unsigned written = 0;
    int hash = NID_undef;

    if (certificate == NULL || OBJ_find_sigid_algs(X509_get_signature_nid(certificate), &hash, NULL) != 1)
        return false;
    const EVP_MD *digest = hash == NID_md5 || hash == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(hash);
    bool good = digest != NULL && X509_digest(certificate, digest, bytes, &written) == 1;
    *length = written;
    return good;
}

/* Of a resumed session the certificate is the one that it began with (RFC 5929 4), which may be of another kind than
 * ours, or have been renewed since: the ticket remembers its hash. */
static bool recall_certificate(SSL *ssl, unsigned char bytes[TLS_BINDING_MAXIMUM], size_t *length) {
    void *kept = NULL;
    bool good = SSL_SESSION_get0_ticket_appdata(SSL_get_session(ssl), &kept, length) == 1 && *length > 0 &&
                *length <= TLS_BINDING_MAXIMUM;

    if (good)
        memcpy(bytes, kept, *length);
    return good;
}

/* A ticket that remembers nothing is one that no login can be bound by. */
int channel_binding_keep(SSL *ssl, void *context) {
    unsigned char bytes[TLS_BINDING_MAXIMUM];
    size_t length = 0;

    (void)context;
    if (SSL_session_reused(ssl) != 1 && hash_certificate(ssl, bytes, &length))
        (void)SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), bytes, length);
    return 1;
}

bool tls_channel_binding(const struct stream *stream, struct text kind, unsigned char bytes[TLS_BINDING_MAXIMUM],
                         size_t *length) {
    SSL *ssl = session_ssl(stream);

    if (ssl == NULL)
        return false;
    if (text_equal(kind, TEXT("tls-exporter")))
        return export_keys(ssl, bytes, length);
    return text_equal(kind, TEXT("tls-server-end-point")) &&
           (SSL_session_reused(ssl) == 1 ? recall_certificate : hash_certificate)(ssl, bytes, length);
}
