/* SPDX-License-Identifier: MIT
 * The resolver as a process: overlapping questions over a channel, against a DNS server of this test that answers the
 * question "found.test" only. */
#include "base/log.h"
#include "config/config.h"
#include "ipc/ask.h"
#include "resolver/resolver.h"
#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "service_child.h"

struct fixture {
    pid_t pid;
    char server[32], directory[32];
    char *servers[1];
    struct config config;
};

/* Turns questions into answers: one A record, or two MX, or NXDOMAIN by the first letter; "silent" gets none. */
static _Noreturn void serve(int fd) {
    for (;;) {
        unsigned char bytes[1024];
        struct sockaddr_in from;
        socklen_t length = sizeof from;
        ssize_t got = recvfrom(fd, bytes, 512, 0, (struct sockaddr *)&from, &length);
        if (got < 17 || bytes[13] == 's') {
            continue;
        }
        size_t used = 12 + strlen((char *)bytes + 12) + 1 + 4;
        unsigned type = bytes[used - 3];
        memcpy(bytes + 2, bytes[13] == 'n' ? "\x81\x83\0\1\0\0\0\0\0\0" : "\x81\x80\0\1\0\1\0\0\0\0", 10);
        if (bytes[13] != 'n' && type == 1) {
            memcpy(bytes + used, "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\7", 16);
            used += 16;
        } else if (bytes[13] != 'n') {
            bytes[7] = 2;
            memcpy(bytes + used, "\xc0\x0c\0\x0f\0\1\0\0\0\x3c\0\5\0\x0a\1a\0\xc0\x0c\0\x0f\0\1\0\0\0\x3c\0\3\0\0\0",
                   32);
            used += 32;
        }
        (void)sendto(fd, bytes, used, 0, (struct sockaddr *)&from, length);
    }
}

static int set_up(void **state) {
    static struct fixture f;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    (void)snprintf(f.server, sizeof f.server, "127.0.0.1:%u", ntohs(address.sin_port));
    (void)snprintf(f.directory, sizeof f.directory, "/tmp/test_resolver.XXXXXX");
    assert_non_null(mkdtemp(f.directory));
    f.servers[0] = f.server;
    f.config =
        (struct config){.dns_servers = {f.servers, 1}, .dns_timeout_ms = 1000, .dns_tries = 2, .dns_cache_size = 10};
    f.pid = fork();
    if (f.pid == 0) {
        serve(fd);
    }
    close(fd);
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    kill(f->pid, SIGKILL);
    (void)waitpid(f->pid, NULL, 0);
    return rmdir(f->directory);
}

static void overlapping_questions_are_answered_each_as_it_is(void **state) {
    struct fixture *f = *state;
    struct service_child child;
    static struct dns_question questions[5];
    static const struct {
        const char *name;
        enum dns_type type;
        enum dns_status status;
    } rows[5] = {{"silent.test", DNS_TYPE_A, DNS_TIMEOUT},
                 {"found.test", DNS_TYPE_A, DNS_FOUND},
                 {"nowhere.test", DNS_TYPE_MX, DNS_NO_NAME},
                 {"bad..name", DNS_TYPE_A, DNS_BAD_NAME},
                 {"mail.test", DNS_TYPE_MX, DNS_FOUND}};
    service_child_start(&child, resolver_main,
                        (struct process_start){.config = &f->config, .chroot = SERVICE_CHILD_CHROOT(f->directory)});
    for (size_t i = 0; i < 5; i++) {
        assert_true(dns_question_ask(child.channel, &questions[i], rows[i].name, rows[i].type));
    }
    dns_question_collect(child.channel, questions, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(questions[i].answer.status, rows[i].status);
    }
    struct dns_record record;
    struct text rest = questions[1].answer.records;
    assert_true(dns_question_next(&rest, &record));
    assert_true(text_equal(record.value, TEXT("127.0.0.7")));
    assert_false(dns_question_next(&rest, &record));
    rest = questions[4].answer.records;
    assert_true(dns_question_next(&rest, &record));
    assert_int_equal(record.preference, 10);
    assert_true(text_equal(record.value, TEXT("a")));
    assert_true(dns_question_next(&rest, &record));
    assert_int_equal(record.preference, 0);
    assert_true(text_equal(record.value, TEXT(".")));
    for (size_t i = 0; i < 5; i++) {
        dns_question_free(&questions[i]);
    }
    assert_int_equal(service_child_end(&child), 0);
}

static void an_asker_who_leaves_with_open_questions_harms_nobody(void **state) {
    struct fixture *f = *state;
    struct service_child child;
    struct dns_question question = {0};
    service_child_start(&child, resolver_main, (struct process_start){.config = &f->config});
    assert_true(dns_question_ask(child.channel, &question, "silent.test", DNS_TYPE_A));
    usleep(50000);
    assert_int_equal(service_child_end(&child), 0);
    dns_question_free(&question);
}

static void a_type_that_is_not_in_the_list_ends_the_asker(void **state) {
    struct fixture *f = *state;
    struct service_child child;
    struct dns_question question = {0};
    service_child_start(&child, resolver_main, (struct process_start){.config = &f->config});
    assert_int_equal(dns_lookup(child.channel, "found.test", (enum dns_type)255, &question), DNS_TIMEOUT);
    assert_int_equal(service_child_end(&child), 0);
    dns_question_free(&question);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overlapping_questions_are_answered_each_as_it_is),
        cmocka_unit_test(an_asker_who_leaves_with_open_questions_harms_nobody),
        cmocka_unit_test(a_type_that_is_not_in_the_list_ends_the_asker),
    };
    log_start(2, "test_resolver", LOG_LEVEL_INFO);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
