/* SPDX-License-Identifier: MIT
 * The listener and the nursery with fake services and receivers: it serves, replaces what dies, keeps limits, turns
 * locked-out contacts away without a fork, and stops in order. Also the pauses between restarts and the log's periods.
 * Runs a whole listener as another process, without root. */
#include "base/clock.h"
#include "base/exit_status.h"
#include "base/file.h"
#include "base/log.h"
#include "ipc/process.h"
#include "ipc/service.h"
#include "listener/listener.h"
#include "listener/log_file.h"
#include "listener/restart.h"
#include "nursery/nursery.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* In place of the sandbox: fake receivers, which the real nursery forks, write files. */
#include "../../src/base/sandbox_empty.c"

#define LOCKED_OUT "127.0.0.9"

static char directory[64];

/* ---- fake processes ---- */

static void note(const char *words) {
    char path[128], line[128];
    snprintf(path, sizeof path, "%s/notes", directory);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    int length = snprintf(line, sizeof line, "%s %d\n", words, (int)getpid());
    (void)file_write_all(fd, line, (size_t)length);
    close(fd);
}

static bool on_hits(void *context, struct service_peer *peer, struct channel_message *message) {
    char words[100];
    (void)context;
    (void)peer;
    snprintf(words, sizeof words, "hits %.*s %u", TEXT_ARGS(message->values->hub_hits.contact),
             message->values->hub_hits.hits);
    note(words);
    return true;
}

static bool on_death(void *context, struct service_peer *peer, struct channel_message *message) {
    (void)context;
    (void)peer;
    (void)message;
    note("told-of-death");
    return true;
}

static bool on_nothing(void *context, struct service_peer *peer, struct channel_message *message) {
    (void)context;
    (void)peer;
    (void)message;
    return true;
}

static const struct service_row ledger_rows[] = {
    {HUB_HITS, on_hits}, {HUB_RECEIVER_DIED, on_death}, {HUB_RELOAD, on_nothing}};
static const struct service_row runner_rows[] = {{HUB_RELOAD, on_nothing}};
static const struct service_definition definitions[] = {
    [PROCESS_LEDGER] = {.kind = SERVICE_LEDGER, .rows = ledger_rows, .row_count = 3},
    [PROCESS_LOOKUP] = {.kind = SERVICE_LOOKUP},
    [PROCESS_RESOLVER] = {.kind = SERVICE_RESOLVER},
    [PROCESS_SIGNER] = {.kind = SERVICE_SIGNER},
    [PROCESS_CONNECTOR] = {.kind = SERVICE_CONNECTOR},
    [PROCESS_RUNNER] = {.kind = SERVICE_RUNNER, .rows = runner_rows, .row_count = 1},
};

static _Noreturn void serve(const struct process_start *start, enum process_kind kind) {
    note(process_names[kind]);
    struct service *service = service_new(&definitions[kind], start->hub, NULL);
    if (kind == PROCESS_LEDGER) {
        const struct hub_contact locked = {TEXT(LOCKED_OUT), time(NULL) + 1000, time(NULL)};
        service_send(service_hub(service), HUB_LOCKED, 0, &locked, -1);
    }
    service_run(service);
}

static _Noreturn void fake_ledger(const struct process_start *start) {
    serve(start, PROCESS_LEDGER);
}
static _Noreturn void fake_lookup(const struct process_start *start) {
    serve(start, PROCESS_LOOKUP);
}
static _Noreturn void fake_resolver(const struct process_start *start) {
    serve(start, PROCESS_RESOLVER);
}
static _Noreturn void fake_signer(const struct process_start *start) {
    serve(start, PROCESS_SIGNER);
}
static _Noreturn void fake_connector(const struct process_start *start) {
    serve(start, PROCESS_CONNECTOR);
}
static _Noreturn void fake_runner(const struct process_start *start) {
    serve(start, PROCESS_RUNNER);
}

static unsigned open_descriptors(void) {
    unsigned count = 0;
    for (int fd = 3; fd < 256; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

/* Greets with what it holds and who it is; then 'x' makes it die, anything else ends it. */
static _Noreturn void fake_receiver(const struct process_start *start) {
    static char storage[CHANNEL_MESSAGE_MAXIMUM];
    union channel_values values;
    struct channel_message message;
    char line[64], byte = 0;
    note("receiver");
    unsigned held = open_descriptors();
    if (channel_receive(start->hub, CLOCK_NEVER, storage, &values, &message) != CHANNEL_OK || message.fd < 0) {
        _exit(EXIT_STATUS_OK);
    }
    int length = snprintf(line, sizeof line, "%d %u\n", (int)getpid(), held);
    file_set_nonblocking(message.fd, false);
    (void)file_write_all(message.fd, line, (size_t)length);
    if (read(message.fd, &byte, 1) == 1 && byte == 'x') {
        raise(SIGKILL);
    }
    _exit(EXIT_STATUS_OK);
}

static _Noreturn void fake_agent(const struct process_start *start) {
    (void)start;
    _exit(EXIT_STATUS_OK);
}

process_main *const process_mains[PROCESS_KINDS] = {
    [PROCESS_LEDGER] = fake_ledger, [PROCESS_LOOKUP] = fake_lookup,       [PROCESS_RESOLVER] = fake_resolver,
    [PROCESS_SIGNER] = fake_signer, [PROCESS_RUNNER] = fake_runner,       [PROCESS_RECEIVER] = fake_receiver,
    [PROCESS_AGENT] = fake_agent,   [PROCESS_CONNECTOR] = fake_connector, [PROCESS_NURSERY] = nursery_main,
};
const char *const process_names[PROCESS_KINDS] = {
    [PROCESS_LEDGER] = "ledger", [PROCESS_LOOKUP] = "lookup",       [PROCESS_RESOLVER] = "resolver",
    [PROCESS_SIGNER] = "signer", [PROCESS_RUNNER] = "runner",       [PROCESS_RECEIVER] = "receiver",
    [PROCESS_AGENT] = "agent",   [PROCESS_CONNECTOR] = "connector", [PROCESS_NURSERY] = "nursery",
};

/* ---- a listener ---- */

struct server {
    pid_t pid;
    unsigned port;
};

static unsigned free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static void write_configuration(unsigned port, const char *extra) {
    char path[128];
    snprintf(path, sizeof path, "%s/conf", directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "server_name = \"mail.example.test\"\nlocal_domains = {\"example.test\"}\ndatabase = \"%1$s/s/p.db\"\n"
            "users_database = \"%1$s/s/u.db\"\nqueue = \"%1$s/queue\"\ncontrol_directory = \"%1$s/run\"\n"
            "lock_file_path = \"%1$s/run/lock\"\npid_path = \"%1$s/run/pid\"\nlog_path_and_file = \"%1$s/log\"\n"
            "connection_limit = 3\nreceiver_spare = 2\nlookup_workers = 1\nstop_timeout = 2\n"
            "listen \"127.0.0.1:%2$u\" { role = mx }\n%3$s\n",
            directory, port, extra);
    fclose(file);
}

/* The listener's process; as nobody, for as root it would want system users. */
static pid_t spawn(void) {
    fflush(NULL);
    pid_t pid = fork();
    if (pid != 0) {
        return pid;
    }
    char path[128];
    struct buffer errors;
    const struct listener_options options = {.log_level = LOG_LEVEL_DEBUG};
    snprintf(path, sizeof path, "%s/conf", directory);
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) {
        _exit(99);
    }
    buffer_init(&errors, 10000);
    struct config *config = config_read(path, NULL, &errors);
    if (config == NULL) {
        dprintf(2, "%s\n", buffer_string(&errors));
        _exit(98);
    }
    if (freopen("/dev/null", "w", stderr) == NULL) {
        _exit(97);
    }
    _exit(listener_main(config, &options));
}

static int connect_from(const struct server *server, const char *source) {
    struct sockaddr_in from = {.sin_family = AF_INET},
                       to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)server->port)};
    struct timeval patience = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    inet_pton(AF_INET, source, &from.sin_addr);
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) == 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0) {
        return fd;
    }
    close(fd);
    return -1;
}

static ssize_t read_words(int fd, char *words, size_t size) {
    ssize_t length = recv(fd, words, size - 1, 0);
    words[length > 0 ? length : 0] = '\0';
    return length;
}

/* A connection that a receiver greeted; waits while the listener starts or replaces something. */
static int served(const struct server *server, char *words, size_t size) {
    for (int i = 0; i < 100; i++) {
        int fd = connect_from(server, "127.0.0.1");
        if (fd >= 0 && read_words(fd, words, size) > 0 && strncmp(words, "421", 3) != 0) {
            return fd;
        }
        if (fd >= 0) {
            close(fd);
        }
        usleep(50000);
    }
    fail_msg("nobody serves");
    return -1;
}

static unsigned count_notes(const char *start, int *last_pid) {
    char path[128], line[128];
    unsigned count = 0;
    snprintf(path, sizeof path, "%s/notes", directory);
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, start, strlen(start)) == 0) {
            count++;
            *last_pid = (int)strtol(strrchr(line, ' '), NULL, 10);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return count;
}

static void wait_for_notes(const char *start, unsigned count) {
    int pid;
    for (int i = 0; i < 200 && count_notes(start, &pid) < count; i++) {
        usleep(50000);
    }
    assert_true(count_notes(start, &pid) >= count);
}

static int set_up(void **state) {
    static struct server server;
    snprintf(directory, sizeof directory, "/tmp/parcelpost-supervisor-XXXXXX");
    if (mkdtemp(directory) == NULL || chmod(directory, 0777) != 0) {
        return -1;
    }
    server.port = free_port();
    write_configuration(server.port, "");
    server.pid = spawn();
    *state = &server;
    return 0;
}

static int tear_down(void **state) {
    struct server *server = *state;
    char command[128];
    int status = -1;
    if (server->pid > 0) {
        kill(server->pid, SIGTERM);
        waitpid(server->pid, &status, 0);
    }
    snprintf(command, sizeof command, "%s", directory);
    pid_t remover = fork();
    if (remover == 0) {
        execlp("rm", "rm", "-rf", command, (char *)NULL);
        _exit(1);
    }
    waitpid(remover, NULL, 0);
    return 0;
}

/* ---- what it does ---- */

static void each_client_gets_a_receiver_of_its_own_that_holds_only_its_channels(void **state) {
    char first[64], second[64];
    unsigned pid, held;
    int one = served(*state, first, sizeof first), two = served(*state, second, sizeof second);
    assert_string_not_equal(first, second);
    assert_int_equal(sscanf(first, "%u %u", &pid, &held), 2);
    assert_int_equal(held, 6); /* hub, ledger, lookup, resolver, signer, log */
    close(one);
    close(two);
}

static void a_locked_out_contact_is_closed_without_a_word_or_a_fork(void **state) {
    char words[64];
    int pid;
    int fd = served(*state, words, sizeof words);
    close(fd);
    usleep(300000); /* the receiver in its place is forked */
    unsigned before = count_notes("receiver", &pid);
    for (int i = 0; i < 20; i++) {
        fd = connect_from(*state, LOCKED_OUT);
        assert_true(fd >= 0);
        assert_true(read_words(fd, words, sizeof words) <= 0);
        close(fd);
    }
    assert_int_equal(count_notes("receiver", &pid), before);
    wait_for_notes("hits " LOCKED_OUT, 1);
}

static void a_connection_too_many_reads_421(void **state) {
    char words[200];
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = served(*state, words, sizeof words);
    }
    int fd = connect_from(*state, "127.0.0.1");
    assert_true(read_words(fd, words, sizeof words) > 0);
    assert_string_equal(words, "421 4.7.0 mail.example.test too many connections, try again later\r\n");
    assert_true(read_words(fd, words, sizeof words) == 0);
    close(fd);
    for (int i = 0; i < 3; i++) {
        close(fds[i]);
    }
}

static void a_receiver_that_dies_costs_one_client(void **state) {
    char words[64];
    int other = served(*state, words, sizeof words), victim = served(*state, words, sizeof words);
    assert_int_equal(write(victim, "x", 1), 1);
    assert_true(read_words(victim, words, sizeof words) <= 0);
    wait_for_notes("told-of-death", 1);
    int third = served(*state, words, sizeof words);
    assert_int_equal(send(other, "q", 1, MSG_NOSIGNAL), 1);
    close(other);
    close(victim);
    close(third);
}

static void every_service_that_dies_is_replaced(void **state) {
    static const char *const names[] = {"ledger", "lookup", "resolver", "signer", "runner"};
    char words[64];
    int pid = 0;
    close(served(*state, words, sizeof words));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        unsigned before = count_notes(names[i], &pid);
        assert_int_equal(kill(pid, SIGKILL), 0);
        wait_for_notes(names[i], before + 1);
        close(served(*state, words, sizeof words));
    }
    assert_int_equal(count_notes("runner", &pid), 3); /* a new ledger, a new runner */
}

static void a_wrong_new_configuration_changes_nothing_and_a_right_one_does(void **state) {
    struct server *server = *state;
    struct server other = *server;
    char words[64], more[100];
    close(served(server, words, sizeof words));
    other.port = free_port();
    write_configuration(server->port, "no_such_key = 1");
    kill(server->pid, SIGHUP);
    usleep(200000);
    close(served(server, words, sizeof words));
    snprintf(more, sizeof more, "listen \"127.0.0.1:%u\" { role = mx }", other.port);
    write_configuration(server->port, more);
    kill(server->pid, SIGHUP);
    close(served(&other, words, sizeof words));
    close(served(server, words, sizeof words));
}

static int end_of(pid_t pid) {
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void told_to_stop_it_ends_its_sessions_and_all_its_processes(void **state) {
    struct server *server = *state;
    char words[64];
    int pid = 0;
    int idle = served(server, words, sizeof words);
    kill(server->pid, SIGTERM);
    assert_int_equal(end_of(server->pid), EXIT_STATUS_OK);
    server->pid = 0;
    assert_true(count_notes("ledger", &pid) > 0);
    assert_int_equal(kill(pid, 0), -1);
    assert_true(read_words(idle, words, sizeof words) <= 0);
    close(idle);
}

static void a_second_server_is_told_that_one_runs(void **state) {
    char words[64];
    close(served(*state, words, sizeof words));
    assert_int_equal(end_of(spawn()), EXIT_STATUS_UNAVAILABLE);
}

static void a_taken_port_is_an_error_of_its_own(void **state) {
    struct server *server = *state;
    char words[64];
    close(served(server, words, sizeof words));
    kill(server->pid, SIGTERM);
    assert_int_equal(end_of(server->pid), EXIT_STATUS_OK);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)server->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(end_of(spawn()), EXIT_STATUS_UNAVAILABLE);
    server->pid = 0;
    close(fd);
}

/* ---- values ---- */

static void a_service_that_keeps_dying_is_started_after_growing_pauses(void **state) {
    struct restart_history history = {0};
    int64_t now = 1000000, pause = 0;
    (void)state;
    for (unsigned i = 0; i < RESTART_FREE; i++) {
        assert_int_equal(restart_after_death(&history, now), now);
    }
    for (unsigned i = 0; i < 20; i++) {
        int64_t next = restart_after_death(&history, now) - now;
        assert_true(next > pause || next == RESTART_PAUSE_LAST_MS);
        pause = next;
        now += next;
    }
    now += 2 * RESTART_WINDOW_MS + RESTART_PAUSE_LAST_MS;
    assert_int_equal(restart_after_death(&history, now), now);
}

static void log_periods_have_names(void **state) {
    static const struct {
        enum log_life life;
        const char *time, *period;
    } rows[] = {
        {LOG_LIFE_NONE, "2026-11-22 12:00:00", ""},           {LOG_LIFE_DAILY, "2026-11-22 12:00:00", "2026-11-22"},
        {LOG_LIFE_WEEKLY, "2026-11-22 12:00:00", "2026-W47"}, {LOG_LIFE_WEEKLY, "2027-01-01 12:00:00", "2026-W53"},
        {LOG_LIFE_MONTHLY, "2026-11-22 12:00:00", "2026-11"},
    };
    (void)state;
    setenv("TZ", "UTC", 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char period[LOG_PERIOD_SIZE];
        time_t seconds;
        assert_true(clock_parse(rows[i].time, &seconds));
        log_file_period(rows[i].life, seconds, period);
        assert_string_equal(period, rows[i].period);
    }
}

#define WITH_SERVER(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_service_that_keeps_dying_is_started_after_growing_pauses),
        cmocka_unit_test(log_periods_have_names),
        WITH_SERVER(each_client_gets_a_receiver_of_its_own_that_holds_only_its_channels),
        WITH_SERVER(a_locked_out_contact_is_closed_without_a_word_or_a_fork),
        WITH_SERVER(a_connection_too_many_reads_421),
        WITH_SERVER(a_receiver_that_dies_costs_one_client),
        WITH_SERVER(every_service_that_dies_is_replaced),
        WITH_SERVER(a_wrong_new_configuration_changes_nothing_and_a_right_one_does),
        WITH_SERVER(told_to_stop_it_ends_its_sessions_and_all_its_processes),
        WITH_SERVER(a_second_server_is_told_that_one_runs),
        WITH_SERVER(a_taken_port_is_an_error_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
