/* SPDX-License-Identifier: MIT
 * Fuzz target: the first bytes of a TLS client (the name it asks for, the ticket it brings), certificates that peers
 * show, and what a receiver asks the signer to sign. The handshake ends, only a host name becomes a fact, and what is
 * signed is of one kind alone. */
#include "base/clock.h"
#include "fuzz.h"
#include "mail/address.h"
#include "tls/keys.h"
#include "tls/scheme.h"
#include "tls/server.h"
#include <sys/socket.h>
#include <unistd.h>

static struct tls_server *server;

static void fuzz_start(void) {
    static const struct tls_identity identities[] = {{.name = ""}, {.name = "*.example.test"}, {.name = "mail.test"}};
    struct tls_settings settings = {.identities = identities,
                                    .count = sizeof identities / sizeof identities[0],
                                    .own_name = "mail.example.test",
                                    .ask_client = true,
                                    .client_ca = "",
                                    .session_lifetime = 3600};
    struct buffer error, self_signed;

    buffer_init(&error, 1024);
    buffer_init(&self_signed, 4096);
    struct tls_keys *keys = tls_keys_read(&settings, &self_signed, &error);
    FUZZ_CHECK(keys != NULL);
    tls_keys_use(keys);
    settings.self_signed = buffer_text(&self_signed);
    server = tls_server_new(&settings, &error);
    FUZZ_CHECK(server != NULL);
    struct tls_server *former = tls_server_new(&settings, &error);
    FUZZ_CHECK(former != NULL);
    tls_server_take_tickets(server, former);
    tls_server_free(former);
    FUZZ_CHECK(!tls_server_rotate(server, server->tickets.made_at));
    FUZZ_CHECK(tls_server_rotate(server, server->tickets.made_at + server->tickets.lifetime));
    memset(&server->tickets.keys[0], 'k', sizeof server->tickets.keys[0]); /* those of the tickets in the corpus */
    memset(&server->tickets.keys[1], 'f', sizeof server->tickets.keys[1]);
    FUZZ_CHECK(server->tickets.has_former);
    buffer_free(&self_signed);
    buffer_free(&error);
}

static void shake_hands(struct text input) {
    struct tls_facts facts;
    struct stream stream;
    char reason[128];
    int ends[2];

    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    if (send(ends[1], input.data, input.length, MSG_DONTWAIT) < 0)
        (void)0; /* more than a socket holds: the server reads what there is */
    (void)shutdown(ends[1], SHUT_WR);
    stream_init(&stream, ends[0], 65536, 65536);
    enum stream_result result = tls_accept_begun(&stream, server, clock_deadline(5000), &facts, reason, sizeof reason);
    FUZZ_CHECK(result != STREAM_TIMEOUT && (result == STREAM_OK || reason[0] != '\0'));
    FUZZ_CHECK(facts.server_name[0] == '\0' || address_domain_is_valid(text_of(facts.server_name), false));
    stream_close(&stream);
    (void)close(ends[1]);
}

static void read_certificate(struct text input) {
    const unsigned char *bytes = (const unsigned char *)input.data;
    X509 *certificate = d2i_X509(NULL, &bytes, (long)input.length);
    char name[256], fingerprint[3 * 32];

    if (certificate == NULL)
        return;
    certificate_name(X509_get_subject_name(certificate), name, sizeof name);
    FUZZ_CHECK(memchr(name, '\0', sizeof name) != NULL);
    certificate_name(X509_get_issuer_name(certificate), name, 16);
    FUZZ_CHECK(memchr(name, '\0', 16) != NULL);
    certificate_fingerprint(certificate, fingerprint);
    FUZZ_CHECK(strlen(fingerprint) == sizeof fingerprint - 1);
    X509_free(certificate);
}

/* What may be signed with PKCS #1 is never what TLS 1.3 signs, and has two randoms before at least three bytes. */
static void ask_for_signature(struct text input) {
    bool old = scheme_signs(scheme_of_code(0x0401), input), any = scheme_signs(scheme_of_code(0x0804), input);

    FUZZ_CHECK(any || !old);
    FUZZ_CHECK(scheme_find("RSA", (int)input.length, false) == NULL || scheme_has_digest("RSA", (int)input.length));
    FUZZ_CHECK(!old || input.length > 64 + 3);
    FUZZ_CHECK(old || !any || text_starts_nocase(text_from(input, 64), TEXT("TLS 1.3, server ")));
}

static void fuzz_one(struct text input) {
    unsigned char kind = fuzz_byte(&input);

    if (kind % 2 == 0)
        shake_hands(input);
    else if (kind % 4 == 1)
        read_certificate(input);
    else
        ask_for_signature(input);
}
