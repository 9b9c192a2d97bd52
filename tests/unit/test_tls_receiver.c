/* SPDX-License-Identifier: MIT
 * A TLS session in a process like a receiver: forked, sandboxed, idle. Certificates and clients: tls_peers.h. */
#include "base/log.h"
#include "base/sandbox.h"
#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sanitized.h"
#include "tls_peers.h"

#define IDLE_KIB_MAXIMUM 320

static void stays_idle(int fd) {
    struct stream stream;
    struct tls_facts facts;

    connect_as(fd, "mail.example.test", &stream, &facts);
    expect_echo(&stream);
    (void)stream_fill(&stream, clock_deadline(LIMIT));
    stream_close(&stream);
}

/* ---- in a receiver ---- */

static size_t private_kib(void) {
    char text[4096];
    size_t kib = 0;
    int fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
    ssize_t got = read(fd, text, sizeof text - 1);

    close(fd);
    if (got <= 0)
        return 0;
    text[got] = '\0';
    for (const char *at = strstr(text, "\nPrivate_"); at != NULL; at = strstr(at + 1, "\nPrivate_"))
        if (strchr(at, ':') != NULL)
            kib += strtoul(strchr(at, ':') + 1, NULL, 10);
    return kib;
}

/* A receiver: forked, then the session, then idle. Reports what is private to it before and after. */
static void hold_session(int fd, int report, bool sandboxed) {
    struct stream stream;
    struct tls_facts facts;
    char reason[128];
    struct text line;
    size_t kib[2] = {private_kib(), 0};

    if (sandboxed)
        sandbox_enter(SANDBOX_RECEIVER);
    stream_init(&stream, fd, 65536, 65536);
    expect(tls_accept(&stream, server, clock_deadline(LIMIT), &facts, reason, sizeof reason) == STREAM_OK, 21);
    expect(stream_read_line(&stream, 1000, clock_deadline(LIMIT), &line) == STREAM_OK, 22);
    expect(stream_write(&stream, "hello\r\n", 7, clock_deadline(LIMIT)) == STREAM_OK, 23);
    expect(stream_flush(&stream, clock_deadline(LIMIT)) == STREAM_OK, 24);
    tls_give_back(); /* as receivers do when their client is silent */
    (void)malloc_trim(0);
    if (!sandboxed)
        kib[1] = private_kib();
    expect(write(report, kib, sizeof kib) == sizeof kib, 25);
    stream_close(&stream);
    _exit(0);
}

static int in_a_receiver(bool sandboxed, size_t kib[2]) {
    int report[2], status;
    int fd = start_client(stays_idle);
    pid_t client = child;

    assert_int_equal(pipe2(report, O_CLOEXEC), 0);
    pid_t receiver = fork();
    if (receiver == 0)
        hold_session(fd, report[1], sandboxed);
    close(fd);
    close(report[1]);
    kib[0] = kib[1] = 0;
    (void)!read(report[0], kib, 2 * sizeof kib[0]);
    close(report[0]);
    assert_int_equal(waitpid(receiver, &status, 0), receiver);
    child = client;
    (void)client_status();
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

static void a_handshake_needs_nothing_that_the_sandbox_forbids(void **state) {
    size_t kib[2];

    (void)state;
    sandbox_prepare(SANDBOX_RECEIVER);
    assert_int_equal(in_a_receiver(true, kib), 0);
}

static void an_idle_session_stays_small(void **state) {
    size_t kib[2];

    (void)state;
    if (is_watched()) { /* they need memory of their own */
        skip();
    }
    assert_int_equal(in_a_receiver(false, kib), 0);
    print_message("private memory of a process with an idle session: %zu KiB, before it %zu KiB\n", kib[1], kib[0]);
    assert_in_range(kib[1], 1, IDLE_KIB_MAXIMUM);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handshake_needs_nothing_that_the_sandbox_forbids),
        cmocka_unit_test(an_idle_session_stays_small),
    };
    int silent = open("/dev/null", O_WRONLY | O_CLOEXEC);
    log_start(silent, "test", LOG_LEVEL_INFO);
    signal(SIGPIPE, SIG_DFL);
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
