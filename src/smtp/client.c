/* SPDX-License-Identifier: MIT
 * The client's connection: opening (greeting, hello, TLS), commands, replies, ending. Runs in delivery agents, one
 * connection at a time. Replies are bounded in line length, number of lines and kept text; whatever is not a reply by
 * RFC 5321 4.2 ends the connection and counts as temporary. */
#include "base/clock.h"
#include "base/network.h"
#include "smtp/client_private.h"
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAXIMUM 4096 /* RFC 5321 4.5.3.1.5 says 512; real servers say more */
#define REPLY_LINES_MAXIMUM 256
#define INPUT_MAXIMUM (16u * 1024)
#define OUTPUT_MAXIMUM (128u * 1024)
#define LAST_WORDS_MILLISECONDS 2000

static const struct {
    long seconds;
    const char *waiting_for;
} phases[CLIENT_PHASES] = {
    [PHASE_GREETING] = {300, "the greeting"},
    [PHASE_HELLO] = {300, "the reply to EHLO"},
    [PHASE_AUTH] = {300, "the reply to AUTH"},
    [PHASE_MAIL] = {300, "the reply to MAIL"},
    [PHASE_RCPT] = {300, "the reply to RCPT"},
    [PHASE_DATA_INIT] = {120, "the reply to DATA"},
    [PHASE_DATA_BLOCK] = {180, "room for the mail data"},
    [PHASE_DATA_END] = {600, "the reply after the mail data"},
    [PHASE_RSET] = {300, "the reply to RSET"},
    [PHASE_QUIT] = {5, "the reply to QUIT"},
};

int64_t client_deadline(const struct client *client, enum client_phase phase) {
    long seconds = phases[phase].seconds;
    if (client->settings.timeout_cap > 0 && client->settings.timeout_cap < seconds) {
        seconds = client->settings.timeout_cap;
    }
    return clock_deadline((int64_t)seconds * 1000);
}

static void trace(struct client *client, enum client_direction direction, struct text line) {
    if (client->settings.trace != NULL) {
        client->settings.trace(client->settings.context, direction, line);
    }
}

void client_note(struct client *client, const char *format, ...) {
    char line[256];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    trace(client, CLIENT_NOTE, text_of(line));
}

void client_drop(struct client *client) {
    bool opened_once = client->settings.own_name != NULL; /* else all of it is zero, and 0 is no descriptor of ours */
    if (opened_once && client->stream.fd >= 0) {
        stream_close(&client->stream);
        client->stream.fd = -1;
    }
    client->open = false;
}

void client_lose(struct client *client, const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(client->reply, sizeof client->reply, format, list);
    va_end(list);
    client->code = 0;
    client_drop(client);
    trace(client, CLIENT_NOTE, text_of(client->reply));
}

static void lose_by(struct client *client, enum stream_result result, enum client_phase phase) {
    const char *what = phases[phase].waiting_for;
    switch (result) {
    case STREAM_TIMEOUT:
        client_lose(client, "451 4.4.2 timeout while waiting for %s", what);
        break;
    case STREAM_CLOSED:
        client_lose(client, "451 4.4.2 connection closed while waiting for %s", what);
        break;
    case STREAM_TOO_LONG:
        client_lose(client, "451 4.5.0 line too long in %s", what);
        break;
    default:
        client_lose(client, "451 4.4.2 connection lost while waiting for %s", what);
        break;
    }
}

/* Adds one line's text to the one-line reply; bytes that logs, rows or notices could stumble over become '?'. */
static void reply_join(struct client *client, struct text text) {
    size_t length = strlen(client->reply);
    if (length + 1 < sizeof client->reply) {
        client->reply[length++] = ' ';
    }
    for (size_t i = 0; i < text.length && length + 1 < sizeof client->reply; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        client->reply[length++] = byte >= 0x20 && byte < 0x7f ? (char)byte : '?';
    }
    client->reply[length] = '\0';
}

/* One line: false when it is no line of this reply; then the connection has been given up. */
static bool reply_take_line(struct client *client, struct text line, unsigned number, bool *more, struct text *text) {
    unsigned code;
    char shown[128];
    if (!reply_parse_line(line, &code, more, text) || (number > 0 && code != client->code)) {
        client_lose(client, "451 4.5.0 the server sent no reply: \"%s\"", text_printable(shown, sizeof shown, line));
        return false;
    }
    if (number == 0) {
        client->code = code;
        snprintf(client->reply, sizeof client->reply, "%u", code);
    } else {
        char enhanced[12]; /* repeated on each line; once is enough */
        reply_split_enhanced(text, enhanced);
    }
    return true;
}

bool client_read_reply(struct client *client, enum client_phase phase, client_line *seen) {
    int64_t deadline = client_deadline(client, phase);
    bool more = true;
    for (unsigned number = 0; more; number++) {
        struct text line, text = TEXT_NONE;
        if (!client->open) {
            client->code = 0;
            return false;
        }
        enum stream_result result = stream_read_line_lenient(&client->stream, LINE_MAXIMUM, deadline, &line);
        if (result != STREAM_OK) {
            lose_by(client, result, phase);
            return false;
        }
        trace(client, CLIENT_FROM_SERVER, line);
        if (number == REPLY_LINES_MAXIMUM) {
            client_lose(client, "451 4.5.0 more than %d lines in %s", REPLY_LINES_MAXIMUM, phases[phase].waiting_for);
            return false;
        }
        if (!reply_take_line(client, line, number, &more, &text)) {
            return false;
        }
        if (seen != NULL) {
            seen(client, number, text);
        }
        reply_join(client, text);
    }
    if (client->code == 421) {
        client_drop(client); /* RFC 5321 3.8: the server closes; whatever follows is lost */
    }
    return true;
}

/* An error that was not asked for. In the mail data it is the verdict, anywhere else it belongs to an earlier command
 * and is only quoted. */
static void take_last_words(struct client *client, struct text line, unsigned code, struct text text,
                            enum client_phase phase) {
    char shown[256];
    trace(client, CLIENT_FROM_SERVER, line);
    if (phase == PHASE_DATA_BLOCK) {
        client->code = code;
        snprintf(client->reply, sizeof client->reply, "%u", code);
        reply_join(client, text);
        client_drop(client);
        return;
    }
    text_printable(shown, sizeof shown, line);
    client_lose(client, "451 4.4.2 connection lost; the server had said: %s", shown);
}

/* A write failed: the server may have said why before it closed. */
static void last_words(struct client *client, enum stream_result written, enum client_phase phase) {
    struct text line, text;
    unsigned code;
    bool more;
    if (written == STREAM_TIMEOUT ||
        stream_read_line_lenient(&client->stream, LINE_MAXIMUM, clock_deadline(LAST_WORDS_MILLISECONDS), &line) !=
            STREAM_OK ||
        !reply_parse_line(line, &code, &more, &text) || code < 400) {
        lose_by(client, written, phase);
        return;
    }
    take_last_words(client, line, code, text, phase);
}

bool client_hears_nothing(struct client *client, enum client_phase phase) {
    struct text line, text;
    char shown[128];
    unsigned code;
    bool more;
    /* What TLS has read ahead shows only when it is read. */
    if (!client->open || (!client->tls && !client_is_stale(client))) {
        return client->open;
    }
    enum stream_result result = stream_read_line_lenient(&client->stream, LINE_MAXIMUM, clock_now_ms(), &line);
    if (result != STREAM_OK && result != STREAM_TOO_LONG) {
        line = stream_pending(&client->stream);
    }
    if (line.length == 0 && result != STREAM_OK) {
        return true; /* it was the end, which whoever reads next sees, or TLS's own */
    }
    if (result == STREAM_OK && reply_parse_line(line, &code, &more, &text) && code >= 400) {
        take_last_words(client, line, code, text, phase);
    } else {
        trace(client, CLIENT_FROM_SERVER, line);
        client_lose(client, "451 4.5.0 the server spoke out of turn: \"%s\"",
                    text_printable(shown, sizeof shown, line));
    }
    return false;
}

bool client_write(struct client *client, enum client_phase phase, struct text bytes) {
    if (!client->open) {
        return false;
    }
    enum stream_result result = stream_write(&client->stream, bytes.data, bytes.length, client_deadline(client, phase));
    if (result != STREAM_OK) {
        last_words(client, result, phase);
        return false;
    }
    return true;
}

bool client_flush(struct client *client, enum client_phase phase) {
    if (!client->open) {
        return false;
    }
    enum stream_result result = stream_flush(&client->stream, client_deadline(client, phase));
    if (result != STREAM_OK) {
        last_words(client, result, phase);
        return false;
    }
    return true;
}

bool client_command(struct client *client, enum client_phase phase, const char *format, ...) {
    struct buffer line;
    bool sent = false;
    if (!client->open) {
        return false;
    }
    buffer_init(&line, LINE_MAXIMUM);
    va_list list;
    va_start(list, format);
    bool fits = buffer_format_list(&line, format, list);
    va_end(list);
    if (!fits || memchr(line.data, '\r', line.length) != NULL || memchr(line.data, '\n', line.length) != NULL) {
        client_lose(client, "451 4.3.0 a command could not be written on one line");
    } else {
        trace(client, CLIENT_TO_SERVER, buffer_text(&line));
        buffer_append(&line, "\r\n", 2);
        sent = client_write(client, phase, buffer_text(&line));
    }
    buffer_free(&line);
    return sent;
}

bool client_secret(struct client *client, enum client_phase phase, const char *shown, struct text before,
                   struct text secret) {
    trace(client, CLIENT_TO_SERVER, text_of(shown));
    return client_write(client, phase, before) && client_write(client, phase, secret) &&
           client_write(client, phase, TEXT("\r\n"));
}

/* RFC 3207. A refusal leaves the connection as it was; a failed handshake makes it useless. */
static enum client_opening start_tls(struct client *client) {
    char reason[200] = "";
    if (!client_command(client, PHASE_HELLO, "STARTTLS") || !client_flush(client, PHASE_HELLO) ||
        !client_read_reply(client, PHASE_HELLO, NULL)) {
        return CLIENT_TEMPORARY;
    }
    if (client->code != 220) {
        client_note(client, "STARTTLS refused, going on without");
        client->tls_failed = true;
        return client->open ? CLIENT_OPEN : CLIENT_TEMPORARY;
    }
    /* RFC 3207 6 and CVE-2011-0411: what came in plain behind the 220 must not count as said under TLS. */
    stream_consume(&client->stream, stream_pending(&client->stream).length);
    if (!client->settings.start_tls(client->settings.context, &client->stream, client_deadline(client, PHASE_HELLO),
                                    reason, sizeof reason)) {
        client_lose(client, "451 4.7.5 TLS handshake failed: %s", reason);
        return CLIENT_TLS_FAILED;
    }
    client->tls = true;
    if (!client_hello(client)) {
        return client->code >= 500 ? CLIENT_PERMANENT : CLIENT_TEMPORARY;
    }
    return CLIENT_OPEN;
}

/* RFC 5321 3.1: 554 comes in place of 220, whatever the reason, and often for a while: the client's network is listed,
 * the server is being set up. Only 521 says that no mail is ever taken there (RFC 7504). */
static enum client_opening refused_at_greeting(struct client *client) {
    char said[CLIENT_REPLY_SIZE];
    if (client->code == 521) {
        return CLIENT_PERMANENT;
    }
    if (client->code / 100 == 5) {
        text_copy(said, sizeof said, text_of(client->reply));
        snprintf(client->reply, sizeof client->reply, "451 4.3.2 greeted with: %.480s", said);
        client->code = 0;
    }
    return CLIENT_TEMPORARY;
}

static enum client_opening perform_opening(struct client *client) {
    if (!client_read_reply(client, PHASE_GREETING, NULL)) {
        return CLIENT_TEMPORARY;
    }
    if (client->code / 100 != 2 || !client->open) {
        return refused_at_greeting(client);
    }
    client->greeted = true;
    if (!client_hello(client)) {
        if (client->helo_wanted) {
            return CLIENT_EHLO_REFUSED;
        }
        return client->code >= 500 ? CLIENT_PERMANENT : CLIENT_TEMPORARY;
    }
    if (client->settings.start_tls != NULL && (client->keywords & CLIENT_STARTTLS) != 0) {
        enum client_opening opening = start_tls(client);
        if (opening != CLIENT_OPEN) {
            return opening;
        }
    }
    return client_meet_route(client);
}

enum client_opening client_open(struct client *client, int fd, const struct client_settings *settings) {
    memset(client, 0, sizeof *client);
    client->settings = *settings;
    client->tls_failed = settings->tls_failed;
    stream_init(&client->stream, fd, INPUT_MAXIMUM, OUTPUT_MAXIMUM);
    client->open = true;
    enum client_opening opening = perform_opening(client);
    if (opening != CLIENT_OPEN && client->open) {
        char kept[CLIENT_REPLY_SIZE]; /* the reason stands, whatever QUIT is answered */
        text_copy(kept, sizeof kept, text_of(client->reply));
        unsigned code = client->code;
        client_quit(client);
        text_copy(client->reply, sizeof client->reply, text_of(kept));
        client->code = code;
    }
    return opening;
}

bool client_is_stale(struct client *client) {
    struct pollfd ready = {.fd = client->stream.fd, .events = POLLIN};
    if (!client->open || stream_pending(&client->stream).length > 0) {
        return true;
    }
    return poll(&ready, 1, 0) != 0;
}

void client_quit(struct client *client) {
    if (client->open && client_command(client, PHASE_QUIT, "QUIT") && client_flush(client, PHASE_QUIT)) {
        client_read_reply(client, PHASE_QUIT, NULL);
    }
    client_drop(client);
}
