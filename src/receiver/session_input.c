/* SPDX-License-Identifier: MIT
 * What the client sends, up to a command line: waiting, time limits, the end of a connection, the listener's stop.
 * Called by the session's loop and by commands that read more; confined; the end of input ends the session. */
#include "base/clock.h"
#include "base/log.h"
#include "base/wipe.h"
#include "receiver/dialog.h"
#include "receiver/hub.h"
#include "receiver/session.h"
#include "receiver/violation.h"
#include <stdio.h>
#include <string.h>

#define LINES_BETWEEN_LOOKS 32
#define DATA_BLOCK (16u * 1024)
#define STILL_MS 250    /* longer than most round trips: who is silent for so long may be so for minutes */
#define DATA_FARTHEST 2 /* times message_maximum: who goes on after that has no end in mind */

/* TLS record type "handshake", then the major version (RFC 8446 5.1). */
static bool is_tls(struct text pending) {
    return pending.length > 0 && pending.data[0] == 0x16 && (pending.length == 1 || pending.data[1] == 0x03);
}

static void end_by_timeout(struct session *session, const char *how) {
    int64_t expires_at;
    char what[96];

    (void)snprintf(what, sizeof what, "%s in state %s", how, session_state_name(session->state));
    (void)violation_report(session, "timeout", VIOLATION_BROKEN, what, &expires_at);
    session_reply(session, 421, "4.4.2", "%s closing connection due to inactivity--%s was NOT saved",
                  session->config->server_name, session->mail_id);
}

/* A connection that ends outside a transaction is bad manners at most; inside one it is a violation. */
static void note_loss(struct session *session, enum stream_result result) {
    const char *how = result == STREAM_CLOSED ? "closed the connection" : "lost the connection";
    int64_t expires_at;

    if (session_in_transaction(session))
        (void)violation_report(session, "broken", VIOLATION_BROKEN, how, &expires_at);
    else if (session->client.role == ROLE_LMTP)
        log_warn("%s %s without QUIT", session->client.peer_ip, how); /* a server of the operator's, not just anybody */
    else
        log_info("%s %s without QUIT", session->client.peer_ip, how);
}

static void end_by_loss(struct session *session, enum stream_result result) {
    session->peer_gone = true;
    note_loss(session, result);
    session_set_state(session, SESSION_CLOSING);
}

void session_end_unread(struct session *session, enum stream_result result) {
    int64_t expires_at;
    bool is_over = session->state == SESSION_CLOSING; /* by QUIT, or why was said */

    session->peer_gone = true;
    if (!is_over && result == STREAM_TIMEOUT)
        (void)violation_report(session, "timeout", VIOLATION_BROKEN, "does not read what it is told", &expires_at);
    else if (!is_over)
        note_loss(session, result);
    session_set_state(session, SESSION_CLOSING);
}

static void say_stop(struct session *session) {
    session_reply(session, 421, "4.3.2", "%s shutting down", session->config->server_name);
}

/* The stop is seen while waiting for input; a client that never pauses would be killed in the end without a word. */
static bool must_stop(struct session *session) {
    if (session_in_transaction(session) || ++session->lines_unlooked < LINES_BETWEEN_LOOKS)
        return false;
    session->lines_unlooked = 0;
    return stream_must_stop(&session->stream) && !hub_goes_on(session->start->hub);
}

/* What was needed until now, a handshake's most of all, is given back while many sessions idle, and not on the way of
 * those that do not. */
static enum stream_result fill_or_rest(struct stream *stream, int64_t deadline) {
    int64_t still = clock_deadline(STILL_MS);

    if (deadline > still) {
        enum stream_result result = stream_fill(stream, still);
        if (result != STREAM_TIMEOUT)
            return result;
        hub_rest();
    }
    return stream_fill(stream, deadline);
}

static bool fill(struct session *session, int64_t deadline, const char *late) {
    for (;;) {
        if (!session_flush(session))
            return false;
        enum stream_result result = fill_or_rest(&session->stream, deadline);
        if (result == STREAM_OK)
            return true;
        if (result == STREAM_STOP && hub_goes_on(session->start->hub))
            continue;
        if (result == STREAM_STOP)
            say_stop(session);
        else if (result == STREAM_TIMEOUT)
            end_by_timeout(session, late);
        else
            end_by_loss(session, result);
        return false;
    }
}

bool session_fill_data(struct session *session, enum session_phase phase, struct session_pace *pace) {
    int64_t silent = session_deadline(session, phase), slow = INT64_MAX;
    long rate = session->config->data_minimum_rate;

    if (pace->bytes > DATA_FARTHEST * (uint64_t)session->config->message_maximum) {
        session_reply(session, 552, "5.3.4", "Message size exceeds the maximum of %ld bytes by far: closing",
                      session->config->message_maximum);
        session_set_state(session, SESSION_CLOSING);
        return false;
    }
    if (pace->grace_until == 0)
        pace->grace_until = session_deadline(session, PHASE_DATA_BLOCK);
    if (rate > 0)
        slow = pace->grace_until + (int64_t)(pace->bytes / (uint64_t)rate) * 1000;
    stream_expect(&session->stream, DATA_BLOCK);
    return slow < silent ? fill(session, slow, "too slow") : fill(session, silent, "silent for too long");
}

static void refuse_line(struct session *session, enum command_line_result fault) {
    static const struct {
        unsigned code;
        const char *enhanced, *text;
    } replies[] = {
        [COMMAND_LINE_TOO_LONG] = {500, "5.5.2", "line too long"},
        [COMMAND_LINE_BARE_CR] = {550, "5.6.11", "a line holds a bare CR: lines end in CR LF"},
        [COMMAND_LINE_BARE_LF] = {550, "5.6.11", "a line holds a bare LF: lines end in CR LF"},
        [COMMAND_LINE_NUL] = {500, "5.5.2", "a line holds a NUL"},
    };
    session->verb = "(line)";
    dialog_note(session->config, " -> ", replies[fault].text);
    session_reply(session, replies[fault].code, replies[fault].enhanced, "%s", replies[fault].text);
}

void session_finish_line(struct session *session) {
    stream_consume(&session->stream, session->line_length);
    if (session->line_secret)
        wipe_traces();
    session->line_length = 0;
    session->line_secret = false;
}

enum session_line session_read_line(struct session *session, struct text *line) {
    int64_t deadline = 0; /* of the whole line: one byte now and then does not hold a session */
    size_t consumed;

    session_finish_line(session);
    if (must_stop(session)) {
        say_stop(session);
        return SESSION_LINE_ENDED;
    }
    for (;;) {
        struct text pending = stream_pending(&session->stream);
        if (session->first_line && !session->tls && is_tls(pending)) {
            session->verb = "(TLS)";
            session_drop(session, "talk", "TLS on a port that begins in plain text");
            return SESSION_LINE_ENDED;
        }
        enum command_line_result result = command_line_next(&session->reader, pending, line, &consumed);
        if (result == COMMAND_LINE_ITEM) {
            session->line_length = consumed;
            session->first_line = false;
            return SESSION_LINE;
        }
        stream_consume(&session->stream, consumed);
        if (result != COMMAND_LINE_MORE) {
            session->first_line = false;
            refuse_line(session, result);
            return session->state == SESSION_CLOSING ? SESSION_LINE_ENDED : SESSION_LINE_FAULT;
        }
        if (deadline == 0)
            deadline = session_deadline(session, PHASE_COMMAND);
        stream_expect(&session->stream, 0);
        if (!fill(session, deadline, "silent for too long"))
            return SESSION_LINE_ENDED;
        if (clock_remaining(deadline) == 0) { /* a line without end never lets anybody wait */
            end_by_timeout(session, "took too long over one line");
            return SESSION_LINE_ENDED;
        }
    }
}
