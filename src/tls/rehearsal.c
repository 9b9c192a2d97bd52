/* SPDX-License-Identifier: MIT
 * Handshakes with ourselves, in the listener before it forks. OpenSSL fetches algorithms and fills its stores on first
 * use: done here, it happens once and not in every receiver, whose memory and sandbox would both feel it. And a pair of
 * files that cannot work is found before a client does: it comes back as a sentence. */
#include "tls/server.h"
#include <openssl/err.h>

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

bool rehearse(SSL_CTX *context, enum tls_preset preset, const char *name, struct buffer *error) {
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    bool good = client != NULL && rehearse_with(context, client, TLS1_3_VERSION) &&
                (!preset_allows(preset, TLS1_2_VERSION) || rehearse_with(context, client, TLS1_2_VERSION));

    if (!good)
        (void)buffer_format(error, "certificate %s and its key cannot be used: %s", name,
                            session_error("the handshake failed"));
    SSL_CTX_free(client);
    ERR_clear_error();
    return good;
}
