/* SPDX-License-Identifier: MIT
 * The server's side: certificates are read, and everything OpenSSL loads late is loaded, in the listener before it
 * forks; receivers inherit it and shake hands in their sandbox, with nothing to make but a connection's own state. The
 * keys are elsewhere (provider.h). Wrong files come back as a sentence. */
#include "tls/server.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "mail/address.h"
#include "tls/provider.h"
#include "tls/region.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONTEXT_MAXIMUM (16u * 1024 * 1024) /* of client_ca */

/* ---- contexts ---- */

/* RFC 6066 3: the list's length, then of each name its type, its length and itself; there is one of the type host_name.
 */
static struct text read_server_name(SSL *ssl) {
    const unsigned char *bytes;
    size_t length;

    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &length) != 1 || length < 5 ||
        bytes[2] != TLSEXT_NAMETYPE_host_name)
        return TEXT_NONE;
    struct text name = {(const char *)bytes + 5, length - 5};
    return text_first(name, (size_t)bytes[3] << 8 | bytes[4]);
}

/* Before the session is looked for that the client brings: it is resumed only where it began, with the same
 * certificates (RFC 6066 3). OpenSSL's own callback comes behind that. */
static int choose_certificate(SSL *ssl, int *alert, void *context) {
    const struct tls_server *server = context;

    (void)alert;
    if (server->count > 1) {
        struct text name = read_server_name(ssl);
        size_t found = tls_name_find((const char *const *)server->names, server->count, name);
        if (found > 0 && SSL_set_SSL_CTX(ssl, server->contexts[found]) == NULL)
            return SSL_CLIENT_HELLO_ERROR;
    }
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* Without it the session does not keep the name, which is a fact of rules. */
static int keep_name(SSL *ssl, int *alert, void *context) {
    (void)ssl;
    (void)alert;
    (void)context;
    return SSL_TLSEXT_ERR_OK;
}

/* The certificates themselves: a session tells what they said of the client when it began. A file that cannot be read
 * is told of by who reads it next. */
static bool append_authorities(struct buffer *asked, const struct tls_settings *settings) {
    int fd =
        settings->ask_client && settings->client_ca[0] != '\0' ? open(settings->client_ca, O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0)
        return true;
    bool good = file_read_into(fd, asked);
    (void)close(fd);
    return good;
}

/* What a ticket is good for: for another name, or where something else is asked of clients, their sessions begin anew.
 */
static bool set_session_context(SSL_CTX *context, const char *name, const struct tls_settings *settings) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    struct buffer asked;

    buffer_init(&asked, CONTEXT_MAXIMUM);
    bool good =
        buffer_format(&asked, "%s %d %d %s", name, (int)settings->preset, settings->ask_client, settings->client_ca) &&
        append_authorities(&asked, settings) &&
        EVP_Digest(asked.data, asked.length, digest, &length, EVP_sha256(), NULL) == 1 &&
        SSL_CTX_set_session_id_context(context, digest, length) == 1;
    buffer_free(&asked);
    return good;
}

static bool prepare(SSL_CTX *context, const char *name, struct tls_server *server,
                    const struct tls_settings *settings) {
    if (!session_prepare_context(context) || !preset_apply(context, settings->preset))
        return false;
    (void)SSL_CTX_set_dh_auto(context, 1);
    SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN); /* what is in the file is shown, and not looked for each time */
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    (void)SSL_CTX_set_app_data(context, server);
    SSL_CTX_set_client_hello_cb(context, choose_certificate, server);
    (void)SSL_CTX_set_tlsext_servername_callback(context, keep_name);
    return set_session_context(context, name, settings) && ticket_prepare(context, &server->tickets);
}

/* The number of the first key of an identity, or, behind the last, of the self-signed certificate's (tls/keys.h). */
static uint32_t first_key(const struct tls_settings *settings, size_t index) {
    uint32_t number = 0;

    for (size_t i = 0; i < index; i++)
        number += (uint32_t)settings->identities[i].count;
    return number;
}

static bool read_identity(struct tls_server *server, const struct tls_settings *settings, size_t index,
                          struct buffer *error) {
    const struct tls_identity *identity = &settings->identities[index];
    SSL_CTX *context = server->contexts[index];
    uint32_t number = first_key(settings, index);

    for (size_t i = 0; i < identity->count; i++) {
        if (!certificate_use_file(context, identity->certificates[i], number + (uint32_t)i, error))
            return false;
        validity_add(server, SSL_CTX_get0_certificate(context), identity->certificates[i]);
    }
    return identity->count > 0 ||
           certificate_use(context, settings->self_signed, first_key(settings, settings->count), error);
}

static bool add_identity(struct tls_server *server, const struct tls_settings *settings, size_t index,
                         struct buffer *error) {
    const struct tls_identity *identity = &settings->identities[index];
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    server->names[index] = memory_string(text_of(identity->name));
    server->contexts[index] = context;
    server->count = index + 1;
    if (context != NULL && prepare(context, identity->name, server, settings))
        return read_identity(server, settings, index, error);
    (void)buffer_format(error, "TLS cannot be used: %s", session_error("OpenSSL does not start"));
    return false;
}

static bool ask_clients(struct tls_server *server, const char *authorities, struct buffer *error) {
    STACK_OF(X509_NAME) *names = NULL;
    X509_STORE *store = NULL;
    bool good = client_certificate_read(authorities, &store, &names, error);

    for (size_t i = 0; good && i < server->count; i++)
        good = client_certificate_ask(server->contexts[i], store, names);
    sk_X509_NAME_pop_free(names, X509_NAME_free);
    X509_STORE_free(store);
    return good;
}

static bool fill(struct tls_server *server, const struct tls_settings *settings, struct buffer *error) {
    unsigned char seed;

    if (settings->ask_client && settings->client_ca[0] != '\0' &&
        !certificate_is_readable("client_ca", settings->client_ca, error))
        return false;
    if (!provider_load()) {
        (void)buffer_format(error, "TLS cannot be used: %s", session_error("OpenSSL takes no provider"));
        return false;
    }
    if (!random_prepare() || !ticket_keys_init(&server->tickets, settings->session_lifetime) ||
        RAND_bytes(&seed, 1) != 1 || RAND_priv_bytes(&seed, 1) != 1) {
        (void)buffer_format(error, "TLS cannot be used: %s", session_error("there is no randomness"));
        return false;
    }
    for (size_t i = 0; i < settings->count; i++)
        if (!add_identity(server, settings, i, error))
            return false;
    if (settings->ask_client && !ask_clients(server, settings->client_ca, error))
        return false;
    for (size_t i = 0; i < settings->count; i++) {
        const struct tls_identity *identity = &settings->identities[i];
        const char *name = identity->count > 0 ? identity->certificates[0] : "(self-signed)";
        if (!rehearse(server->contexts[i], settings->preset, name, error))
            return false;
    }
    return true;
}

struct tls_server *tls_server_new(const struct tls_settings *settings, struct buffer *error) {
    region_open();
    (void)OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT | OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS |
                               OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
                           NULL);
    struct tls_server *server = memory_new(1, sizeof *server);
    server->names = memory_new(settings->count, sizeof *server->names);
    server->contexts = memory_new(settings->count, sizeof *server->contexts);
    bool good = fill(server, settings, error);
    ERR_clear_error();
    region_close();
    if (good)
        return server;
    int reason = errno;
    tls_server_free(server);
    errno = reason;
    return NULL;
}

void tls_server_free(struct tls_server *server) {
    if (server == NULL)
        return;
    for (size_t i = 0; i < server->count; i++) {
        SSL_CTX_free(server->contexts[i]);
        free(server->names[i]);
    }
    ticket_keys_free(&server->tickets);
    validity_free(server);
    free(server->contexts);
    free(server->names);
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
    SSL *ssl = SSL_new(server->contexts[0]);
    if (ssl == NULL)
        die_out_of_memory();
    SSL_set_accept_state(ssl);
    enum stream_result result = session_start(stream, ssl, deadline, facts, reason, size);
    if (result != STREAM_OK)
        return result;
    facts->resumed = SSL_session_reused(ssl) == 1;
    client_certificate_facts(ssl, facts);
    /* The name is the client's word: only what is a host name goes into logs and rows. */
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (name != NULL && address_domain_is_valid(text_of(name), false))
        (void)text_copy(facts->server_name, sizeof facts->server_name, text_of(name));
    return STREAM_OK;
}
