/* SPDX-License-Identifier: MIT
 * The client's side, for delivery agents: opportunistic TLS (RFC 7435). The chain and the name are verified and the
 * result is recorded, never enforced: against a listener in the middle an unverified session is still better than
 * none. Runs confined; the system's certificates are read when the context is made, and parsed when they
 * are needed. */
#include "base/exit_status.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/network.h"
#include "mail/address.h"
#include "tls/session.h"
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Debian's. OpenSSL's own default is a directory that is searched late, when a chroot may have hidden it. */
#define CERTIFICATES "/etc/ssl/certs/ca-certificates.crt"

#define AUTHORITIES_MAXIMUM (16u * 1024 * 1024)

struct tls_client {
    SSL_CTX *context;
    struct buffer authorities; /* PEM, read while files can be; parsed at the first handshake, which costs 20 ms */
};

static void read_authorities(struct tls_client *client) {
    const char *file = getenv(X509_get_default_cert_file_env());

    if (file == NULL)
        file = access(CERTIFICATES, R_OK) == 0 ? CERTIFICATES : X509_get_default_cert_file();
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || !file_read_into(fd, &client->authorities) || client->authorities.length == 0)
        log_info("no certificate authorities in %s: servers cannot be verified", file);
    if (fd >= 0)
        (void)close(fd);
}

static void parse_authorities(struct tls_client *client) {
    X509_STORE *store = SSL_CTX_get_cert_store(client->context);
    X509 *authority;

    if (client->authorities.length == 0)
        return;
    BIO *bytes = BIO_new_mem_buf(client->authorities.data, (int)client->authorities.length);
    while (bytes != NULL && (authority = PEM_read_bio_X509_AUX(bytes, NULL, NULL, NULL)) != NULL) {
        (void)X509_STORE_add_cert(store, authority);
        X509_free(authority);
    }
    BIO_free(bytes);
    ERR_clear_error();
    buffer_free(&client->authorities);
    buffer_init(&client->authorities, AUTHORITIES_MAXIMUM);
}

struct tls_client *tls_client_new(void) {
    unsigned char seed;

    (void)OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT | OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS |
                               OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
                           NULL);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL || !session_prepare_context(context) || RAND_bytes(&seed, 1) != 1)
        die_fatal(EXIT_STATUS_SYSTEM, "TLS cannot be used: %s", session_error("OpenSSL does not start"));
    /* A server with a small key is reached in plain text otherwise, which is no safer. */
    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    (void)SSL_CTX_set_default_verify_dir(context); /* the default file would be parsed at once */
    ERR_clear_error();
    struct tls_client *client = memory_new(1, sizeof *client);
    client->context = context;
    buffer_init(&client->authorities, AUTHORITIES_MAXIMUM);
    read_authorities(client);
    return client;
}

/* SNI and the name that the certificate should bear (RFC 6066 3: no address literals in SNI). False for what is neither
 * name nor address: then nothing can be verified. */
static bool name_peer(SSL *ssl, const char *host) {
    struct network_address address;
    struct text text = text_of(host);
    char name[256];

    if (text.length > 0 && text.data[text.length - 1] == '.')
        text = text_first(text, text.length - 1);
    bool literal = address_is_literal(text) && address_literal_ip(text, name, sizeof name);
    if (!literal && !text_copy(name, sizeof name, text))
        return false;
    if (network_parse_ip(text_of(name), 25, &address))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    if (!address_domain_is_valid(text_of(name), false))
        return false;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, name) == 1 && SSL_set1_host(ssl, name) == 1;
}

static void take_verification(const SSL *ssl, bool named, struct tls_facts *facts) {
    long result = SSL_get_verify_result(ssl);

    facts->verified = result == X509_V_OK && named && SSL_get0_peer_certificate(ssl) != NULL;
    if (result != X509_V_OK)
        (void)text_copy(facts->verify_error, sizeof facts->verify_error,
                        text_of(X509_verify_cert_error_string(result)));
    else if (!facts->verified)
        (void)text_copy(facts->verify_error, sizeof facts->verify_error, TEXT("no name to verify"));
}

enum stream_result tls_connect(struct stream *stream, struct tls_client *client, const char *host, int64_t deadline,
                               struct tls_facts *facts, char *reason, size_t size) {
    *facts = (struct tls_facts){.verified = false};
    if (stream->input.length > 0) {
        (void)text_copy(reason, size, TEXT("bytes were sent before the handshake"));
        return STREAM_BROKEN;
    }
    enum stream_result flushed = stream_flush(stream, deadline);
    if (flushed != STREAM_OK)
        return flushed;
    parse_authorities(client);
    SSL *ssl = SSL_new(client->context);
    if (ssl == NULL)
        die_out_of_memory();
    bool named = name_peer(ssl, host);
    SSL_set_connect_state(ssl);
    enum stream_result result = session_start(stream, ssl, deadline, facts, reason, size);
    if (result == STREAM_OK)
        take_verification(ssl, named, facts);
    return result;
}
