/* SPDX-License-Identifier: MIT
 * What the client reads. Called by every command; confined. Each 5xx passes through here and is a violation, so that
 * none can be forgotten; when it was one too many the client reads the lockout's 421 instead. Replies wait in the
 * output until input is needed (pipelining, RFC 2920); a lost connection ends the session. */
#include "base/clock.h"
#include "base/log.h"
#include "receiver/commands/extension.h"
#include "receiver/dialog.h"
#include "receiver/facts/stranger.h"
#include "receiver/hub.h"
#include "receiver/session.h"
#include "receiver/violation.h"
#include <stdarg.h>

void session_delay(struct session *session, uint64_t milliseconds) {
    unsigned delay = milliseconds < SESSION_DELAY_MAXIMUM ? (unsigned)milliseconds : SESSION_DELAY_MAXIMUM;

    if (delay > session->delay_ms)
        session->delay_ms = delay;
}

/* Only this client's process waits. A client that leaves meanwhile, or the listener's stop, ends the wait. */
static void wait_out(struct session *session) {
    int64_t until = clock_deadline(session->delay_ms);

    session->delay_ms = 0;
    while (session_flush(session) && stream_pause(&session->stream, until) == STREAM_STOP &&
           hub_goes_on(session->start->hub))
        continue;
}

static void write_shown(struct session *session, const struct reply *reply, bool shown) {
    struct reply plain;
    struct buffer wire;

    if (reply->code >= 400)
        session->counts.errors++;
    if (reply->code != 421) /* the last words are not held back */
        stranger_slow_down(session);
    if (session->delay_ms > 0)
        wait_out(session);
    if (!extension_is_on(session->config, EXTENSION_ENHANCEDSTATUSCODES)) { /* RFC 2034 3: then none are sent */
        plain = *reply;
        plain.enhanced[0] = '\0';
        reply = &plain;
    }
    buffer_init(&wire, 8 * REPLY_TEXT_SIZE);
    if (!reply_format(reply, &wire))
        die_panic("a reply of %zu bytes", wire.length);
    if (shown)
        dialog_to_client(session->config, buffer_text(&wire));
    else
        dialog_note(session->config, "<-  ", "334 (challenge)");
    enum stream_result result = session->peer_gone ? STREAM_OK
                                                   : stream_write(&session->stream, wire.data, wire.length,
                                                                  session_deadline(session, PHASE_REPLY));
    if (result != STREAM_OK)
        session_end_unread(session, result);
    buffer_free(&wire);
    if (reply->code == 421)
        session_set_state(session, SESSION_CLOSING);
}

static void write_reply(struct session *session, const struct reply *reply) {
    write_shown(session, reply, true);
}

void session_challenge(struct session *session, const char *challenge) {
    struct reply reply;

    reply_set(&reply, 334, "", "%s", challenge);
    write_shown(session, &reply, false);
}

void session_reply_lockout(struct session *session, int64_t expires_at) {
    struct reply reply;
    char when[CLOCK_TEXT_SIZE];

    clock_text((time_t)expires_at, when);
    reply_set(&reply, 421, "4.7.1", "%s Access TEMPORARILY denied to %s: you may try again after %s UTC",
              session->config->server_name, session->client.peer_ip, when);
    write_reply(session, &reply);
}

void session_send(struct session *session, const struct reply *reply, const char *rule, enum violation_mercy mercy) {
    char line[REPLY_TEXT_SIZE], shown[REPLY_TEXT_SIZE];
    bool counts = mercy != VIOLATION_NEVER && (reply->code >= 500 || mercy == VIOLATION_ALWAYS);
    int64_t expires_at;

    if (!counts && reply->code >= 400) /* else the violation is logged */
        log_info("%s is put off: %s, rule %s: %s", session->client.peer_ip, session->verb, rule,
                 text_printable(shown, sizeof shown, text_of(reply_line(reply, line, sizeof line))));
    if (counts && violation_report(session, rule, mercy, reply_line(reply, line, sizeof line), &expires_at)) {
        session_reply_lockout(session, expires_at);
        return;
    }
    write_reply(session, reply);
}

void session_reply(struct session *session, unsigned code, const char *enhanced, const char *format, ...) {
    struct reply reply;
    va_list list;

    va_start(list, format);
    reply_set_list(&reply, code, enhanced, format, list);
    va_end(list);
    session_send(session, &reply, "protocol", VIOLATION_PLAIN);
}

void session_drop(struct session *session, const char *rule, const char *what) {
    int64_t expires_at;

    (void)violation_report(session, rule, VIOLATION_PLAIN, what, &expires_at);
    session_set_state(session, SESSION_CLOSING);
}

bool session_flush(struct session *session) {
    if (session->peer_gone)
        return false;
    enum stream_result result = stream_flush(&session->stream, session_deadline(session, PHASE_REPLY));
    if (result != STREAM_OK)
        session_end_unread(session, result);
    return result == STREAM_OK;
}
