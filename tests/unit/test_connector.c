/* SPDX-License-Identifier: MIT
 * The connector as a process: connections by kind and index, programs on a socket, what is refused. */
#include "base/file.h"
#include "base/log.h"
#include "config/config.h"
#include "connector/connector.h"
#include "ipc/ask.h"
#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "service_child.h"

enum place { UNIX_PLACE, TCP_PLACE, NOBODY_THERE, NO_SUCH_PATH, PLACES };

struct fixture {
    char directory[32], name[2], endpoints[PLACES][100];
    int unix_listener, tcp_listener, silent;
    struct config_policy policies[PLACES];
    struct config config;
};

static int listen_tcp(char *endpoint, size_t size, bool stay) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(stay ? listen(fd, 5) : 0, 0);
    (void)snprintf(endpoint, size, "127.0.0.1:%u", ntohs(address.sin_port));
    return fd;
}

static int listen_unix(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(listen(fd, 5), 0);
    return fd;
}

static int set_up(void **state) {
    static struct fixture f;
    f = (struct fixture){.directory = "/tmp/test_connector.XXXXXX"};
    assert_non_null(mkdtemp(f.directory));
    assert_int_equal(chmod(f.directory, 0755), 0);
    (void)snprintf(f.endpoints[UNIX_PLACE], sizeof f.endpoints[0], "%s/socket", f.directory);
    (void)snprintf(f.endpoints[NO_SUCH_PATH], sizeof f.endpoints[0], "%s/nothing", f.directory);
    f.unix_listener = listen_unix(f.endpoints[UNIX_PLACE]);
    f.tcp_listener = listen_tcp(f.endpoints[TCP_PLACE], sizeof f.endpoints[0], true);
    f.silent = listen_tcp(f.endpoints[NOBODY_THERE], sizeof f.endpoints[0], false);
    for (size_t i = 0; i < PLACES; i++)
        f.policies[i] = (struct config_policy){.name = f.name, .endpoint = f.endpoints[i]};
    f.config = (struct config){.policies = f.policies, .policy_count = PLACES, .oauth_check = f.name};
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    close(f->unix_listener);
    close(f->tcp_listener);
    close(f->silent);
    (void)unlink(f->endpoints[UNIX_PLACE]);
    return rmdir(f->directory);
}

static void start(struct fixture *f, struct service_child *child) {
    service_child_start(child, connector_main,
                        (struct process_start){PROCESS_WITHOUT_DESCRIPTORS, .config = &f->config});
}

static int open_place(const struct service_child *child, uint32_t index, char why[256]) {
    return ask_connection(child->channel, OUTSIDE_POLICY, index, why, 256);
}

/* What comes within the time, as far as it goes; "" for the end. */
static const char *read_some(int fd) {
    static char bytes[256];
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, 10000), 1);
    ssize_t got = read(fd, bytes, sizeof bytes - 1);
    bytes[got > 0 ? got : 0] = '\0';
    return bytes;
}

static void a_place_is_named_by_its_index_and_comes_connected(void **state) {
    struct fixture *f = *state;
    struct service_child child;
    char why[256];
    start(f, &child);
    const struct {
        uint32_t index;
        int listener;
    } rows[] = {{UNIX_PLACE, f->unix_listener}, {TCP_PLACE, f->tcp_listener}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int fd = open_place(&child, rows[i].index, why);
        assert_true(fd >= 0);
        int other = accept(rows[i].listener, NULL, NULL);
        assert_int_equal(write(other, "hello", 5), 5);
        assert_string_equal(read_some(fd), "hello");
        close(other);
        close(fd);
    }
    assert_int_equal(service_child_end(&child), 0);
}

static void what_cannot_be_reached_says_why(void **state) {
    struct service_child child;
    char why[256];
    start(*state, &child);
    assert_int_equal(open_place(&child, NOBODY_THERE, why), -1);
    assert_string_equal(why, "Connection refused");
    assert_int_equal(open_place(&child, NO_SUCH_PATH, why), -1);
    assert_string_equal(why, "No such file or directory");
    assert_int_equal(service_child_end(&child), 0);
}

static void what_is_not_configured_ends_the_asker(void **state) {
    static const struct {
        uint32_t kind, index;
    } rows[] = {{OUTSIDE_POLICY, PLACES}, {OUTSIDE_MILTER, 0}, {OUTSIDE_KINDS, 0}, {UINT32_MAX, UINT32_MAX}};
    char why[256];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct service_child child;
        start(*state, &child);
        assert_int_equal(ask_connection(child.channel, rows[i].kind, rows[i].index, why, sizeof why), -1);
        assert_int_equal(ask_connection(child.channel, OUTSIDE_POLICY, UNIX_PLACE, why, sizeof why), -1);
        assert_int_equal(service_child_end(&child), 0);
    }
}

static void one_asker_cannot_open_connections_without_end(void **state) {
    struct service_child child;
    char why[256] = "";
    int opened = 0;
    start(*state, &child);
    for (; opened < 2000; opened++)
        if (open_place(&child, NOBODY_THERE, why) < 0 && strstr(why, "too many") != NULL)
            break;
    assert_in_range(opened, 100, 1999);
    assert_int_equal(service_child_end(&child), 0);
}

/* ---- programs ---- */

/* valgrind lets nobody lower the limit on descriptors for good, without which no program is started. */
static void skip_under_valgrind(void) {
    if (getenv("PARCELPOST_VALGRIND") != NULL) {
        skip();
    }
}

static void set_program(struct fixture *f, uint32_t index, const char *command) {
    (void)snprintf(f->endpoints[index], sizeof f->endpoints[0], "%s", command);
}

static void a_program_talks_over_a_socket_with_an_empty_environment(void **state) {
    struct fixture *f = *state;
    struct service_child child;
    char why[256];
    skip_under_valgrind();
    set_program(f, NOBODY_THERE, "|cat -");
    set_program(f, NO_SUCH_PATH, "|env");
    start(f, &child);
    int fd = open_place(&child, NOBODY_THERE, why);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "hello", 5), 5);
    assert_string_equal(read_some(fd), "hello");
    close(fd);
    fd = open_place(&child, NO_SUCH_PATH, why);
    assert_string_equal(read_some(fd), "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n");
    assert_string_equal(read_some(fd), "");
    close(fd);
    assert_int_equal(service_child_end(&child), 0);
}

static void a_program_that_cannot_be_started_says_why(void **state) {
    struct fixture *f = *state;
    struct service_child child;
    char why[256];
    skip_under_valgrind();
    set_program(f, NOBODY_THERE, "|/nowhere/at/all");
    start(f, &child);
    assert_int_equal(open_place(&child, NOBODY_THERE, why), -1);
    assert_string_equal(why, "No such file or directory");
    assert_int_equal(service_child_end(&child), 0);
}

static bool is_gone(pid_t pid) {
    char path[64], line[512] = "";
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    FILE *file = fopen(path, "re");
    bool gone = file == NULL || fgets(line, sizeof line, file) == NULL || strstr(line, ") Z ") != NULL;
    if (file != NULL)
        (void)fclose(file);
    return gone;
}

static void wait_until_gone(const long pids[2]) {
    for (int tries = 0; tries < 2000 && !(is_gone((pid_t)pids[0]) && is_gone((pid_t)pids[1])); tries++)
        (void)poll(NULL, 0, 10);
    assert_true(is_gone((pid_t)pids[0]) && is_gone((pid_t)pids[1]));
}

/* The shell ignores what would end it, and its helper sleeps: nothing but SIGKILL to the group ends both. */
static void a_program_and_what_it_started_end_with_the_session(void **state) {
    struct fixture *f = *state;
    struct service_child child;
    char why[256], script[64];
    long pids[2];
    skip_under_valgrind();
    (void)snprintf(script, sizeof script, "%s/script", f->directory);
    FILE *file = fopen(script, "we");
    (void)fputs("trap '' TERM HUP\nsleep 1000 &\necho $$ $!\nwhile :; do wait; done\n", file);
    (void)fclose(file);
    (void)snprintf(f->endpoints[NOBODY_THERE], sizeof f->endpoints[0], "|sh %s", script);
    for (int close_alone = 0; close_alone < 2; close_alone++) {
        start(f, &child);
        int fd = open_place(&child, NOBODY_THERE, why);
        assert_int_equal(sscanf(read_some(fd), "%ld %ld", &pids[0], &pids[1]), 2);
        assert_false(is_gone((pid_t)pids[0]));
        close(fd);
        if (close_alone == 1)
            wait_until_gone(pids);
        assert_int_equal(service_child_end(&child), 0);
        wait_until_gone(pids);
    }
    assert_int_equal(unlink(script), 0);
}

/* Beside a program that never starts to answer, and a socket that nobody accepts, others get theirs. */
static void nobody_waits_for_another_ones_connection(void **state) {
    struct fixture *f = *state;
    struct service_child child;
    int more[2];
    char why[256];
    const struct connect_ask slow = {.kind = OUTSIDE_POLICY, .index = NOBODY_THERE};
    const struct hub_peer peer = {.peer = PEER_RECEIVER, .pid = 2};
    (void)snprintf(f->endpoints[NOBODY_THERE], sizeof f->endpoints[0], "192.0.2.1:9"); /* RFC 5737: answers nothing */
    start(f, &child);
    assert_true(channel_pair(more));
    assert_int_equal(channel_send(child.hub, HUB_PEER, 0, &peer, more[1]), CHANNEL_OK);
    close(more[1]);
    assert_int_equal(channel_send(more[0], CONNECT_ASK, 1, &slow, -1), CHANNEL_OK);
    int fd = open_place(&child, UNIX_PLACE, why);
    assert_true(fd >= 0);
    close(fd);
    close(more[0]);
    assert_int_equal(service_child_end(&child), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_place_is_named_by_its_index_and_comes_connected, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_reached_says_why, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_configured_ends_the_asker, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_asker_cannot_open_connections_without_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_program_talks_over_a_socket_with_an_empty_environment, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_program_that_cannot_be_started_says_why, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_program_and_what_it_started_end_with_the_session, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_waits_for_another_ones_connection, set_up, tear_down),
    };
    log_start(STDERR_FILENO, "test_connector", LOG_LEVEL_FATAL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
