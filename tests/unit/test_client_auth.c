/* SPDX-License-Identifier: MIT
 * The client's login (AUTH PLAIN, AUTH LOGIN) against scripted servers: what it writes, what it is told, and that no
 * trace shows the password. */
#include "smtp/client.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))
#define TLS "220 hi\r\n250-x\r\n250 STARTTLS\r\n220 go\r\n"
#define WIRE_TLS "EHLO us.test\r\nSTARTTLS\r\nEHLO us.test\r\n"

static char traced[8192];

static void trace(void *context, enum client_direction direction, struct text line) {
    size_t length = strlen(traced);
    (void)context;
    snprintf(traced + length, sizeof traced - length, "%d %.*s\n", (int)direction, TEXT_ARGS(line));
}

/* The script goes on behind the handshake, so what came in with the 220 is put back as said under TLS. */
static const char *after_tls;

static bool pretend_tls(void *context, struct stream *stream, int64_t deadline, char *reason, size_t size) {
    int *server = context;
    (void)stream;
    (void)deadline;
    (void)reason;
    (void)size;
    bool good = write(*server, after_tls, strlen(after_tls)) == (ssize_t)strlen(after_tls);
    shutdown(*server, SHUT_WR);
    return good;
}

struct row {
    const char *sentence;
    const char *before, *after; /* what the server says up to the handshake, and behind it */
    const char *password;
    enum client_opening opening;
    const char *reply; /* its start */
    const char *wire;  /* all the client writes */
};

static const struct row rows[] = {
    {"AUTH PLAIN is preferred", TLS, "250-x\r\n250 AUTH LOGIN PLAIN\r\n235 2.7.0 welcome\r\n", "secret", CLIENT_OPEN,
     "235", WIRE_TLS "AUTH PLAIN AHVzAHNlY3JldA==\r\nQUIT\r\n"},
    {"AUTH LOGIN where PLAIN is not offered", TLS,
     "250-x\r\n250 AUTH CRAM-MD5 LOGIN\r\n334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n235 ok\r\n", "secret", CLIENT_OPEN,
     "235", WIRE_TLS "AUTH LOGIN\r\ndXM=\r\nc2VjcmV0\r\nQUIT\r\n"},
    {"a refused login is temporary", TLS, "250-x\r\n250 AUTH PLAIN\r\n535 5.7.8 wrong\r\n221 bye\r\n", "secret",
     CLIENT_UNMET, "454 4.7.0 the login as us was refused: 535 5.7.8 wrong",
     WIRE_TLS "AUTH PLAIN AHVzAHNlY3JldA==\r\nQUIT\r\n"},
    {"a user refused by AUTH LOGIN gets no password sent after it", TLS,
     "250-x\r\n250 AUTH LOGIN\r\n334 VXNlcm5hbWU6\r\n535 5.7.8 wrong\r\n221 bye\r\n", "secret", CLIENT_UNMET,
     "454 4.7.0 the login as us was refused: 535 5.7.8 wrong", WIRE_TLS "AUTH LOGIN\r\ndXM=\r\nQUIT\r\n"},
    {"no mechanism that we know", TLS, "250-x\r\n250 AUTH CRAM-MD5\r\n221 bye\r\n", "secret", CLIENT_UNMET,
     "454 4.7.0 the server offers neither", WIRE_TLS "QUIT\r\n"},
    {"mechanisms offered before TLS do not count", "220 hi\r\n250-x\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n220 go\r\n",
     "250 x\r\n221 bye\r\n", "secret", CLIENT_UNMET, "454 4.7.0 the server offers neither", WIRE_TLS "QUIT\r\n"},
    {"without STARTTLS the password is not sent", "220 hi\r\n250-x\r\n250 AUTH PLAIN LOGIN\r\n221 bye\r\n", NULL,
     "secret", CLIENT_UNMET, "454 4.7.0 this route wants TLS", "EHLO us.test\r\nQUIT\r\n"},
    {"a refused STARTTLS is no way around",
     "220 hi\r\n250-AUTH PLAIN\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n454 no\r\n221 bye\r\n", NULL, "secret",
     CLIENT_UNMET, "454 4.7.0 this route wants TLS", "EHLO us.test\r\nSTARTTLS\r\nQUIT\r\n"},
    {"a password that could not be read", TLS, "250-x\r\n250 AUTH PLAIN\r\n221 bye\r\n", NULL, CLIENT_UNMET,
     "454 4.7.0 the password of us could not be read", WIRE_TLS "QUIT\r\n"},
    {"a server that hangs up on the login", TLS, "250-x\r\n250 AUTH PLAIN\r\n", "secret", CLIENT_TEMPORARY,
     "451 4.4.2 connection closed while waiting for the reply to AUTH", WIRE_TLS "AUTH PLAIN AHVzAHNlY3JldA==\r\n"},
};

static void read_wire(int fd, char *wire, size_t size) {
    size_t length = 0;
    ssize_t got;
    while ((got = recv(fd, wire + length, size - 1 - length, MSG_DONTWAIT)) > 0)
        length += (size_t)got;
    wire[length] = '\0';
    close(fd);
}

static void play(const struct row *row) {
    int ends[2];
    struct client client;
    char wire[2048];
    print_message("%s\n", row->sentence);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(write(ends[1], row->before, strlen(row->before)), strlen(row->before));
    if (row->after == NULL)
        shutdown(ends[1], SHUT_WR);
    after_tls = row->after;
    traced[0] = '\0';
    const struct client_settings settings = {.own_name = "us.test",
                                             .timeout_cap = 1,
                                             .start_tls = pretend_tls,
                                             .tls_required = true,
                                             .user = "us",
                                             .password = row->password,
                                             .trace = trace,
                                             .context = &ends[1]};
    assert_int_equal(client_open(&client, ends[0], &settings), row->opening);
    assert_memory_equal(client.reply, row->reply, strlen(row->reply));
    client_quit(&client);
    read_wire(ends[1], wire, sizeof wire);
    assert_string_equal(wire, row->wire);
    assert_null(strstr(traced, "secret"));
    assert_null(strstr(traced, "c2VjcmV0"));
    assert_null(strstr(traced, "AHVzAHNlY3JldA"));
}

static void logins_are_made_within_tls_or_not_at_all(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        play(&rows[i]);
}

int main(void) {
    static const struct CMUnitTest tests[] = {cmocka_unit_test(logins_are_made_within_tls_or_not_at_all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
