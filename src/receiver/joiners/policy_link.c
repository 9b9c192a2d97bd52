/* SPDX-License-Identifier: MIT
 * One policy server's connection: opened by the connector, kept for the session. Called by policy.c, confined. A
 * connection that is lost is opened again, and the question asked again, once; silence and nonsense end it. What it may
 * say is bounded: it is the operator's, but it may be broken. */
#include "base/clock.h"
#include "base/log.h"
#include "receiver/joiners/policy.h"
#include "receiver/session.h"

#define LINE_MAXIMUM 4096
#define LINES_MAXIMUM 32 /* of one answer */
#define REST_MS 10000    /* one that is down holds a session up once, not at each command */

void policy_link_close(struct policy_link *link) {
    if (link->open)
        stream_close(&link->stream);
    link->open = false;
}

/* One that closed the connection after its answer, or while nothing was asked, is no trouble. */
static void close_stale(struct policy_link *link, const char *name) {
    if (!link->open)
        return;
    bool talks = stream_pending(&link->stream).length > 0;
    enum stream_result result = talks ? STREAM_OK : stream_fill(&link->stream, clock_now_ms());
    if (result == STREAM_TIMEOUT)
        return;
    if (result == STREAM_OK)
        log_warn("policy \"%s\" talks without being asked", name);
    policy_link_close(link);
}

static bool open_link(struct session *session, struct policy_link *link, uint32_t index, const char **why) {
    static char words[256];
    int fd = ask_connection(session->start->connector, OUTSIDE_POLICY, index, words, sizeof words);

    *why = words;
    if (fd < 0)
        return false;
    stream_init(&link->stream, fd, LINE_MAXIMUM, POLICY_REQUEST_MAXIMUM);
    link->open = true;
    return true;
}

/* "name=value" lines up to an empty one. The value lies in the line buffer until the next is read, so it is kept. */
static enum stream_result read_answer(struct policy_link *link, int64_t deadline, char *action, bool *found) {
    struct text line;

    *found = false;
    for (int count = 0; count < LINES_MAXIMUM; count++) {
        enum stream_result result = stream_read_line_lenient(&link->stream, LINE_MAXIMUM, deadline, &line);
        if (result != STREAM_OK || line.length == 0)
            return result;
        if (!*found && text_starts_nocase(line, TEXT("action="))) {
            *found = true;
            (void)text_copy(action, LINE_MAXIMUM, text_from(line, sizeof "action=" - 1));
        }
    }
    return STREAM_TOO_LONG;
}

static enum stream_result exchange(struct policy_link *link, struct text request, int64_t deadline, char *action,
                                   bool *found) {
    enum stream_result result = stream_write(&link->stream, request.data, request.length, deadline);

    *found = false;
    if (result == STREAM_OK)
        result = stream_flush(&link->stream, deadline);
    return result == STREAM_OK ? read_answer(link, deadline, action, found) : result;
}

static const char *words_for(enum stream_result result) {
    switch (result) {
    case STREAM_OK:
        return "its answer has no action";
    case STREAM_TIMEOUT:
        return "it does not answer in time";
    case STREAM_TOO_LONG:
        return "its answer is too long";
    default:
        return "it closes the connection without an answer";
    }
}

bool policy_ask(struct session *session, struct policy_link *link, uint32_t index, struct text request,
                struct text *action) {
    static char value[LINE_MAXIMUM];
    const struct config_policy *policy = &session->config->policies[index];
    int64_t deadline = clock_deadline(1000 * policy->timeout);
    const char *why = "it was down a moment ago";
    bool found = false;

    close_stale(link, policy->name);
    for (int attempt = 0; attempt < 2 && clock_now_ms() >= link->rests_until; attempt++) {
        if (!link->open && !open_link(session, link, index, &why))
            break;
        enum stream_result result = exchange(link, request, deadline, value, &found);
        *action = text_of(value);
        if (result == STREAM_OK && found)
            return true;
        why = words_for(result);
        policy_link_close(link);
        if (result != STREAM_CLOSED && result != STREAM_BROKEN)
            break;
    }
    log_warn("policy \"%s\" at %s cannot be asked: %s", policy->name, policy->endpoint, why);
    if (clock_now_ms() >= link->rests_until)
        link->rests_until = clock_deadline(REST_MS);
    return false;
}
