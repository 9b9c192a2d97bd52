/* SPDX-License-Identifier: MIT
 * Session tickets (RFC 5077, RFC 8446 4.6.1): a client brings its session back, so that any receiver can resume it. The
 * keys are made in the listener and inherited; a new one a period, the one before is still taken. A ticket holds the
 * TLS session and nothing of SMTP: who has logged in logs in again. A ticket that cannot be read is a full handshake.
 */
#include "base/clock.h"
#include "tls/server.h"
#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <string.h>

static bool make_key(struct ticket_key *key) {
    return RAND_bytes(key->name, sizeof key->name) == 1 && RAND_priv_bytes(key->cipher, sizeof key->cipher) == 1 &&
           RAND_priv_bytes(key->mac, sizeof key->mac) == 1;
}

bool ticket_keys_init(struct ticket_keys *keys, long lifetime) {
    *keys = (struct ticket_keys){.lifetime = 1000 * (int64_t)lifetime, .made_at = clock_now_ms()};
    if (lifetime == 0)
        return true;
    keys->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    return keys->cipher != NULL && make_key(&keys->keys[0]);
}

void ticket_keys_free(struct ticket_keys *keys) {
    EVP_CIPHER_free(keys->cipher);
    explicit_bzero(keys, sizeof *keys);
}

void tls_server_take_tickets(struct tls_server *server, const struct tls_server *former) {
    struct ticket_keys *keys = &server->tickets;

    if (keys->lifetime == 0 || former->tickets.lifetime == 0)
        return;
    memcpy(keys->keys, former->tickets.keys, sizeof keys->keys);
    keys->has_former = former->tickets.has_former;
    keys->made_at = former->tickets.made_at;
}

bool tls_server_rotate(struct tls_server *server, int64_t now) {
    struct ticket_keys *keys = &server->tickets;
    struct ticket_key next;

    if (keys->lifetime == 0 || now < keys->made_at + keys->lifetime)
        return false;
    bool made = make_key(&next);
    if (made) {
        keys->has_former = now < keys->made_at + 2 * keys->lifetime;
        keys->keys[1] = keys->keys[0];
        keys->keys[0] = next;
        keys->made_at = now;
    }
    explicit_bzero(&next, sizeof next);
    return made;
}

static const struct ticket_key *find_key(const struct ticket_keys *keys, const unsigned char name[16]) {
    for (size_t i = 0; i < (keys->has_former ? 2u : 1u); i++)
        if (memcmp(keys->keys[i].name, name, sizeof keys->keys[i].name) == 0)
            return &keys->keys[i];
    return NULL;
}

static bool use_mac(EVP_MAC_CTX *mac, const struct ticket_key *key) {
    unsigned char copy[sizeof key->mac];
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, copy, sizeof copy),
                                     OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                     OSSL_PARAM_construct_end()};

    memcpy(copy, key->mac, sizeof copy);
    bool good = EVP_MAC_CTX_set_params(mac, parameters) == 1;
    explicit_bzero(copy, sizeof copy);
    return good;
}

/* SSL_CTX_set_tlsext_ticket_key_evp_cb(3): -1 an error, 0 an unknown ticket, 1 good, 2 good and to be replaced. */
static int use_key(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                   int encrypting) {
    const struct tls_server *server = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    const struct ticket_keys *keys = &server->tickets;

    if (encrypting) {
        const struct ticket_key *key = &keys->keys[0];
        memcpy(name, key->name, sizeof key->name);
        return RAND_bytes(iv, EVP_CIPHER_get_iv_length(keys->cipher)) == 1 &&
                       EVP_EncryptInit_ex2(cipher, keys->cipher, key->cipher, iv, NULL) == 1 && use_mac(mac, key)
                   ? 1
                   : -1;
    }
    const struct ticket_key *key = find_key(keys, name);
    if (key == NULL)
        return 0;
    if (EVP_DecryptInit_ex2(cipher, keys->cipher, key->cipher, iv, NULL) != 1 || !use_mac(mac, key))
        return -1;
    return key == &keys->keys[0] ? 1 : 2;
}

bool ticket_prepare(SSL_CTX *context, const struct ticket_keys *keys) {
    bool none = keys->lifetime == 0;

    (void)SSL_CTX_set_num_tickets(context, none ? 0 : 1);
    if (none)
        return true;
    (void)SSL_CTX_clear_options(context, SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_timeout(context, (long)(keys->lifetime / 1000));
    return SSL_CTX_set_session_ticket_cb(context, channel_binding_keep, NULL, NULL) == 1 &&
           SSL_CTX_set_tlsext_ticket_key_evp_cb(context, use_key) == 1;
}
