/* SPDX-License-Identifier: MIT
 * The server's side: certificate and key are read, and everything OpenSSL loads late is loaded, in the listener before
 * it forks; receivers inherit it and shake hands in their sandbox. Wrong files come back as a sentence. */
#include "base/log.h"
#include "base/memory.h"
#include "mail/address.h"
#include "tls/session.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct tls_server {
    SSL_CTX *context;
};

/* ---- certificate and key ---- */

/* A key with a passphrase: nobody is there to type it. */
static int no_passphrase(char *bytes, int size, int writing, void *context) {
    (void)bytes;
    (void)size;
    (void)writing;
    (void)context;
    return 0;
}

static bool is_readable(const char *what, const char *file, struct buffer *error) {
    if (access(file, R_OK) == 0)
        return true;
    (void)buffer_format(error, "%s %s: %s", what, file, strerror(errno));
    return false;
}

static bool read_pair(SSL_CTX *context, const char *certificate, const char *private_key, struct buffer *error) {
    if (!is_readable("certificate", certificate, error) || !is_readable("private key", private_key, error))
        return false;
    ERR_clear_error();
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1) {
        (void)buffer_format(error, "certificate %s: %s", certificate, session_error("not a PEM certificate"));
        return false;
    }
    bool is_read = SSL_CTX_use_PrivateKey_file(context, private_key, SSL_FILETYPE_PEM) == 1;
    if (is_read && SSL_CTX_check_private_key(context) == 1)
        return true;
    /* A key of the certificate's kind is compared when it is read, another kind afterwards. */
    if (is_read || ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH)
        (void)buffer_format(error, "private key %s does not belong to certificate %s", private_key, certificate);
    else
        (void)buffer_format(error, "private key %s: %s", private_key, session_error("not a PEM key"));
    return false;
}

/* ---- a handshake with ourselves ---- */

static bool shake(SSL *server, SSL *client) {
    for (int i = 0; i < 20; i++) {
        int asked = SSL_do_handshake(client), answered = SSL_do_handshake(server);
        if (asked == 1 && answered == 1)
            return true;
    }
    return false;
}

static bool rehearse_with(SSL_CTX *context, SSL_CTX *client_context, int version) {
    SSL *server = SSL_new(context), *client = SSL_new(client_context);
    BIO *up = NULL, *down = NULL;
    bool good = server != NULL && client != NULL && BIO_new_bio_pair(&up, 0, &down, 0) == 1;

    if (good) {
        SSL_set_bio(server, up, up);
        SSL_set_bio(client, down, down);
        SSL_set_accept_state(server);
        SSL_set_connect_state(client);
        good = SSL_set_max_proto_version(client, version) == 1 && shake(server, client);
    }
    SSL_free(server);
    SSL_free(client);
    return good;
}

/* Rehearses a handshake of each version. OpenSSL fetches algorithms and fills its stores on first use: done here, it
 * happens once and not in every receiver, whose memory and sandbox would both feel it. And a pair of files that cannot
 * work is found before a client does. */
static bool rehearse(SSL_CTX *context, struct buffer *error) {
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    bool good = client != NULL && rehearse_with(context, client, TLS1_3_VERSION) &&
                rehearse_with(context, client, TLS1_2_VERSION);

    if (!good)
        (void)buffer_format(error, "certificate and key cannot be used: %s", session_error("the handshake failed"));
    SSL_CTX_free(client);
    ERR_clear_error();
    return good;
}

/* ---- context ---- */

static int accept_server_name(SSL *ssl, int *alert, void *context) {
    (void)ssl;
    (void)alert;
    (void)context;
    return SSL_TLSEXT_ERR_OK; /* one certificate for every name; taken for the facts only */
}

static bool prepare(SSL_CTX *context) {
    unsigned char seed;

    if (!session_prepare_context(context))
        return false;
    SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    (void)SSL_CTX_set_dh_auto(context, 1);
    (void)SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    (void)SSL_CTX_set_tlsext_servername_callback(context, accept_server_name);
    return RAND_bytes(&seed, 1) == 1 && RAND_priv_bytes(&seed, 1) == 1;
}

struct tls_server *tls_server_new(const char *certificate, const char *private_key, struct buffer *error) {
    (void)OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
                           NULL);
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL || !prepare(context)) {
        (void)buffer_format(error, "TLS cannot be used: %s", session_error("OpenSSL does not start"));
        SSL_CTX_free(context);
        return NULL;
    }
    if (!read_pair(context, certificate, private_key, error) || !rehearse(context, error)) {
        SSL_CTX_free(context);
        ERR_clear_error();
        return NULL;
    }
    struct tls_server *server = memory_new(1, sizeof *server);
    server->context = context;
    return server;
}

void tls_server_free(struct tls_server *server) {
    if (server == NULL)
        return;
    SSL_CTX_free(server->context);
    free(server);
}

/* ---- sessions ---- */

enum stream_result tls_accept(struct stream *stream, struct tls_server *server, int64_t deadline,
                              struct tls_facts *facts, char *reason, size_t size) {
    if (stream->input.length > 0) { /* RFC 3207 4.2, and CVE-2011-0411: nothing said before is taken as said after */
        *facts = (struct tls_facts){.verified = false};
        (void)text_copy(reason, size, TEXT("bytes were sent before the handshake"));
        return STREAM_BROKEN;
    }
    return tls_accept_begun(stream, server, deadline, facts, reason, size);
}

enum stream_result tls_accept_begun(struct stream *stream, struct tls_server *server, int64_t deadline,
                                    struct tls_facts *facts, char *reason, size_t size) {
    *facts = (struct tls_facts){.verified = false};
    enum stream_result flushed = stream_flush(stream, deadline);
    if (flushed != STREAM_OK)
        return flushed;
    SSL *ssl = SSL_new(server->context);
    if (ssl == NULL)
        die_out_of_memory();
    SSL_set_accept_state(ssl);
    enum stream_result result = session_start(stream, ssl, deadline, facts, reason, size);
    if (result != STREAM_OK)
        return result;
    /* The name is the client's word: only what is a host name goes into logs and rows. */
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (name != NULL && address_domain_is_valid(text_of(name), false))
        (void)text_copy(facts->server_name, sizeof facts->server_name, text_of(name));
    return STREAM_OK;
}
