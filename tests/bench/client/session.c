/* SPDX-License-Identifier: MIT
 * The load generator's dialogue, as an ordinary mail server leads it: MAIL, RCPT and DATA go out together (RFC 2920),
 * then the message with its dot, then, after its reply, QUIT or the next message. */
#include "client.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Each connection of a run has an address of its own, 127.77.0.1 and on, as fifty clients would. */
static void bind_source(struct client_session *session) {
    struct sockaddr_in source = {.sin_family = AF_INET};
    source.sin_addr.s_addr =
        htonl(0x7f4d0001U + (uint32_t)session->number / 250 * 256 + (uint32_t)session->number % 250);
    int on = 1;
    setsockopt(session->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(session->fd, (struct sockaddr *)&source, sizeof source) != 0) {
        client_die("bind", strerror(errno));
    }
}

static void session_send(struct client *client, struct client_session *session, enum client_step step, int awaited) {
    session->step = step;
    session->awaited = awaited;
    session->output_sent = 0;
    wire_send(client, session);
}

static void session_say(struct client *client, struct client_session *session, enum client_step step,
                        const char *line) {
    session->output_length = strlen(line);
    memcpy(session->output, line, session->output_length);
    session_send(client, session, step, 1);
}

void session_connect(struct client *client, struct client_session *session) {
    session->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (session->fd < 0) {
        client_die("socket", strerror(errno));
    }
    int on = 1;
    setsockopt(session->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    bind_source(session);
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((uint16_t)client->task.port)};
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    session->dialled = session->began = client_now();
    if (connect(session->fd, (struct sockaddr *)&server, sizeof server) != 0 && errno != EINPROGRESS) {
        client_die("connect", strerror(errno));
    }
    session->events = 0;
    session->input_length = session->output_length = session->output_sent = 0;
    session->pipelining = false;
    session->step = STEP_GREETING;
    session->awaited = 1;
    client->open++;
    wire_watch(client, session, EPOLLIN);
}

static void session_close(struct client *client, struct client_session *session) {
    SSL_free(session->tls);
    session->tls = NULL;
    close(session->fd);
    session->fd = 0;
    client->open--;
}

/* A server with a short backlog may have dropped the connection without a word. */
void session_redial(struct client *client, struct client_session *session) {
    uint64_t began = session->began;
    if (session->fd > 0 && session->step == STEP_GREETING && client_now() - session->dialled > 200000000) {
        session_close(client, session);
        session_connect(client, session);
        session->began = began;
    }
}

/* A connection that is there carries one message, also when the time has run out meanwhile. */
bool client_may_begin(const struct client *client) {
    return client->begun < client->task.messages &&
           (!client->started || client->begun == 0 ||
            (double)(client_now() - client->start) / 1e9 < client->task.seconds);
}

/* What may go out before the next reply: all of the envelope, or a line where the server does not pipeline. */
static void session_envelope_part(struct client *client, struct client_session *session) {
    char *part = session->output + session->output_length, *end = session->output + session->envelope;
    if (!session->pipelining) {
        end = (char *)memchr(part, '\n', (size_t)(end - part)) + 1;
    }
    session->step = STEP_ENVELOPE;
    session->awaited = session->pipelining ? client->task.recipients + 2 : 1;
    session->output_sent = session->output_length;
    session->output_length = (size_t)(end - session->output);
    wire_send(client, session);
}

static void session_envelope(struct client *client, struct client_session *session) {
    const struct client_task *task = &client->task;
    size_t room = client->output_size, length = 0;
    unsigned long serial = client->begun++, domains = (unsigned long)task->domains;
    if (task->reuse) {
        session->began = client_now();
    }
    length += (size_t)snprintf(session->output, room, "MAIL FROM:<%s>\r\n", task->from);
    for (int i = 0; i < task->recipients; i++) {
        char domain[32];
        snprintf(domain, sizeof domain, "d%lu.test", (serial + (unsigned long)i) % domains + 1);
        length += (size_t)snprintf(session->output + length, room - length, "RCPT TO:<user%d@%s>\r\n", i + 1,
                                   task->domain ? task->domain : domain);
    }
    length += (size_t)snprintf(session->output + length, room - length, "DATA\r\n");
    session->envelope = length;
    session->output_length = 0;
    session_envelope_part(client, session);
}

static void session_data(struct client *client, struct client_session *session) {
    char stamp[21];
    snprintf(stamp, sizeof stamp, "%020llu", (unsigned long long)client_now());
    memcpy(session->output, client->message, client->message_length);
    memcpy(session->output + client->message_stamp, stamp, 20);
    session->output_length = client->message_length;
    session_send(client, session, STEP_DATA, 1);
}

static void count_one(struct client *client, const struct client_session *session) {
    client->last = client_now();
    client->latencies[client->done++] = (uint32_t)((client->last - session->began) / 1000);
}

/* Says QUIT and does not wait for the reply, as Postfix's client does (smtp_skip_quit_response); the next connection,
 * if any. */
static void session_quit(struct client *client, struct client_session *session) {
    session_say(client, session, STEP_QUIT, "QUIT\r\n");
    session_close(client, session);
    if (!client->task.reuse && client_may_begin(client)) {
        if (client->task.mode == CLIENT_HANDSHAKE) {
            client->begun++;
        }
        session_connect(client, session);
    }
}

/* The next thing to do on an open connection that has had its greetings. */
void session_next(struct client *client, struct client_session *session) {
    if (client->task.mode == CLIENT_IDLE || (client->task.reuse && !client->started)) {
        session->step = STEP_READY;
        client->ready++;
    } else if (client->task.mode == CLIENT_MAIL && client->begun < client->task.messages &&
               (!client->task.reuse || client_may_begin(client))) {
        session_envelope(client, session);
    } else {
        session_quit(client, session);
    }
}

static void session_log_in(struct client *client, struct client_session *session) {
    if (!client->task.login) {
        session_next(client, session);
        return;
    }
    char line[512];
    snprintf(line, sizeof line, "AUTH PLAIN %s\r\n", client->task.login);
    session_say(client, session, STEP_AUTH, line);
}

/* Everything that was awaited has come, and was good. */
static void session_advance(struct client *client, struct client_session *session) {
    switch (session->step) {
    case STEP_GREETING:
        session_say(client, session, STEP_EHLO, "EHLO client.test\r\n");
        break;
    case STEP_EHLO:
        if (client->task.starttls) {
            session_say(client, session, STEP_STARTTLS, "STARTTLS\r\n");
        } else {
            session_log_in(client, session);
        }
        break;
    case STEP_STARTTLS:
        session->step = STEP_HANDSHAKE;
        wire_start_tls(client, session);
        if (wire_handshake(client, session)) {
            session_say(client, session, STEP_EHLO_TLS, "EHLO client.test\r\n");
        }
        break;
    case STEP_EHLO_TLS: /* the server's side of the handshake is through, too */
        if (client->task.mode == CLIENT_HANDSHAKE) {
            count_one(client, session);
            session_quit(client, session);
        } else {
            session_log_in(client, session);
        }
        break;
    case STEP_ENVELOPE:
        if (session->output_length < session->envelope) {
            session_envelope_part(client, session);
        } else {
            session_data(client, session);
        }
        break;
    case STEP_DATA:
        count_one(client, session);
        if (client->task.reuse) {
            session_next(client, session);
        } else {
            session_quit(client, session);
        }
        break;
    case STEP_AUTH:
        session_next(client, session);
        break;
    case STEP_QUIT:
    case STEP_HANDSHAKE:
    case STEP_READY:
        client_die("the server spoke out of turn", session->input);
    }
}

/* Takes whole lines; true when the last of the awaited replies is there. */
static bool take_lines(struct client_session *session) {
    char *line = session->input, *end = session->input + session->input_length, *newline;
    while (session->awaited > 0 && (newline = memchr(line, '\n', (size_t)(end - line)))) {
        *newline = '\0';
        if (newline - line < 4 || (*line != '2' && *line != '3')) {
            client_die("refused", line);
        }
        session->pipelining = session->pipelining || strncmp(line + 4, "PIPELINING", 10) == 0;
        session->awaited -= line[3] != '-';
        line = newline + 1;
    }
    session->input_length = (size_t)(end - line);
    memmove(session->input, line, session->input_length);
    return session->awaited == 0;
}

void session_event(struct client *client, struct client_session *session, uint32_t events) {
    if (session->step == STEP_HANDSHAKE) {
        if (wire_handshake(client, session)) {
            session_say(client, session, STEP_EHLO_TLS, "EHLO client.test\r\n");
        }
        return;
    }
    if ((events & EPOLLOUT) && session->output_sent < session->output_length) {
        wire_send(client, session);
    }
    int fd = session->fd;
    size_t got;
    while (session->step != STEP_HANDSHAKE && session->fd == fd && session->awaited > 0 &&
           (got = wire_read(session, session->input + session->input_length,
                            sizeof session->input - session->input_length)) > 0) {
        session->input_length += got;
        if (take_lines(session)) {
            session_advance(client, session);
            return;
        }
    }
}
