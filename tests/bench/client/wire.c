/* SPDX-License-Identifier: MIT
 * The load generator's sockets: plain and TLS, never blocking. */
#include "client.h"
#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

void wire_watch(struct client *client, struct client_session *session, uint32_t events) {
    if (session->events == events) {
        return;
    }
    struct epoll_event event = {.events = events, .data.ptr = session};
    int how = session->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(client->epoll, how, session->fd, &event) != 0) {
        client_die("epoll_ctl", strerror(errno));
    }
    session->events = events;
}

_Noreturn static void die_tls(const char *what) {
    char text[256];
    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    client_die(what, text);
}

/* What a TLS call that did not succeed waits for; anything but waiting ends the program. */
static uint32_t tls_wants(SSL *tls, int result, const char *what) {
    switch (SSL_get_error(tls, result)) {
    case SSL_ERROR_WANT_READ:
        return EPOLLIN;
    case SSL_ERROR_WANT_WRITE:
        return EPOLLOUT;
    default:
        die_tls(what);
    }
}

void wire_start_tls(struct client *client, struct client_session *session) {
    session->tls = SSL_new(client->tls);
    if (!session->tls || SSL_set_fd(session->tls, session->fd) != 1) {
        die_tls("TLS");
    }
    SSL_set_connect_state(session->tls);
}

bool wire_handshake(struct client *client, struct client_session *session) {
    int result = SSL_do_handshake(session->tls);
    if (result == 1) {
        wire_watch(client, session, EPOLLIN);
        return true;
    }
    wire_watch(client, session, tls_wants(session->tls, result, "the TLS handshake"));
    return false;
}

/* One attempt: bytes that went out, 0 when the socket takes none now. */
static size_t write_some(struct client_session *session, const char *data, size_t length) {
    if (session->tls) {
        int written = SSL_write(session->tls, data, (int)length);
        return written > 0 ? (size_t)written : (tls_wants(session->tls, written, "SSL_write"), 0);
    }
    ssize_t written = write(session->fd, data, length);
    if (written < 0 && errno != EAGAIN) {
        client_die("write", strerror(errno));
    }
    return written < 0 ? 0 : (size_t)written;
}

void wire_send(struct client *client, struct client_session *session) {
    while (session->output_sent < session->output_length) {
        size_t left = session->output_length - session->output_sent;
        size_t written = write_some(session, session->output + session->output_sent, left);
        if (written == 0) {
            wire_watch(client, session, EPOLLIN | EPOLLOUT);
            return;
        }
        session->output_sent += written;
    }
    wire_watch(client, session, EPOLLIN);
}

size_t wire_read(struct client_session *session, char *data, size_t size) {
    if (session->tls) {
        int got = SSL_read(session->tls, data, (int)size);
        if (got <= 0 && SSL_get_error(session->tls, got) == SSL_ERROR_ZERO_RETURN) {
            client_die("the server closed a connection", "");
        }
        return got > 0 ? (size_t)got : (tls_wants(session->tls, got, "SSL_read"), 0);
    }
    ssize_t got = read(session->fd, data, size);
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        client_die("the server closed a connection", got < 0 ? strerror(errno) : "");
    }
    return got < 0 ? 0 : (size_t)got;
}
