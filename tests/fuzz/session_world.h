/* SPDX-License-Identifier: MIT
 * The world around a session that is fuzzed: its client and whatever else it waits for, in the session's own thread.
 * Whenever the session would wait (poll), the world goes one step on: services answer what they were asked, and what is
 * waited for says its next piece of the input. So a client hears the replies before it goes on, and every run of an
 * input is the same. Nobody really waits: where nothing comes, the clock is put forward.
 *
 * An input is pieces, each behind its length (a byte). What a piece begins with says whose words it is; without one of
 * these bytes it is the client's. */
#ifndef TESTS_FUZZ_SESSION_WORLD_H
#define TESTS_FUZZ_SESSION_WORLD_H
#include "fuzz.h"
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum tag {
    TAG_PACKETS = 0xf0,  /* a milter's packets, as they are */
    TAG_PACKET = 0xf1,   /* one packet of a milter, without its length */
    TAG_POLICY = 0xf2,   /* a policy server's words */
    TAG_DOVECOT = 0xf3,  /* Dovecot's */
    TAG_TOKEN = 0xf4,    /* those of who checks tokens */
    TAG_SERVICES = 0xf5, /* which question (enum question), and bytes that choose what is answered to it, in turn */
    TAG_RULE = 0xf6,     /* what the operator's rules say, session_services.h */
    TAG_EAGER = 0xf8,    /* the client does not wait for the greeting before this */
    TAG_SILENCE = 0xf9,  /* the client lets a time limit pass */
    TAG_LOSS = 0xfa,     /* the client's connection is lost */
    TAG_STOP = 0xfb,     /* the listener stops the server; then the client's next words */
    TAG_SLOW = 0xfc,     /* the client's next words come three seconds later */
    TAG_DEAF = 0xfd,     /* the client reads no more; then its next words */
    TAG_OFTEN = 0xff     /* said eight times as often as the next byte says: what is large needs no large input */
};
/* By the first byte of the pieces that they say. */
enum speaker_kind { SPEAKER_CLIENT, SPEAKER_MILTER, SPEAKER_POLICY, SPEAKER_DOVECOT, SPEAKER_TOKEN, SPEAKER_KINDS };

/* What services are asked. */
enum question {
    QUESTION_OPEN,
    QUESTION_VIOLATION,
    QUESTION_CONTACT_LOGIN,
    QUESTION_COUNT,
    QUESTION_GREYLIST,
    QUESTION_LOCKED,
    QUESTION_SPOOL,
    QUESTION_COMMIT,
    QUESTION_ADDRESS,
    QUESTION_PASSWORD,
    QUESTION_SCRAM_BEGIN,
    QUESTION_SCRAM_FINISH,
    QUESTION_MAY_SEND,
    QUESTION_RULE,
    QUESTION_DNS,
    QUESTION_SIGN,
    QUESTION_CONNECT,
    QUESTION_HANDSHAKE, /* asked of nobody: how it ends, */
    QUESTION_DISK,      /* and how a write or a read */
    QUESTION_OTHER,     /* what gets no answer */
    QUESTIONS
};

#define SLOW_MS 3000
#define CHOICES_MAXIMUM 64    /* for one question */
#define SPEAKERS_MAXIMUM 64   /* connections of one session; what is opened beyond them is refused */
#define PIECES_MAXIMUM 1024   /* of one sort */
#define OFTEN_MAXIMUM 700000u /* bytes that are said again, in one session */
#define COURTESIES_MAXIMUM 64 /* answers that a connection gives of itself when its pieces have been said */

struct pieces {
    struct text items[PIECES_MAXIMUM];
    size_t count, next;
};

struct speaker {
    enum speaker_kind kind;
    int fd;           /* our end; -1: closed */
    ino_t other;      /* the session's end */
    unsigned answers; /* it gave */
    struct text rest; /* of what it is saying, */
    struct text whole;
    unsigned times; /* and how often it still says that again */
};

static struct world {
    bool runs, inside;
    bool early;        /* the client says its first piece before it has heard anything */
    int64_t passed_ms; /* put forward */
    struct pieces said[SPEAKER_KINDS], rules;
    struct choices {
        uint8_t bytes[CHOICES_MAXIMUM];
        size_t count, next;
    } choices[QUESTIONS];
    struct speaker speakers[SPEAKERS_MAXIMUM]; /* the first is the client */
    size_t count;
    struct buffer replies; /* to the client */
    bool cut;              /* they were too many to be kept */
    bool heard;            /* there were any */
    bool deaf;             /* the client reads no more, or is gone: the last line may have no end */
    size_t again;          /* bytes that the client said again */
    int hub;               /* the listener's end, or -1 */
} world;

/* Reads what the session asks of its services, and answers. */
static void serve(void);

/* ---- the input ---- */

static void keep_piece(struct pieces *pieces, struct text piece) {
    if (pieces->count < PIECES_MAXIMUM)
        pieces->items[pieces->count++] = piece;
}

static struct text next_piece(struct pieces *pieces) {
    return pieces->next < pieces->count ? pieces->items[pieces->next++] : TEXT_NONE;
}

static void keep_choices(struct text words) {
    struct choices *choices = &world.choices[fuzz_byte(&words) % QUESTIONS];

    while (words.length > 0 && choices->count < CHOICES_MAXIMUM)
        choices->bytes[choices->count++] = fuzz_byte(&words);
}

static void sort_piece(struct text piece) {
    struct text words = text_from(piece, 1);

    switch (piece.length > 0 ? (uint8_t)piece.data[0] : 0) {
    case TAG_PACKETS:
    case TAG_PACKET:
        keep_piece(&world.said[SPEAKER_MILTER], piece);
        break;
    case TAG_POLICY:
        keep_piece(&world.said[SPEAKER_POLICY], words);
        break;
    case TAG_DOVECOT:
        keep_piece(&world.said[SPEAKER_DOVECOT], words);
        break;
    case TAG_TOKEN:
        keep_piece(&world.said[SPEAKER_TOKEN], words);
        break;
    case TAG_SERVICES:
        keep_choices(words);
        break;
    case TAG_RULE:
        keep_piece(&world.rules, words);
        break;
    default:
        keep_piece(&world.said[SPEAKER_CLIENT], piece);
    }
}

/* The next byte that chooses an answer; 0, the usual one, when there are no more. */
static uint8_t choose(enum question question) {
    struct choices *choices = &world.choices[question];

    return choices->next < choices->count ? choices->bytes[choices->next++] : 0;
}

/* ---- speaking ---- */

/* Returns the session's end, or -1. */
static int add_speaker(enum speaker_kind kind) {
    static const int little = 8192; /* bytes that wait for who does not read */
    struct stat status;
    int ends[2];

    if (world.count == SPEAKERS_MAXIMUM)
        return -1;
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    FUZZ_CHECK(setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &little, sizeof little) == 0 && fstat(ends[1], &status) == 0);
    world.speakers[world.count++] = (struct speaker){.kind = kind, .fd = ends[0], .other = status.st_ino};
    return ends[1];
}

static void leave(struct speaker *speaker) {
    if (speaker->fd >= 0)
        (void)close(speaker->fd);
    speaker->fd = -1;
}

static void hear(struct speaker *speaker) {
    char bytes[16384];
    ssize_t got;

    if (speaker->kind == SPEAKER_CLIENT && world.deaf)
        return;
    while (speaker->fd >= 0 && (got = recv(speaker->fd, bytes, sizeof bytes, 0)) > 0)
        if (speaker->kind == SPEAKER_CLIENT) {
            world.heard = true;
            world.cut = world.cut || !buffer_append(&world.replies, bytes, (size_t)got);
        }
}

/* As much as it can take. False: nothing, for nobody listens. */
static bool say(struct speaker *speaker) {
    for (;;) {
        while (speaker->rest.length > 0) {
            ssize_t sent = send(speaker->fd, speaker->rest.data, speaker->rest.length, MSG_NOSIGNAL);
            if (sent < 0)
                return errno == EAGAIN;
            speaker->rest = text_from(speaker->rest, (size_t)sent);
        }
        if (speaker->times == 0)
            return true;
        speaker->times--;
        world.again += speaker->whole.length;
        speaker->rest = world.again < OFTEN_MAXIMUM ? speaker->whole : TEXT_NONE;
    }
}

static bool say_words(struct speaker *speaker, struct text words) {
    speaker->rest = speaker->whole = words;
    speaker->times = 0;
    return say(speaker);
}

/* Before the greeting it says its first piece when it is early, and what does not wait. */
static bool may_speak(uint8_t tag) {
    bool first = world.said[SPEAKER_CLIENT].next == 0;

    return world.heard || (first && world.early) || tag == TAG_EAGER || tag == TAG_LOSS;
}

static void stop_server(void) {
    if (world.hub >= 0)
        (void)close(world.hub);
    world.hub = -1;
}

static bool say_piece(struct speaker *client, struct text piece, uint8_t tag) {
    if (tag == TAG_OFTEN && piece.length > 2) {
        client->whole = text_from(piece, 2);
        client->times = 8u * (uint8_t)piece.data[1];
        return say(client);
    }
    return say_words(client, tag >= TAG_EAGER && tag != TAG_OFTEN ? text_from(piece, 1) : piece);
}

/* False: the session waits in vain, and the clock goes on. */
static bool client_speaks(struct speaker *client) {
    struct pieces *pieces = &world.said[SPEAKER_CLIENT];
    bool more = pieces->next < pieces->count;
    struct text piece = more ? pieces->items[pieces->next] : TEXT_NONE;
    uint8_t tag = piece.length > 0 ? (uint8_t)piece.data[0] : 0;

    if (!may_speak(tag))
        return false;
    pieces->next += more;
    world.deaf = world.deaf || tag == TAG_DEAF || tag == TAG_LOSS;
    world.passed_ms += tag == TAG_SLOW ? SLOW_MS : 0;
    if (tag == TAG_STOP)
        stop_server();
    if (tag == TAG_LOSS)
        leave(client);
    else if (!more)
        return shutdown(client->fd, SHUT_WR) == 0;
    else if (tag != TAG_SILENCE)
        (void)say_piece(client, piece, tag);
    return tag != TAG_SILENCE;
}

/* A milter's packet gets its length. */
static bool say_packets(struct speaker *milter, struct text piece) {
    unsigned char head[4] = {0, 0, 0, (unsigned char)(piece.length - 1)};
    bool whole = (uint8_t)piece.data[0] == TAG_PACKETS;

    if (!whole && send(milter->fd, head, sizeof head, MSG_NOSIGNAL) < 0)
        return false;
    return say_words(milter, text_from(piece, 1));
}

/* What they answer when nothing is left of the input: go on. */
static bool say_courtesy(struct speaker *speaker) {
    static const char agreed[] = "\0\0\0\15O\0\0\0\6\0\0\1\377\0\0\0\0";
    static const struct text words[SPEAKER_KINDS] = {[SPEAKER_MILTER] = {"\0\0\0\1c", 5},
                                                     [SPEAKER_POLICY] = {"action=dunno\n\n", 14},
                                                     [SPEAKER_TOKEN] = {"OK coco@example.test\n", 21}};
    bool first = speaker->kind == SPEAKER_MILTER && speaker->answers == 1;
    struct text courtesy = first ? (struct text){agreed, sizeof agreed - 1} : words[speaker->kind];

    if (courtesy.length == 0 || speaker->answers > COURTESIES_MAXIMUM) {
        leave(speaker);
        return true;
    }
    return say_words(speaker, courtesy);
}

/* An empty piece closes the connection. */
static bool other_speaks(struct speaker *speaker) {
    struct pieces *pieces = &world.said[speaker->kind];

    speaker->answers++;
    if (pieces->next == pieces->count)
        return say_courtesy(speaker);
    struct text piece = next_piece(pieces);
    if (piece.length == 0)
        leave(speaker);
    else if (speaker->kind == SPEAKER_MILTER)
        (void)say_packets(speaker, piece);
    else
        (void)say_words(speaker, piece);
    return true;
}

static bool speak(struct speaker *speaker) {
    if (speaker->fd < 0)
        return false;
    if (speaker->rest.length > 0 || speaker->times > 0)
        return say(speaker);
    return speaker->kind == SPEAKER_CLIENT ? client_speaks(speaker) : other_speaks(speaker);
}

/* ---- time ---- */

static struct speaker *find_speaker(int fd) {
    struct stat status;

    if (fd < 0 || fstat(fd, &status) != 0)
        return NULL;
    for (size_t i = 0; i < world.count; i++)
        if (world.speakers[i].other == status.st_ino)
            return &world.speakers[i];
    return NULL;
}

/* One step of everybody whom the session waits for; false when none of them does anything. */
static bool go_on(const struct pollfd *polled, nfds_t count) {
    bool went_on = false;

    for (nfds_t i = 0; i < count; i++) {
        struct speaker *speaker = polled[i].events & POLLIN ? find_speaker(polled[i].fd) : NULL;
        if (speaker != NULL && speak(speaker))
            went_on = true;
    }
    return went_on;
}

/* The linker gives what is declared here the place of the functions without __wrap_, see the Makefile. */
int __wrap_poll(struct pollfd *polled, nfds_t count, int timeout);
int __real_poll(struct pollfd *polled, nfds_t count, int timeout);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __real_clock_gettime(clockid_t clock, struct timespec *now);

static int wait_in_world(struct pollfd *polled, nfds_t count, int timeout) {
    for (;;) {
        for (size_t i = 0; i < world.count; i++)
            hear(&world.speakers[i]);
        serve();
        int ready = __real_poll(polled, count, 0);
        if (ready != 0 || timeout == 0)
            return ready;
        if (go_on(polled, count))
            continue;
        FUZZ_CHECK(timeout > 0); /* or it would wait for ever */
        world.passed_ms += timeout;
        return 0;
    }
}

int __wrap_poll(struct pollfd *polled, nfds_t count, int timeout) {
    if (!world.runs || world.inside)
        return __real_poll(polled, count, timeout);
    world.inside = true;
    int ready = wait_in_world(polled, count, timeout);
    world.inside = false;
    return ready;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *now) {
    int result = __real_clock_gettime(clock, now);

    if (world.runs && clock == CLOCK_MONOTONIC) {
        now->tv_sec += world.passed_ms / 1000;
        now->tv_nsec += world.passed_ms % 1000 * 1000000;
    }
    return result;
}

/* ---- beginning and end ---- */

/* Returns the session's end of its client's connection. */
static int world_begin(struct text input, bool early) {
    memset(&world, 0, sizeof world);
    world.early = early;
    world.hub = -1;
    buffer_init(&world.replies, 2u << 20);
    while (input.length > 0)
        sort_piece(fuzz_piece(&input));
    world.runs = true;
    return add_speaker(SPEAKER_CLIENT);
}

static void world_end(void) {
    world.runs = false;
    for (size_t i = 0; i < world.count; i++) {
        hear(&world.speakers[i]);
        leave(&world.speakers[i]);
    }
    stop_server();
}
#endif
