/* SPDX-License-Identifier: MIT
 * build/bench/client: the load generator of `make bench`. Prints one line of JSON: messages, seconds from the first
 * action to the last reply, latencies (connect to the reply to the message; on connections that are reused, MAIL to
 * that reply), the time its work began and its own processor time. With --idle it prints "ready" once all connections
 * have had their greetings, and holds them until its input ends. */
#include "client.h"
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define HEADER                                                                                                         \
    "From: Sender <%s>\r\nTo: User <user@destination.test>\r\nSubject: load\r\n"                                       \
    "Date: Mon, 01 Jan 2024 00:00:00 +0000\r\nMessage-ID: <load.%s@source.test>\r\nX-Sent: "
static const char zeros[] = "00000000000000000000";

uint64_t client_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

_Noreturn void client_die(const char *what, const char *detail) {
    fprintf(stderr, "client: %s: %s\n", what, detail);
    exit(1);
}

static void *allocate(size_t size) {
    void *memory = calloc(1, size);
    if (!memory) {
        client_die("calloc", strerror(errno));
    }
    return memory;
}

/* Header, lines of 72 bytes up to the size, the dot. */
static void make_message(struct client *client) {
    size_t room = client->task.size + 1024;
    client->message = allocate(room);
    size_t length = (size_t)snprintf(client->message, room, HEADER, client->task.from, zeros);
    client->message_stamp = length;
    length += (size_t)snprintf(client->message + length, room - length, "%s\r\n\r\n", zeros);
    while (length + 72 <= client->task.size) {
        memset(client->message + length, 'x', 70);
        memcpy(client->message + length + 70, "\r\n", 2);
        length += 72;
    }
    memcpy(client->message + length, ".\r\n", 3);
    client->message_length = length + 3;
}

static void usage(void) {
    fputs("client --port N [--connections N] [--messages N] [--seconds S] [--size BYTES] [--reuse] [--redial] "
          "[--starttls]\n"
          "       [--login BASE64] [--from ADDRESS] [--domain NAME] [--domains N] [--recipients N] [--sigalgs NAMES]\n"
          "       [--handshakes | --idle]\n",
          stderr);
    exit(64);
}

/* How a word becomes a field of the task; getopt gives the row's number. */
enum option_kind { OPTION_NUMBER, OPTION_COUNT, OPTION_SECONDS, OPTION_TEXT, OPTION_SWITCH, OPTION_MODE };
static const struct option_row {
    enum option_kind kind;
    size_t offset;
    enum client_mode mode;
} rows[] = {
    {OPTION_NUMBER, offsetof(struct client_task, port), 0},
    {OPTION_NUMBER, offsetof(struct client_task, connections), 0},
    {OPTION_NUMBER, offsetof(struct client_task, domains), 0},
    {OPTION_NUMBER, offsetof(struct client_task, recipients), 0},
    {OPTION_COUNT, offsetof(struct client_task, messages), 0},
    {OPTION_COUNT, offsetof(struct client_task, size), 0},
    {OPTION_SECONDS, offsetof(struct client_task, seconds), 0},
    {OPTION_TEXT, offsetof(struct client_task, login), 0},
    {OPTION_TEXT, offsetof(struct client_task, domain), 0},
    {OPTION_TEXT, offsetof(struct client_task, from), 0},
    {OPTION_TEXT, offsetof(struct client_task, sigalgs), 0},
    {OPTION_SWITCH, offsetof(struct client_task, reuse), 0},
    {OPTION_SWITCH, offsetof(struct client_task, starttls), 0},
    {OPTION_SWITCH, offsetof(struct client_task, redial), 0},
    {OPTION_MODE, 0, CLIENT_HANDSHAKE},
    {OPTION_MODE, 0, CLIENT_IDLE},
};
static const struct option options[] = {
    {"port", 1, 0, 0},     {"connections", 1, 0, 0}, {"domains", 1, 0, 0},    {"recipients", 1, 0, 0},
    {"messages", 1, 0, 0}, {"size", 1, 0, 0},        {"seconds", 1, 0, 0},    {"login", 1, 0, 0},
    {"domain", 1, 0, 0},   {"from", 1, 0, 0},        {"sigalgs", 1, 0, 0},    {"reuse", 0, 0, 0},
    {"starttls", 0, 0, 0}, {"redial", 0, 0, 0},      {"handshakes", 0, 0, 0}, {"idle", 0, 0, 0},
    {NULL, 0, 0, 0},
};

static void take_option(struct client_task *task, const struct option_row *row, const char *value) {
    char *field = (char *)task + row->offset;
    switch (row->kind) {
    case OPTION_NUMBER:
        *(int *)(void *)field = (int)strtol(value, NULL, 10);
        break;
    case OPTION_COUNT:
        *(size_t *)(void *)field = strtoul(value, NULL, 10);
        break;
    case OPTION_SECONDS:
        *(double *)(void *)field = strtod(value, NULL);
        break;
    case OPTION_TEXT:
        *(const char **)(void *)field = value;
        break;
    case OPTION_SWITCH:
        *(bool *)(void *)field = true;
        break;
    case OPTION_MODE:
        task->mode = row->mode;
        break;
    }
}

static struct client_task read_options(int argc, char **argv) {
    struct client_task task = {.connections = 1,
                               .domains = 1,
                               .recipients = 1,
                               .messages = 1000000,
                               .seconds = 1e6,
                               .size = 4096,
                               .from = "sender@source.test"};
    int row = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, &row)) != -1;) {
        if (option != 0) {
            usage();
        }
        take_option(&task, &rows[row], optarg);
    }
    if (task.port < 1 || task.connections < 1 || task.domains < 1 || task.recipients < 1 || task.messages < 1) {
        usage();
    }
    task.starttls = task.starttls || task.mode == CLIENT_HANDSHAKE;
    return task;
}

static void prepare(struct client *client) {
    const struct client_task *task = &client->task;
    client->epoll = epoll_create1(EPOLL_CLOEXEC);
    client->tls = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_session_cache_mode(client->tls, SSL_SESS_CACHE_OFF); /* every handshake is a full one */
    if (task->sigalgs && SSL_CTX_set1_sigalgs_list(client->tls, task->sigalgs) != 1) {
        client_die("unknown signature algorithms", task->sigalgs);
    }
    client->latencies = allocate((task->messages + (size_t)task->connections) * sizeof *client->latencies);
    client->sessions = allocate((size_t)task->connections * sizeof *client->sessions);
    make_message(client);
    client->output_size = client->message_length + 1024 + (size_t)task->recipients * 160;
    for (int i = 0; i < task->connections; i++) {
        client->sessions[i].number = i;
        client->sessions[i].output = allocate(client->output_size);
    }
}

/* Handles what has happened, waiting for something. */
static void turn(struct client *client) {
    struct epoll_event events[64];
    int count = epoll_wait(client->epoll, events, 64, client->task.redial ? 50 : 60000);
    if (count == 0 && !client->task.redial) {
        client_die("no reply within a minute", "");
    }
    for (int i = 0; client->task.redial && i < client->task.connections; i++) {
        session_redial(client, &client->sessions[i]);
    }
    for (int i = 0; i < count; i++) {
        session_event(client, events[i].data.ptr, events[i].events);
    }
}

/* Connections that are reused are opened, and have their greetings, before the clock runs. */
static void run(struct client *client) {
    const struct client_task *task = &client->task;
    bool ahead = task->reuse || task->mode == CLIENT_IDLE;
    client->start = client_now();
    client->started = !ahead;
    for (int i = 0; i < task->connections && (ahead || client_may_begin(client)); i++) {
        client->begun += task->mode == CLIENT_HANDSHAKE;
        session_connect(client, &client->sessions[i]);
    }
    while (ahead && client->ready < task->connections) {
        turn(client);
    }
    if (task->mode == CLIENT_IDLE) {
        puts("ready");
        fflush(stdout);
        char byte;
        while (read(STDIN_FILENO, &byte, 1) > 0) {
        }
        return;
    }
    if (ahead) {
        client->started = true;
        client->start = client_now();
        for (int i = 0; i < task->connections; i++) {
            session_next(client, &client->sessions[i]);
        }
    }
    while (client->open > 0) {
        turn(client);
    }
}

static int compare(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static void report(struct client *client) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    size_t done = client->done;
    if (done == 0) {
        client_die("nothing was accepted", "");
    }
    qsort(client->latencies, done, sizeof *client->latencies, compare);
    printf("{\"messages\": %zu, \"seconds\": %.6f, \"median_us\": %u, \"p99_us\": %u, \"start_ns\": %llu, \"cpu\": "
           "%.3f}\n",
           done, (double)(client->last - client->start) / 1e9, client->latencies[done / 2],
           client->latencies[done * 99 / 100], (unsigned long long)client->start, cpu);
}

int main(int argc, char **argv) {
    struct client client = {.task = read_options(argc, argv)};
    prepare(&client);
    run(&client);
    if (client.task.mode != CLIENT_IDLE) {
        report(&client);
    }
    return 0;
}
