/* SPDX-License-Identifier: MIT
 * For tests and fuzzing of the SMTP client: a server that says the next reply of its script when the client's trace
 * shows that it was asked, since a client takes nothing for an answer that came before. At the script's end it says no
 * more. */
#ifndef TESTS_SCRIPTED_SERVER_H
#define TESTS_SCRIPTED_SERVER_H
#include "smtp/client.h"
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct scripted_server {
    struct text rest; /* of the script */
    int fd;
    bool lmtp;  /* the data get all replies that are left */
    bool talks; /* DATA does: the server does not wait for them */
};

/* The bytes of the next reply: lines up to one without "-" behind its code. */
static inline size_t scripted_reply_length(struct text rest) {
    size_t at = 0;
    bool more = true;
    while (more && at < rest.length) {
        size_t end = at + text_find(text_from(rest, at), '\n');
        more = end - at > 3 && rest.data[at + 3] == '-';
        at = end < rest.length ? end + 1 : rest.length;
    }
    return at;
}

static inline void scripted_say(struct scripted_server *server, size_t length) {
    ssize_t sent = length > 0 ? write(server->fd, server->rest.data, length) : 0;
    (void)sent;
    server->rest = text_from(server->rest, length);
    if (server->rest.length == 0) {
        (void)shutdown(server->fd, SHUT_WR);
    }
}

/* The greeting. */
static inline void scripted_begin(struct scripted_server *server, int fd, struct text script, bool lmtp) {
    *server = (struct scripted_server){.rest = script, .fd = fd, .lmtp = lmtp};
    scripted_say(server, scripted_reply_length(script));
}

/* What is left is said over another connection (within TLS). */
static inline void scripted_go_on(struct scripted_server *server, int fd) {
    server->fd = fd;
    scripted_say(server, 0);
}

/* To be called by the client's trace. */
static inline void scripted_hears(struct scripted_server *server, enum client_direction direction, struct text line) {
    if (direction == CLIENT_NOTE && text_starts_nocase(line, TEXT("(data"))) {
        scripted_say(server, server->lmtp ? server->rest.length : scripted_reply_length(server->rest));
    } else if (direction == CLIENT_TO_SERVER && server->talks && text_starts_nocase(line, TEXT("DATA"))) {
        scripted_say(server, server->rest.length);
    } else if (direction == CLIENT_TO_SERVER && !text_starts_nocase(line, TEXT("BDAT"))) {
        scripted_say(server, scripted_reply_length(server->rest));
    }
}

static inline void scripted_trace(void *context, enum client_direction direction, struct text line) {
    scripted_hears(context, direction, line);
}
#endif
