/* SPDX-License-Identifier: MIT
 * Fuzz target: what a server says to our client, SMTP and LMTP, from the greeting to the last reply, in plain text and
 * behind a handshake that is taken as done. Whatever it is, every recipient gets a verdict, nobody is failed for good
 * without a 5xx or a need that the server did not meet, and a password goes nowhere without TLS. */
#include "../unit/scripted_server.h"
#include "fuzz.h"

#define RECIPIENTS 3

enum flag {
    LMTP = 1,
    HELO = 2,
    LOGIN = 4,
    EIGHT_BIT = 8,
    EIGHT_BIT_LATER = 16,
    MORE_FLAGS = 32,
    LONG_LINE = 64,
    CLOSED = 128
};
enum more {
    WITHOUT_TLS = 1,
    TLS_FAILS = 2,
    NO_PASSWORD = 4,
    REQUIRETLS = 8,
    UNREADABLE = 16,
    BINARY = 32,
    UTF8 = 64,
    TALKS = 128
};

struct server {
    struct text said;
    size_t lines; /* that the client has read */
    int end;      /* ours of the connection */
    uint8_t more;
    bool tls;
    bool ahead; /* all is said at once, not what each command is answered */
    struct scripted_server script;
};

static void fuzz_start(void) {
}

static void say(int fd, struct text said, bool long_line) {
    static char rest[5000];

    memset(rest, 'x', sizeof rest);
    FUZZ_CHECK(write(fd, said.data, said.length) == (ssize_t)said.length);
    if (long_line)
        FUZZ_CHECK(write(fd, rest, sizeof rest) == (ssize_t)sizeof rest);
    (void)shutdown(fd, SHUT_WR);
}

/* Its last words can be read, and nothing can be written. */
static void hang_up(struct server *server) {
    (void)close(server->end);
    server->end = -1;
}

static void trace(void *context, enum client_direction direction, struct text line) {
    struct server *server = context;

    server->lines += direction == CLIENT_FROM_SERVER;
    if (!server->ahead && server->end >= 0)
        scripted_hears(&server->script, direction, line);
    if (direction == CLIENT_TO_SERVER && !server->tls)
        FUZZ_CHECK(!text_starts_nocase(line, TEXT("AUTH")));
    FUZZ_CHECK(text_find(line, '\n') == line.length);
}

/* What stands behind the lines that were read is said over the new connection, as if it were encrypted. */
static bool start_tls(void *context, struct stream *stream, int64_t deadline, char *reason, size_t size) {
    struct server *server = context;
    struct text line;
    int ends[2];

    (void)deadline;
    if (server->more & TLS_FAILS) {
        (void)text_copy(reason, size, TEXT("no"));
        return false;
    }
    for (; server->lines > 0; server->lines--)
        (void)text_split(&server->said, '\n', &line);
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    if (server->ahead)
        say(ends[1], server->said, false);
    else
        scripted_go_on(&server->script, ends[1]);
    FUZZ_CHECK(dup2(ends[0], stream->fd) == stream->fd);
    (void)close(ends[0]);
    if (server->end >= 0)
        (void)close(server->end);
    server->end = ends[1];
    stream->ended = false;
    server->tls = true;
    return true;
}

struct content {
    bool given, unreadable;
};

static bool give_content(void *context, bool rewind, struct text *piece) {
    struct content *content = context;

    content->given = content->given && !rewind;
    *piece = content->given ? TEXT_NONE : TEXT("Subject: x\r\n\r\n.dots\r\n\xc3\xbc\r\n");
    content->given = true;
    return !content->unreadable;
}

static void send_one(struct client *client, bool eight_bit, uint8_t more) {
    struct client_recipient recipients[RECIPIENTS];
    struct content content = {.unreadable = more & UNREADABLE};
    struct client_message message = {.from = more & UTF8 ? "\xc3\xbc@us.test" : "s@us.test",
                                     .ret = "HDRS",
                                     .envid = "x",
                                     .size = more & UNREADABLE ? 32 : 25,
                                     .binary = more & BINARY,
                                     .has_eight_bit = eight_bit,
                                     .utf8 = more & UTF8,
                                     .requiretls = more & REQUIRETLS,
                                     .verified = eight_bit,
                                     .solicit = "net.example:ADV",
                                     .content = give_content,
                                     .context = &content,
                                     .recipients = recipients,
                                     .count = RECIPIENTS};

    for (size_t i = 0; i < RECIPIENTS; i++)
        recipients[i] = (struct client_recipient){.address = "a@x.test", .notify = "NEVER", .orcpt = "rfc822;a@x.test"};
    if (client_send(client, &message) == CLIENT_STALE)
        return;
    if (client_has_left(&message))
        client_send_left(client, &message);
    for (size_t i = 0; i < RECIPIENTS; i++) {
        FUZZ_CHECK(recipients[i].verdict >= CLIENT_DELIVERED);
        FUZZ_CHECK(memchr(recipients[i].reply, '\0', sizeof recipients[i].reply) != NULL);
        FUZZ_CHECK(recipients[i].verdict != CLIENT_FAILED || recipients[i].reply[0] == '5');
        FUZZ_CHECK(recipients[i].verdict != CLIENT_DELIVERED || recipients[i].reply[0] == '2');
    }
}

static void fuzz_one(struct text input) {
    uint8_t flags = fuzz_byte(&input), more = flags & MORE_FLAGS ? fuzz_byte(&input) : WITHOUT_TLS;
    struct server server = {.said = input, .more = more, .ahead = flags & (CLOSED | LONG_LINE)};
    const struct client_settings settings = {.own_name = "us.test",
                                             .lmtp = flags & LMTP,
                                             .helo = (flags & HELO) && !(flags & LMTP),
                                             .start_tls = more & WITHOUT_TLS ? NULL : start_tls,
                                             .tls_required = more & REQUIRETLS,
                                             .user = flags & LOGIN ? "user" : NULL,
                                             .password = more & NO_PASSWORD ? NULL : "secret",
                                             .timeout_cap = 1,
                                             .trace = trace,
                                             .context = &server};
    struct client client;
    int ends[2];

    if (input.length > 100000 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return;
    server.end = ends[1];
    if (server.ahead)
        say(ends[1], input, flags & LONG_LINE);
    else
        scripted_begin(&server.script, ends[1], input, flags & LMTP);
    server.script.talks = more & TALKS;
    if (flags & CLOSED)
        hang_up(&server);
    if (client_open(&client, ends[0], &settings) == CLIENT_OPEN) {
        send_one(&client, flags & EIGHT_BIT, more);
        (void)client_is_full(&client);
        if (client.open && (!(more & TALKS) || !client_is_stale(&client)))
            send_one(&client, flags & EIGHT_BIT_LATER, more);
        client_quit(&client);
    }
    if (server.end >= 0)
        hang_up(&server);
}
