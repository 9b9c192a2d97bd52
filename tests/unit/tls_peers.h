/* SPDX-License-Identifier: MIT
 * What the tests of TLS share: certificates made with OpenSSL's command, a server context, clients in a child process.
 * Included by tests/unit/test_tls*.c after cmocka.h. */
#ifndef TESTS_UNIT_TLS_PEERS_H
#define TESTS_UNIT_TLS_PEERS_H
#include "base/clock.h"
#include "tls/keys.h"
#include "tls/tls.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT 20000
#define SHARED __attribute__((unused)) static

SHARED char directory[] = "/tmp/parcelpost-tls-XXXXXX";
SHARED char certificate[64], private_key[64], other_key[64];
SHARED struct buffer error;
SHARED struct tls_server *server;
SHARED struct tls_keys *keys;

/* ---- certificates ---- */

SHARED void run(const char *const *arguments) {
    pid_t child = fork();
    int status;

    if (child == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDERR_FILENO);
        execvp(arguments[0], (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

SHARED void make_certificate(const char *kind, const char *key, const char *file) {
    const char *const arguments[] = {"openssl",
                                     "req",
                                     "-x509",
                                     "-newkey",
                                     kind,
                                     "-pkeyopt",
                                     strcmp(kind, "ec") == 0 ? "ec_paramgen_curve:P-256" : "rsa_keygen_bits:2048",
                                     "-nodes",
                                     "-days",
                                     "2",
                                     "-subj",
                                     "/CN=mail.example.test",
                                     "-addext",
                                     "subjectAltName=DNS:mail.example.test,IP:192.0.2.1",
                                     "-keyout",
                                     key,
                                     "-out",
                                     file,
                                     NULL};
    run(arguments);
}

/* Its keys stay here: this process signs for itself. */
SHARED struct tls_server *server_with_keys(struct tls_settings *settings, struct buffer *sentence) {
    struct buffer self_signed;

    buffer_init(&self_signed, 4096);
    struct tls_keys *read = tls_keys_read(settings, &self_signed, sentence);
    if (read == NULL)
        return NULL;
    tls_keys_free(keys);
    keys = read;
    tls_keys_use(keys);
    settings->self_signed = buffer_text(&self_signed);
    struct tls_server *made = tls_server_new(settings, sentence);
    buffer_free(&self_signed);
    return made;
}

SHARED struct tls_server *new_server(const char *chain, const char *key) {
    const struct tls_identity identity = {
        .name = "", .certificates = &chain, .private_keys = &key, .count = chain != NULL};
    struct tls_settings settings = {.identities = &identity,
                                    .count = 1,
                                    .own_name = "mail.example.test",
                                    .client_ca = "",
                                    .session_lifetime = 3600};

    return server_with_keys(&settings, &error);
}

SHARED int make_files(void **state) {
    char unused[64];

    (void)state;
    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(certificate, sizeof certificate, "%s/certificate.pem", directory);
    snprintf(private_key, sizeof private_key, "%s/key.pem", directory);
    snprintf(other_key, sizeof other_key, "%s/other.pem", directory);
    snprintf(unused, sizeof unused, "%s/unused.pem", directory);
    make_certificate("rsa", private_key, certificate);
    make_certificate("ec", other_key, unused);
    buffer_init(&error, 4096);
    server = new_server(certificate, private_key);
    return server != NULL ? 0 : -1;
}

SHARED int remove_files(void **state) {
    static const char *const names[] = {"certificate.pem", "key.pem", "other.pem", "unused.pem", "garbage.pem"};
    char path[96];

    (void)state;
    tls_server_free(server);
    tls_keys_free(keys);
    buffer_free(&error);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        (void)unlink(path);
    }
    return rmdir(directory);
}

/* ---- the client, in a child ---- */

typedef void client_script(int fd);
SHARED pid_t child;

SHARED int start_client(client_script *script) {
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    child = fork();
    if (child == 0) {
        close(ends[0]);
        script(ends[1]);
        _exit(0);
    }
    close(ends[1]);
    return ends[0];
}

/* Ends with 0 when the script was content. */
SHARED int client_status(void) {
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

SHARED void expect(bool condition, int status) {
    if (!condition)
        _exit(status);
}

SHARED void connect_as(int fd, const char *host, struct stream *stream, struct tls_facts *facts) {
    char reason[128];

    setenv("SSL_CERT_FILE", certificate, 1);
    stream_init(stream, fd, 65536, 65536);
    struct tls_client *client = tls_client_new();
    expect(tls_connect(stream, client, host, clock_deadline(LIMIT), facts, reason, sizeof reason) == STREAM_OK, 1);
}

SHARED void expect_echo(struct stream *stream) {
    struct text line;

    expect(stream_write(stream, "hello\r\n", 7, clock_deadline(LIMIT)) == STREAM_OK, 10);
    expect(stream_flush(stream, clock_deadline(LIMIT)) == STREAM_OK, 11);
    expect(stream_read_line(stream, 1000, clock_deadline(LIMIT), &line) == STREAM_OK, 12);
    expect(text_equal(line, TEXT("hello")), 13);
}

#endif
