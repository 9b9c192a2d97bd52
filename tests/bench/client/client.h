/* SPDX-License-Identifier: MIT
 * The load generator of `make bench`: what its files share. One process, one thread, many connections to one server on
 * loopback; judges replies by their first digit and ends with status 1 at the first refusal. */
#pragma once
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum client_mode { CLIENT_MAIL, CLIENT_HANDSHAKE, CLIENT_IDLE };

/* What the command line asks for. */
struct client_task {
    enum client_mode mode;
    int port, connections, domains, recipients;
    unsigned long messages; /* at most so many */
    double seconds;         /* and none is begun after so long */
    size_t size;            /* of a message, bytes */
    bool reuse;             /* a connection carries messages until the end */
    bool starttls;
    bool redial;         /* connect again where no greeting comes */
    const char *login;   /* base64 of AUTH PLAIN's initial response; NULL for none */
    const char *from;    /* envelope sender, and the From field */
    const char *domain;  /* recipients' domain; NULL: d1.test to dN.test, `domains` of them in turn */
    const char *sigalgs; /* signature algorithms to offer, which decides the server's certificate; NULL for all */
};

/* Where a dialogue is: the reply (or handshake) it waits for. */
enum client_step {
    STEP_GREETING,
    STEP_EHLO,
    STEP_STARTTLS,
    STEP_HANDSHAKE,
    STEP_EHLO_TLS,
    STEP_AUTH,
    STEP_READY, /* nothing is awaited: the session waits for its turn */
    STEP_ENVELOPE,
    STEP_DATA,
    STEP_QUIT,
};

struct client_session {
    int fd, number;
    SSL *tls;
    bool pipelining; /* the server offers it */
    enum client_step step;
    uint64_t dialled; /* when it was connected last */
    int awaited;      /* replies that are still to come */
    uint64_t began;   /* nanoseconds: connect, or MAIL on a connection that is reused */
    char input[4096]; /* an unfinished line of a reply */
    size_t input_length;
    char *output; /* what is to be sent: task.size and the commands of the largest envelope */
    size_t output_length, output_sent, envelope; /* the latter: of all its lines, of which output_length may go now */
    uint32_t events;                             /* what epoll is asked for */
};

/* The whole run. */
struct client {
    struct client_task task;
    struct client_session *sessions;
    SSL_CTX *tls;
    int epoll;
    int ready, open;           /* sessions in STEP_READY, and connections */
    bool started;              /* the clock runs */
    uint64_t start, last;      /* nanoseconds: the first action that counts, the last reply that does */
    unsigned long begun, done; /* messages (or handshakes) */
    uint32_t *latencies;       /* microseconds of each one done */
    char *message;             /* header and body with the final dot; the time of sending is put in at message_stamp */
    size_t message_length, message_stamp;
    size_t output_size; /* of each session's output */
};

uint64_t client_now(void);                                       /* CLOCK_MONOTONIC, nanoseconds */
_Noreturn void client_die(const char *what, const char *detail); /* says it on standard error; status 1 */

/* session.c: the dialogue. All of them end the program on a refusal or a broken connection. */
void session_connect(struct client *client, struct client_session *session);
void session_redial(struct client *client, struct client_session *session);
void session_next(struct client *client, struct client_session *session);
void session_event(struct client *client, struct client_session *session, uint32_t events);
bool client_may_begin(const struct client *client);

/* wire.c: bytes in and out, with and without TLS; sessions are woken by epoll when more can be done. */
void wire_start_tls(struct client *client, struct client_session *session);
bool wire_handshake(struct client *client, struct client_session *session); /* true when it is through */
void wire_send(struct client *client, struct client_session *session);
size_t wire_read(struct client_session *session, char *data, size_t size); /* 0 when there is nothing now */
void wire_watch(struct client *client, struct client_session *session, uint32_t events);
