/* SPDX-License-Identifier: MIT
 * build/bench/sink: where `make bench` has mail delivered to. Speaks SMTP, or LMTP, to everybody who connects to
 * 127.1.0.1 and on at one port; accepts and forgets everything. What it has counted stands in a file that
 * others map. One process, one thread. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LATENCIES (1U << 20)

/* What others read: counts, and from each message's X-Sent field to its last byte here. */
struct counts {
    uint64_t messages, recipients, last, connections, latencies;
    uint32_t latency[LATENCIES]; /* microseconds; the first LATENCIES of them */
};

struct peer {
    int fd;
    bool listening, data;
    int recipients;
    uint64_t sent; /* what X-Sent said; 0 until it was seen */
    size_t length;
    char input[65536];
};

static struct counts *counts;
static bool lmtp;
static int epoll;

_Noreturn static void die(const char *what) {
    fprintf(stderr, "sink: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static struct peer *watch(int fd, bool listening) {
    struct peer *peer = calloc(1, sizeof *peer);
    if (!peer) {
        die("calloc");
    }
    peer->fd = fd;
    peer->listening = listening;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        die("epoll_ctl");
    }
    return peer;
}

static void say(const struct peer *peer, const char *text) {
    size_t length = strlen(text);
    if (write(peer->fd, text, length) != (ssize_t)length && errno != EPIPE && errno != ECONNRESET) {
        die("write");
    }
}

static void open_port(uint32_t number, uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(0x7f010000U + number);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1024) != 0) {
        die("listen");
    }
    watch(fd, true);
}

static void message_ended(struct peer *peer) {
    counts->last = now();
    if (peer->sent && counts->latencies < LATENCIES) {
        counts->latency[counts->latencies++] = (uint32_t)((counts->last - peer->sent) / 1000);
    }
    for (int i = 0; i < (lmtp ? peer->recipients : 1); i++) {
        say(peer, "250 2.0.0 taken\r\n");
    }
    counts->recipients += (uint64_t)peer->recipients;
    counts->messages++;
    peer->data = false;
    peer->recipients = 0;
    peer->sent = 0;
}

/* Takes what it can of a message; gives how many bytes that was. The last bytes may be half of its end, and stay. */
static size_t take_data(struct peer *peer, const char *data, size_t length) {
    if (!peer->sent) {
        const char *field = memmem(data, length, "X-Sent: ", 8);
        if (field && (size_t)(data + length - field) >= 28) {
            peer->sent = strtoull(field + 8, NULL, 10);
        }
    }
    const char *end = memmem(data, length, "\r\n.\r\n", 5);
    if (end) {
        message_ended(peer);
        return (size_t)(end - data) + 5;
    }
    /* Until the field has been seen all of the header waits, which is less than the input. */
    bool header = !peer->sent && length < sizeof peer->input / 2;
    return header || length < 4 ? 0 : length - 4;
}

static bool is(const char *line, const char *verb) {
    return strncasecmp(line, verb, 4) == 0;
}

/* One command; false when the connection ends. */
static bool command(struct peer *peer, const char *line) {
    if (is(line, "EHLO") || is(line, "LHLO")) {
        say(peer, "250-sink.test\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250 8BITMIME\r\n");
    } else if (is(line, "DATA")) {
        peer->data = true;
        say(peer, "354 go on\r\n");
    } else if (is(line, "QUIT")) {
        say(peer, "221 2.0.0 bye\r\n");
        return false;
    } else {
        peer->recipients = is(line, "RCPT") ? peer->recipients + 1 : 0;
        say(peer, "250 2.0.0 ok\r\n");
    }
    return true;
}

/* Goes through what has come; false when the connection ends. */
static bool take_input(struct peer *peer) {
    size_t done = 0;
    for (;;) {
        char *rest = peer->input + done;
        size_t length = peer->length - done;
        if (peer->data) {
            size_t taken = take_data(peer, rest, length);
            done += taken;
            if (peer->data) {
                break;
            }
            continue;
        }
        char *newline = memchr(rest, '\n', length);
        if (!newline) {
            break;
        }
        *newline = '\0';
        if (!command(peer, rest)) {
            return false;
        }
        done += (size_t)(newline - rest) + 1;
    }
    peer->length -= done;
    memmove(peer->input, peer->input + done, peer->length);
    return true;
}

static void accept_one(const struct peer *listener) {
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC), on = 1;
    if (fd < 0) {
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    counts->connections++;
    say(watch(fd, false), "220 sink.test ESMTP\r\n");
}

static void serve(struct peer *peer) {
    if (peer->listening) {
        accept_one(peer);
        return;
    }
    ssize_t got = read(peer->fd, peer->input + peer->length, sizeof peer->input - peer->length);
    if (got > 0) {
        peer->length += (size_t)got;
    }
    if (got <= 0 || !take_input(peer)) {
        close(peer->fd);
        free(peer);
    }
}

static void share(const char *path) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || ftruncate(fd, sizeof *counts) != 0) {
        die(path);
    }
    counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (counts == MAP_FAILED) {
        die("mmap");
    }
    close(fd);
}

int main(int argc, char **argv) {
    if (argc != 5 || (strcmp(argv[4], "smtp") != 0 && strcmp(argv[4], "lmtp") != 0)) {
        fputs("sink SHARED-FILE PORT ADDRESSES smtp|lmtp\n", stderr);
        return 64;
    }
    signal(SIGPIPE, SIG_IGN);
    share(argv[1]);
    lmtp = strcmp(argv[4], "lmtp") == 0;
    epoll = epoll_create1(EPOLL_CLOEXEC);
    for (long i = 1; i <= strtol(argv[3], NULL, 10); i++) {
        open_port((uint32_t)i, (uint16_t)strtol(argv[2], NULL, 10));
    }
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct epoll_event events[64];
        int count = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < count; i++) {
            serve(events[i].data.ptr);
        }
    }
}
