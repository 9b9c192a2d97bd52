/* SPDX-License-Identifier: MIT
 * The server's TLS in one process, against OpenSSL's own client: which name gets which certificate, and how long the
 * keys of tickets are taken. */
#include "base/clock.h"
#include "tls/keys.h"
#include "tls/server.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define LIFETIME 3600
#define PERIOD ((int64_t)1000 * LIFETIME)

static struct tls_server *new_server(long lifetime, bool ask_client) {
    static const struct tls_identity identities[] = {{.name = ""}, {.name = "other.example.test"}};
    static struct buffer self_signed;
    static struct tls_keys *keys; /* of all servers here: their certificate is one */
    struct tls_settings settings = {.identities = identities,
                                    .count = 2,
                                    .own_name = "mail.example.test",
                                    .client_ca = "",
                                    .ask_client = ask_client,
                                    .session_lifetime = lifetime};
    struct buffer error;

    buffer_init(&error, 4096);
    if (keys == NULL) {
        buffer_init(&self_signed, 4096);
        keys = tls_keys_read(&settings, &self_signed, &error);
        assert_non_null(keys);
        tls_keys_use(keys);
    }
    settings.self_signed = buffer_text(&self_signed);
    struct tls_server *server = tls_server_new(&settings, &error);
    if (server == NULL)
        fail_msg("%s", buffer_string(&error));
    buffer_free(&error);
    return server;
}

/* ---- a client ---- */

static SSL_SESSION *kept; /* what the last handshake gave */

static SSL_CTX *new_client(int version) {
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());

    (void)SSL_CTX_set_max_proto_version(client, version);
    return client;
}

/* A handshake that brings the session, or NULL. True when it was resumed; what it gave is in kept. */
static bool resumes(struct tls_server *server, SSL_CTX *client_context, SSL_SESSION *session) {
    SSL *ours = SSL_new(server->contexts[0]), *theirs = SSL_new(client_context);
    BIO *up = NULL, *down = NULL;
    char byte;

    assert_int_equal(BIO_new_bio_pair(&up, 0, &down, 0), 1);
    SSL_set_bio(ours, up, up);
    SSL_set_bio(theirs, down, down);
    SSL_set_accept_state(ours);
    SSL_set_connect_state(theirs);
    if (session != NULL)
        assert_int_equal(SSL_set_session(theirs, session), 1);
    for (int i = 0; i < 20 && !(SSL_is_init_finished(ours) && SSL_is_init_finished(theirs)); i++) {
        (void)SSL_do_handshake(theirs);
        (void)SSL_do_handshake(ours);
    }
    assert_true(SSL_is_init_finished(ours) && SSL_is_init_finished(theirs));
    (void)SSL_read(theirs, &byte, 1); /* TLS 1.3 sends its ticket behind the handshake */
    bool resumed = SSL_session_reused(ours) == 1;
    assert_int_equal(SSL_session_reused(theirs), resumed);
    SSL_SESSION_free(kept);
    kept = SSL_get1_session(theirs);
    (void)SSL_shutdown(theirs); /* a session that is just freed is taken for a broken one */
    SSL_free(ours);
    SSL_free(theirs);
    return resumed;
}

static SSL_SESSION *first_session(struct tls_server *server, SSL_CTX *client) {
    assert_false(resumes(server, client, NULL));
    assert_non_null(kept);
    assert_int_equal(SSL_SESSION_up_ref(kept), 1);
    return kept;
}

/* ---- tests ---- */

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static void a_key_is_taken_in_its_period_and_the_next(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct tls_server *server = new_server(LIFETIME, false);
        SSL_CTX *client = new_client(versions[i]);
        SSL_SESSION *session = first_session(server, client);
        int64_t now = clock_now_ms();
        assert_true(resumes(server, client, session));
        assert_false(tls_server_rotate(server, now + PERIOD - 60000));
        assert_true(tls_server_rotate(server, now + PERIOD));
        assert_true(resumes(server, client, session));
        SSL_SESSION *renewed = kept; /* by a ticket of the new key */
        assert_int_equal(SSL_SESSION_up_ref(renewed), 1);
        assert_true(renewed != session);
        assert_true(tls_server_rotate(server, now + 2 * PERIOD));
        assert_false(resumes(server, client, session));
        assert_true(resumes(server, client, renewed));
        SSL_SESSION_free(session);
        SSL_SESSION_free(renewed);
        SSL_CTX_free(client);
        tls_server_free(server);
    }
}

static void after_a_long_sleep_the_former_key_is_too_old(void **state) {
    struct tls_server *server = new_server(LIFETIME, false);
    SSL_CTX *client = new_client(TLS1_3_VERSION);
    SSL_SESSION *session = first_session(server, client);

    (void)state;
    assert_true(tls_server_rotate(server, clock_now_ms() + 2 * PERIOD));
    assert_false(resumes(server, client, session));
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    tls_server_free(server);
}

static void keys_go_on_with_the_next_server(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct tls_server *server = new_server(LIFETIME, false), *next = new_server(LIFETIME, false);
        SSL_CTX *client = new_client(versions[i]);
        SSL_SESSION *session = first_session(server, client);
        assert_false(resumes(next, client, session));
        tls_server_take_tickets(next, server);
        assert_true(resumes(next, client, session));
        struct tls_server *asking = new_server(LIFETIME, true);
        tls_server_take_tickets(asking, server);
        assert_false(resumes(asking, client, session)); /* its question would be passed by */
        SSL_SESSION_free(session);
        SSL_CTX_free(client);
        tls_server_free(asking);
        tls_server_free(next);
        tls_server_free(server);
    }
}

static void without_a_lifetime_nothing_is_resumed(void **state) {
    struct tls_server *server = new_server(0, false);

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        SSL_CTX *client = new_client(versions[i]);
        SSL_SESSION *session = first_session(server, client);
        assert_false(SSL_SESSION_has_ticket(session));
        assert_false(resumes(server, client, session));
        SSL_SESSION_free(session);
        SSL_CTX_free(client);
    }
    assert_false(tls_server_rotate(server, clock_now_ms() + 10 * PERIOD));
    tls_server_free(server);
}

static void names_are_found_exact_before_wildcard(void **state) {
    static const char *const names[] = {"", "*.example.test", "a.example.test", "*.b.example.test", "example.org"};
    static const struct {
        const char *asked;
        size_t found;
    } rows[] = {
        {"a.example.test", 2},
        {"A.Example.TEST.", 2},
        {"x.example.test", 1},
        {"b.example.test", 1},
        {"x.b.example.test", 3},
        {"x.y.example.test", 0},
        {"example.test", 0},
        {".example.test", 0},
        {"example.org", 4},
        {"www.example.org", 0},
        {"", 0},
        {"*.example.test", 1},
        {".", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (tls_name_find(names, 5, text_of(rows[i].asked)) != rows[i].found)
            fail_msg("%s gets %zu", rows[i].asked, tls_name_find(names, 5, text_of(rows[i].asked)));
    assert_true(tls_name_is_valid(TEXT("*.example.test")) && tls_name_is_valid(TEXT("example.test")));
    assert_false(tls_name_is_valid(TEXT("*")) || tls_name_is_valid(TEXT("a.*.test")) || tls_name_is_valid(TEXT("")));
}

static int forget(void **state) {
    (void)state;
    SSL_SESSION_free(kept);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_taken_in_its_period_and_the_next),
        cmocka_unit_test(after_a_long_sleep_the_former_key_is_too_old),
        cmocka_unit_test(keys_go_on_with_the_next_server),
        cmocka_unit_test(without_a_lifetime_nothing_is_resumed),
        cmocka_unit_test(names_are_found_exact_before_wildcard),
    };
    return cmocka_run_group_tests(tests, NULL, forget);
}
