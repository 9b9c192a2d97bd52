/* SPDX-License-Identifier: MIT
 * Certificates of clients. Asked for, never required: what they show are facts for rules. The authorities are read in
 * the listener; a client's certificate is verified in the receiver, confined, on bytes from anybody. */
#include "tls/server.h"
#include <openssl/err.h>

/* The handshake goes on, SSL_get_verify_result tells. */
static int accept_any(int verified, X509_STORE_CTX *context) {
    (void)verified;
    (void)context;
    return 1;
}

bool client_certificate_read(const char *file, X509_STORE **store, STACK_OF(X509_NAME) * *names, struct buffer *error) {
    *store = X509_STORE_new();
    *names = NULL;
    if (file[0] == '\0')
        return *store != NULL;
    ERR_clear_error();
    *names = SSL_load_client_CA_file(file);
    if (*store != NULL && *names != NULL && X509_STORE_load_file(*store, file) == 1)
        return true;
    (void)buffer_format(error, "client_ca %s: %s", file, session_error("no PEM certificates"));
    return false;
}

bool client_certificate_ask(SSL_CTX *context, X509_STORE *store, const STACK_OF(X509_NAME) * names) {
    STACK_OF(X509_NAME) *copy = names != NULL ? SSL_dup_CA_list(names) : NULL;

    SSL_CTX_set1_cert_store(context, store);
    if (copy != NULL)
        SSL_CTX_set_client_CA_list(context, copy); /* owned by it from now on */
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, accept_any);
    return names == NULL || copy != NULL;
}

void client_certificate_facts(const SSL *ssl, struct tls_facts *facts) {
    const X509 *certificate = SSL_get0_peer_certificate(ssl);

    if (certificate == NULL)
        return;
    certificate_fingerprint(certificate, facts->client_fingerprint);
    /* A resumed session says what was true when it began; its tickets may have been renewed for longer than that. */
    if (SSL_get_verify_result(ssl) != X509_V_OK || X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0)
        return;
    certificate_name(X509_get_subject_name(certificate), facts->client, sizeof facts->client);
    certificate_name(X509_get_issuer_name(certificate), facts->client_issuer, sizeof facts->client_issuer);
}
