/* SPDX-License-Identifier: MIT
 * A whole listener and the real nursery with fake services and receivers, as another process, without root. */
#ifndef SUPERVISOR_FIXTURE_H
#define SUPERVISOR_FIXTURE_H
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
/* Where there is a file `hang`, it never becomes ready. */
static _Noreturn void fake_signer(const struct process_start *start) {
    char path[128];
    snprintf(path, sizeof path, "%s/hang", directory);
    while (access(path, F_OK) == 0) {
        pause();
    }
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

/* The real one. Where the file `victim` names a process, it first says that this is a receiver, which then says to the
 * listener what no receiver may. */
static _Noreturn void noted_nursery(const struct process_start *start) {
    char path[128];
    int victim = 0, ends[2];
    note("nursery");
    snprintf(path, sizeof path, "%s/victim", directory);
    FILE *file = fopen(path, "r");
    if (file != NULL && fscanf(file, "%d", &victim) == 1 && channel_pair(ends)) {
        const struct hub_born born = {(uint32_t)victim};
        const struct empty_message nothing = {0};
        (void)channel_send(start->hub, HUB_BORN, 0, &born, ends[0]);
        (void)channel_send(ends[1], HUB_FINISHED, 0, &nothing, -1);
    }
    nursery_main(start);
}

process_main *const process_mains[PROCESS_KINDS] = {
    [PROCESS_LEDGER] = fake_ledger, [PROCESS_LOOKUP] = fake_lookup,       [PROCESS_RESOLVER] = fake_resolver,
    [PROCESS_SIGNER] = fake_signer, [PROCESS_RUNNER] = fake_runner,       [PROCESS_RECEIVER] = fake_receiver,
    [PROCESS_AGENT] = fake_agent,   [PROCESS_CONNECTOR] = fake_connector, [PROCESS_NURSERY] = noted_nursery,
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
            "connection_limit = 3\nreceiver_spare = 2\nlookup_workers = 1\n"
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
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    inet_pton(AF_INET, source, &from.sin_addr);
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes); /* else it could get the server's own port */
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

static int set_up_with(void **state, const char *extra) {
    static struct server server;
    snprintf(directory, sizeof directory, "/tmp/parcelpost-supervisor-XXXXXX");
    if (mkdtemp(directory) == NULL || chmod(directory, 0777) != 0) {
        return -1;
    }
    server.port = free_port();
    write_configuration(server.port, extra);
    server.pid = spawn();
    *state = &server;
    return 0;
}

static int set_up(void **state) {
    return set_up_with(state, "stop_timeout = 2");
}

/* A stop_timeout of 30 s. */
static int set_up_patient(void **state) {
    return set_up_with(state, "");
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

#endif
