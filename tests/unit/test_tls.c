/* SPDX-License-Identifier: MIT
 * TLS sessions over a socket pair: what each side learns, what breaks. Certificates and clients: tls_peers.h. */
#include "base/log.h"
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "tls_peers.h"

static void well_behaved(int fd) {
    struct stream stream;
    struct tls_facts facts;

    connect_as(fd, "mail.example.test", &stream, &facts);
    expect(facts.verified && facts.verify_error[0] == '\0', 2);
    expect_echo(&stream);
    stream_close(&stream);
}

static void connects_to_an_address(int fd) {
    struct stream stream;
    struct tls_facts facts;

    connect_as(fd, "[192.0.2.1]", &stream, &facts);
    expect(facts.verified, 2);
    expect_echo(&stream);
    stream_close(&stream);
}

static void expects_another_name(int fd) {
    struct stream stream;
    struct tls_facts facts;

    connect_as(fd, "other.example.test", &stream, &facts);
    expect(!facts.verified && strstr(facts.verify_error, "ostname mismatch") != NULL, 2);
    expect_echo(&stream); /* never a reason not to talk */
    stream_close(&stream);
}

static void expects_no_name(int fd) {
    struct stream stream;
    struct tls_facts facts;

    connect_as(fd, "", &stream, &facts);
    expect(!facts.verified && facts.verify_error[0] != '\0', 2);
    expect_echo(&stream);
    stream_close(&stream);
}

static void knows_no_authority(int fd) {
    struct stream stream;
    struct tls_facts facts;
    char reason[128];

    setenv("SSL_CERT_FILE", "/dev/null", 1);
    setenv("SSL_CERT_DIR", "/nonexistent", 1);
    stream_init(&stream, fd, 65536, 65536);
    expect(tls_connect(&stream, tls_client_new(), "mail.example.test", clock_deadline(LIMIT), &facts, reason,
                       sizeof reason) == STREAM_OK,
           1);
    expect(!facts.verified && facts.verify_error[0] != '\0', 2);
    expect_echo(&stream);
    stream_close(&stream);
}

static void closes_without_goodbye(int fd) {
    struct stream stream;
    struct tls_facts facts;

    connect_as(fd, "mail.example.test", &stream, &facts);
    expect_echo(&stream);
    close(fd);
    _exit(0);
}

static void talks_plain(int fd) {
    char byte;

    expect(write(fd, "EHLO client.example\r\n", 21) == 21, 1);
    while (read(fd, &byte, 1) > 0)
        ;
}

static void goes_away(int fd) {
    close(fd);
}

static void says_nothing(int fd) {
    char byte;

    (void)!read(fd, &byte, 1);
}

static void sends_much(int fd) {
    static char bytes[1 << 20];
    struct stream stream;
    struct tls_facts facts;
    char end;

    connect_as(fd, "mail.example.test", &stream, &facts);
    memset(bytes, 'x', sizeof bytes);
    expect(stream_write(&stream, bytes, sizeof bytes, clock_deadline(LIMIT)) == STREAM_OK, 2);
    expect(stream_flush(&stream, clock_deadline(LIMIT)) == STREAM_OK, 3);
    expect(stream_fill(&stream, clock_deadline(LIMIT)) == STREAM_OK, 4);
    end = stream_pending(&stream).data[0];
    expect(end == '!', 5);
    stream_close(&stream);
}

/* ---- the server, here ---- */

static enum stream_result accept_client(struct stream *stream, int fd, struct tls_facts *facts, char *reason,
                                        size_t size) {
    stream_init(stream, fd, 65536, 65536);
    return tls_accept(stream, server, clock_deadline(LIMIT), facts, reason, size);
}

static void echo(struct stream *stream) {
    struct text line;

    assert_int_equal(stream_read_line(stream, 1000, clock_deadline(LIMIT), &line), STREAM_OK);
    assert_true(text_equal(line, TEXT("hello")));
    assert_int_equal(stream_write(stream, "hello\r\n", 7, clock_deadline(LIMIT)), STREAM_OK);
    assert_int_equal(stream_flush(stream, clock_deadline(LIMIT)), STREAM_OK);
}

static void serve(client_script *script, struct tls_facts *facts) {
    struct stream stream;
    char reason[128];
    int fd = start_client(script);

    assert_int_equal(accept_client(&stream, fd, facts, reason, sizeof reason), STREAM_OK);
    assert_string_equal(reason, "");
    echo(&stream);
    assert_int_equal(stream_fill(&stream, clock_deadline(LIMIT)), STREAM_CLOSED);
    stream_close(&stream);
    assert_int_equal(client_status(), 0);
}

static void both_sides_talk_and_know_the_facts(void **state) {
    struct tls_facts facts;

    (void)state;
    serve(well_behaved, &facts);
    assert_string_equal(facts.version, "TLSv1.3");
    assert_true(strncmp(facts.cipher, "TLS_", 4) == 0);
    assert_string_equal(facts.server_name, "mail.example.test");
    assert_false(facts.verified);
}

static void an_address_literal_is_verified_and_not_sent_as_a_name(void **state) {
    struct tls_facts facts;

    (void)state;
    serve(connects_to_an_address, &facts);
    assert_string_equal(facts.server_name, "");
}

static void an_unverified_server_is_talked_to_and_recorded(void **state) {
    struct tls_facts facts;

    (void)state;
    serve(expects_another_name, &facts);
    serve(expects_no_name, &facts);
    serve(knows_no_authority, &facts);
}

static void a_close_without_goodbye_is_an_end(void **state) {
    struct tls_facts facts;

    (void)state;
    serve(closes_without_goodbye, &facts);
}

static void a_handshake_that_cannot_be_is_told_in_words(void **state) {
    static const struct {
        const char *sentence;
        client_script *script;
        enum stream_result result;
        const char *reason;
    } rows[] = {
        {"SMTP in place of TLS", talks_plain, STREAM_BROKEN, "wrong version number"},
        {"nobody there any more", goes_away, STREAM_CLOSED, "the peer closed the connection"},
        {"silence", says_nothing, STREAM_TIMEOUT, "the peer is too slow"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct stream stream;
        struct tls_facts facts;
        char reason[128] = "";
        stream_init(&stream, start_client(rows[i].script), 65536, 65536);
        int64_t deadline = clock_deadline(rows[i].result == STREAM_TIMEOUT ? 200 : LIMIT);
        enum stream_result result = tls_accept(&stream, server, deadline, &facts, reason, sizeof reason);
        if (result != rows[i].result || strcmp(reason, rows[i].reason) != 0)
            fail_msg("%s: %d %s", rows[i].sentence, (int)result, reason);
        stream_close(&stream);
        (void)client_status();
    }
}

static void bytes_before_the_handshake_are_refused(void **state) {
    struct stream stream;
    struct tls_facts facts;
    char reason[128];
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(write(ends[1], "RSET\r\n", 6), 6);
    stream_init(&stream, ends[0], 65536, 65536);
    assert_int_equal(stream_fill(&stream, clock_deadline(LIMIT)), STREAM_OK);
    assert_int_equal(tls_accept(&stream, server, clock_deadline(LIMIT), &facts, reason, sizeof reason), STREAM_BROKEN);
    assert_string_equal(reason, "bytes were sent before the handshake");
    stream_close(&stream);
    close(ends[1]);
}

static void much_data_comes_through_whole(void **state) {
    struct stream stream;
    struct tls_facts facts;
    char reason[128];
    size_t total = 0;
    int fd = start_client(sends_much);

    (void)state;
    assert_int_equal(accept_client(&stream, fd, &facts, reason, sizeof reason), STREAM_OK);
    while (total < 1 << 20) {
        assert_int_equal(stream_fill(&stream, clock_deadline(LIMIT)), STREAM_OK);
        struct text got = stream_pending(&stream);
        for (size_t i = 0; i < got.length; i++)
            assert_int_equal(got.data[i], 'x');
        total += got.length;
        stream_consume(&stream, got.length);
    }
    assert_int_equal(total, 1 << 20);
    assert_int_equal(stream_write(&stream, "!", 1, clock_deadline(LIMIT)), STREAM_OK);
    assert_int_equal(stream_flush(&stream, clock_deadline(LIMIT)), STREAM_OK);
    stream_close(&stream);
    assert_int_equal(client_status(), 0);
}

/* ---- versions, with OpenSSL's own client ---- */

static int openssl_client(const char *version, bool renegotiate, struct tls_facts *facts, enum stream_result *result) {
    char connect[64], reason[128];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct stream stream;

    assert_int_equal(bind(listening, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &length), 0);
    snprintf(connect, sizeof connect, "127.0.0.1:%u", ntohs(address.sin_port));
    child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_RDWR), in = memfd_create("in", 0);
        expect(write(in, renegotiate ? "R\nhello\n" : "hello\n", renegotiate ? 8 : 6) > 0, 1);
        lseek(in, 0, SEEK_SET);
        dup2(in, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        execlp("openssl", "openssl", "s_client", "-connect", connect, version, "-crlf", "-cipher", "DEFAULT@SECLEVEL=0",
               (char *)NULL);
        _exit(127);
    }
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    *result = accept_client(&stream, fd, facts, reason, sizeof reason);
    struct text line;
    int status = *result == STREAM_OK ? (int)stream_read_line(&stream, 1000, clock_deadline(LIMIT), &line) : -1;
    stream_close(&stream);
    close(listening);
    (void)client_status();
    return status;
}

static void versions_from_1_2_on_are_spoken(void **state) {
    struct tls_facts facts;
    enum stream_result result;

    (void)state;
    assert_int_equal(openssl_client("-tls1_2", false, &facts, &result), STREAM_OK);
    assert_string_equal(facts.version, "TLSv1.2");
    assert_int_equal(openssl_client("-tls1_3", false, &facts, &result), STREAM_OK);
    assert_string_equal(facts.version, "TLSv1.3");
    (void)openssl_client("-tls1_1", false, &facts, &result);
    assert_int_not_equal(result, STREAM_OK);
}

static void renegotiation_is_refused(void **state) {
    struct tls_facts facts;
    enum stream_result result;

    (void)state;
    assert_int_not_equal(openssl_client("-tls1_2", true, &facts, &result), STREAM_OK);
    assert_int_equal(result, STREAM_OK);
}

/* A server that speaks nothing newer than this version, for the client here. */
static enum stream_result connect_to(const char *version, struct tls_facts *facts, char *reason, size_t size) {
    char port[8];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd = -1;
    struct stream stream;

    assert_int_equal(bind(probe, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(probe, (struct sockaddr *)&address, &length), 0);
    snprintf(port, sizeof port, "%u", ntohs(address.sin_port));
    close(probe);
    child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        execlp("openssl", "openssl", "s_server", "-4", "-accept", port, version, "-cert", certificate, "-key",
               private_key, "-cipher", "DEFAULT@SECLEVEL=0", "-www", "-naccept", "1", (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 500; i++) {
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
            break;
        close(fd);
        usleep(20000);
    }
    stream_init(&stream, fd, 65536, 65536);
    static struct tls_client *client;
    if (client == NULL)
        client = tls_client_new();
    enum stream_result result =
        tls_connect(&stream, client, "mail.example.test", clock_deadline(LIMIT), facts, reason, size);
    stream_close(&stream);
    kill(child, SIGTERM);
    (void)client_status();
    return result;
}

static void a_server_older_than_1_2_is_not_talked_to(void **state) {
    struct tls_facts facts;
    char reason[128];

    (void)state;
    assert_int_equal(connect_to("-tls1_2", &facts, reason, sizeof reason), STREAM_OK);
    assert_string_equal(facts.version, "TLSv1.2");
    assert_int_not_equal(connect_to("-tls1_1", &facts, reason, sizeof reason), STREAM_OK);
    assert_true(reason[0] != '\0');
}

/* ---- files that are wrong ---- */

static void wrong_files_are_one_sentence(void **state) {
    char garbage[64], expected[256];
    static const char text[] = "-----BEGIN CERTIFICATE-----\nAAAA\n";

    (void)state;
    snprintf(garbage, sizeof garbage, "%s/garbage.pem", directory);
    int fd = open(garbage, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    buffer_clear(&error);
    assert_null(new_server("/nonexistent.pem", private_key));
    assert_string_equal(buffer_string(&error), "certificate /nonexistent.pem: No such file or directory");
    buffer_clear(&error);
    assert_null(new_server(certificate, "/nonexistent.pem"));
    assert_string_equal(buffer_string(&error), "private key /nonexistent.pem: No such file or directory");
    buffer_clear(&error);
    assert_null(new_server(certificate, other_key));
    snprintf(expected, sizeof expected, "private key %s does not belong to certificate %s", other_key, certificate);
    assert_string_equal(buffer_string(&error), expected);
    buffer_clear(&error);
    assert_null(new_server(garbage, private_key));
    assert_non_null(strstr(buffer_string(&error), "certificate "));
    buffer_clear(&error);
    assert_null(new_server(certificate, garbage));
    assert_non_null(strstr(buffer_string(&error), "private key "));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_talk_and_know_the_facts),
        cmocka_unit_test(an_address_literal_is_verified_and_not_sent_as_a_name),
        cmocka_unit_test(an_unverified_server_is_talked_to_and_recorded),
        cmocka_unit_test(a_close_without_goodbye_is_an_end),
        cmocka_unit_test(a_handshake_that_cannot_be_is_told_in_words),
        cmocka_unit_test(bytes_before_the_handshake_are_refused),
        cmocka_unit_test(much_data_comes_through_whole),
        cmocka_unit_test(versions_from_1_2_on_are_spoken),
        cmocka_unit_test(a_server_older_than_1_2_is_not_talked_to),
        cmocka_unit_test(renegotiation_is_refused),
        cmocka_unit_test(wrong_files_are_one_sentence),
    };
    int silent = open("/dev/null", O_WRONLY | O_CLOEXEC);
    log_start(silent, "test", LOG_LEVEL_INFO);
    signal(SIGPIPE, SIG_DFL);
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
