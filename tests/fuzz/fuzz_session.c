/* SPDX-License-Identifier: MIT
 * Fuzz target: a whole session. The real receiver's code against stand-ins for the services, with a client that says
 * the input in pieces, after the greeting or, when the first byte is odd, before. It must end, with every reply line
 * well formed, and without what only a bug makes (a panic, a wait for ever). */
#pragma GCC diagnostic ignored "-Wunused-function"
#include "../unit/session_stage.h"
#include "fuzz.h"
#include <errno.h>
#include <pthread.h>
#include <sys/prctl.h>

static int channels[3];

static void fuzz_start(void) {
    int pairs[3][2];

    seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    FUZZ_CHECK(seen != MAP_FAILED);
    for (size_t i = 0; i < 3; i++)
        FUZZ_CHECK(channel_pair(pairs[i]));
    if (fork() == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        run_services((const int[]){pairs[0][0], pairs[1][0], pairs[2][0]});
    }
    for (size_t i = 0; i < 3; i++) {
        (void)close(pairs[i][0]);
        channels[i] = pairs[i][1];
    }
}

struct speaker {
    int fd;
    bool waits;
    struct text words;
    struct buffer replies;
    bool cut; /* they were too many to be kept */
};

static bool hear(struct speaker *speaker, int flags) {
    char bytes[4096];
    ssize_t got = recv(speaker->fd, bytes, sizeof bytes, flags);

    speaker->cut = speaker->cut || (got > 0 && !buffer_append(&speaker->replies, bytes, (size_t)got));
    return got > 0;
}

/* Listens while it speaks, or both sides might wait for each other. */
static bool say_bytes(struct speaker *speaker, struct text bytes) {
    while (bytes.length > 0) {
        struct pollfd polled = {speaker->fd, POLLIN | POLLOUT, 0};
        (void)poll(&polled, 1, -1);
        if ((polled.revents & POLLIN) && !hear(speaker, MSG_DONTWAIT))
            return false;
        ssize_t sent = send(speaker->fd, bytes.data, bytes.length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN)
            return false;
        bytes = text_from(bytes, sent < 0 ? 0 : (size_t)sent);
    }
    return true;
}

/* Behind DATA it waits for the reply, as a client has to; not for long, since DATA may be text, too. */
static bool say_and_wait(struct speaker *speaker, struct text bytes) {
    static const char data[] = "DATA\r\n";
    const char *found;

    while ((found = memmem(bytes.data, bytes.length, data, sizeof data - 1)) != NULL) {
        size_t length = (size_t)(found - bytes.data) + sizeof data - 1;
        struct pollfd polled = {speaker->fd, POLLIN, 0};
        if (!say_bytes(speaker, text_first(bytes, length)))
            return false;
        if (poll(&polled, 1, 20) > 0 && !hear(speaker, MSG_DONTWAIT))
            return false;
        bytes = text_from(bytes, length);
    }
    return say_bytes(speaker, bytes);
}

/* A piece that begins with 0xff is said many times over: what is large needs no large input. */
static bool say_piece(struct speaker *speaker) {
    struct text piece = fuzz_piece(&speaker->words);
    unsigned times = piece.length > 2 && (uint8_t)piece.data[0] == 0xff ? 8u * (uint8_t)piece.data[1] : 1;

    if (times != 1)
        piece = text_from(piece, 2);
    for (unsigned i = 0; i < times; i++)
        if (!say_and_wait(speaker, piece))
            return false;
    return true;
}

static void *speak(void *context) {
    struct speaker *speaker = context;

    if (speaker->waits)
        (void)hear(speaker, 0);
    while (speaker->words.length > 0 && say_piece(speaker))
        continue;
    (void)shutdown(speaker->fd, SHUT_WR);
    while (hear(speaker, 0))
        continue;
    return NULL;
}

/* RFC 5321 4.2: three digits, a blank or a hyphen, text, CRLF. */
static void check_replies(struct text replies) {
    struct text line;

    while (text_split(&replies, '\n', &line)) {
        FUZZ_CHECK(line.length >= 5 && line.data[line.length - 1] == '\r');
        FUZZ_CHECK(line.data[0] >= '2' && line.data[0] <= '5' && (line.data[3] == ' ' || line.data[3] == '-'));
        FUZZ_CHECK(memchr(line.data, '\r', line.length - 1) == NULL && memchr(line.data, '\0', line.length) == NULL);
    }
}

static void fuzz_one(struct text input) {
    uint8_t flags = fuzz_byte(&input);
    const struct process_start start = {.config = &config,
                                        .hub = -1,
                                        .ledger = channels[0],
                                        .lookup = channels[1],
                                        .resolver = channels[2],
                                        .signer = -1,
                                        .job = -1};
    struct network_address peer = {.length = 0}, local = {.length = 0};
    struct speaker speaker = {.waits = !(flags & 1), .words = input};
    pthread_t thread;
    int ends[2];

    FUZZ_CHECK(network_parse_ip(TEXT("192.0.2.1"), 1025, &peer) && network_parse_ip(TEXT("192.0.2.2"), 25, &local));
    const struct hub_client client = {.listener = (uint32_t)(flags >> 1) % (uint32_t)config.listen_count,
                                      .uid = 1000,
                                      .peer = {(const char *)&peer, sizeof peer},
                                      .local = {(const char *)&local, sizeof local}};
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    speaker.fd = ends[0];
    buffer_init(&speaker.replies, 2u << 20);
    FUZZ_CHECK(pthread_create(&thread, NULL, speak, &speaker) == 0);
    session_serve(&start, &client, ends[1]);
    FUZZ_CHECK(pthread_join(thread, NULL) == 0);
    if (!speaker.cut)
        check_replies(buffer_text(&speaker.replies));
    buffer_free(&speaker.replies);
    (void)close(ends[0]);
}
