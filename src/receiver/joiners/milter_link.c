/* SPDX-License-Identifier: MIT
 * The connection to one milter: opening, options, packets, verdicts. Called by milter.c and milter_message.c, confined;
 * the connector opens it. What breaks off, is late or answers nonsense is logged, closed, and counts as down. */
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "receiver/change.h"
#include "receiver/joiners/milter_private.h"
#include <stdio.h>
#include <stdlib.h>

#define INPUT_MAXIMUM (MILTER_PACKET_MAXIMUM + 32u * 1024)
#define OUTPUT_MAXIMUM (128u * 1024)
#define GOODBYE_MS 200

static void forget_options(struct milter_link *link) {
    for (size_t i = 0; i < MILTER_MACRO_STAGES; i++) {
        free(link->macros[i]);
        link->macros[i] = NULL;
    }
}

void milter_link_break(struct milter_link *link, const char *what) {
    log_warn("milter \"%s\": %s", link->config->name, what);
    stream_close(&link->stream);
    forget_options(link);
    link->state = LINK_DOWN;
}

bool milter_link_send(struct milter_link *link, struct text packets) {
    int64_t deadline = clock_deadline(1000 * link->config->command_timeout);

    if (stream_write(&link->stream, packets.data, packets.length, deadline) == STREAM_OK)
        return true;
    milter_link_break(link, "it does not read what it is sent");
    return false;
}

static bool await_packet(struct milter_link *link, struct milter_packet *packet, int64_t deadline) {
    size_t used;

    for (;;) {
        enum milter_result result = milter_packet_next(stream_pending(&link->stream), packet, &used);
        if (result == MILTER_PACKET) {
            stream_consume(&link->stream, used); /* it stays readable until more is read */
            return true;
        }
        enum stream_result filled = result == MILTER_BAD ? STREAM_TOO_LONG : stream_fill(&link->stream, deadline);
        if (filled == STREAM_OK)
            continue;
        milter_link_break(link, filled == STREAM_TIMEOUT    ? "it does not answer in time"
                                : filled == STREAM_TOO_LONG ? "it sent a packet of no possible length"
                                                            : "it closed the connection");
        return false;
    }
}

static bool flush(struct milter_link *link, int64_t deadline) {
    if (stream_flush(&link->stream, deadline) == STREAM_OK)
        return true;
    milter_link_break(link, "the connection is lost");
    return false;
}

bool milter_link_await(struct milter_link *link, struct milter_answer *answer, int64_t timeout_ms, int64_t latest) {
    struct milter_packet packet;
    char what[80];

    do {
        int64_t deadline = clock_deadline(timeout_ms);
        deadline = deadline < latest ? deadline : latest;
        if (clock_now_ms() >= latest) { /* of one that never stops talking there is always something to read */
            milter_link_break(link, "it does not come to an end in time");
            return false;
        }
        if (!flush(link, deadline) || !await_packet(link, &packet, deadline))
            return false;
        if (!milter_answer_parse(&packet, answer)) {
            (void)snprintf(what, sizeof what, "its answer 0x%02x is none, or malformed", (unsigned char)packet.command);
            milter_link_break(link, what);
            return false;
        }
    } while (answer->kind == MILTER_PROGRESS);
    return true;
}

/* ---- opening ---- */

/* Older ones do not know all commands. */
static void keep_options(struct milter_link *link, const struct milter_options *options) {
    link->options = *options;
    if (options->version < 4)
        link->options.steps |= MILTER_NO_DATA;
    if (options->version < 3)
        link->options.steps |= MILTER_NO_UNKNOWN;
    for (size_t i = 0; i < MILTER_MACRO_STAGES; i++)
        if (options->named[i])
            link->macros[i] = memory_string(options->macros[i]);
}

static bool agree(struct milter_link *link) {
    const struct milter_options offered = {MILTER_VERSION, MILTER_ACTIONS, MILTER_STEPS, {false}, {TEXT_NONE}};
    int64_t deadline = clock_deadline(1000 * link->config->connect_timeout);
    struct milter_options options;
    struct milter_packet packet;
    struct buffer offer;

    buffer_init(&offer, 64);
    (void)milter_write_options(&offer, &offered);
    bool good =
        milter_link_send(link, buffer_text(&offer)) && flush(link, deadline) && await_packet(link, &packet, deadline);
    buffer_free(&offer);
    if (!good)
        return false;
    if (!milter_options_parse(&packet, &offered, &options)) {
        milter_link_break(link, "it wants what was not offered, or answered something else");
        return false;
    }
    keep_options(link, &options);
    log_debug("milter \"%s\": version %u, actions 0x%x, steps 0x%x", link->config->name, options.version,
              options.actions, options.steps);
    return true;
}

void milter_link_close(struct milter_link *link) {
    int64_t deadline = clock_deadline(GOODBYE_MS);
    struct buffer packets;

    if (link->state == LINK_OPEN) {
        buffer_init(&packets, 64);
        (void)milter_write(&packets, MILTER_QUIT, TEXT_NONE);
        if (stream_write(&link->stream, packets.data, packets.length, deadline) == STREAM_OK)
            (void)stream_flush(&link->stream, deadline);
        buffer_free(&packets);
        stream_close(&link->stream);
    }
    forget_options(link);
    link->state = LINK_DONE;
}

/* QUIT_NC would spare a connection, but libmilter does not answer the options that would follow it. */
bool milter_link_open(struct session *session, struct milter_link *link) {
    char why[256];

    milter_link_close(link);
    int fd = ask_connection(session->start->connector, OUTSIDE_MILTER, link->index, why, sizeof why);
    link->state = fd >= 0 ? LINK_OPEN : LINK_DOWN;
    if (fd < 0) {
        log_warn("milter \"%s\": cannot be reached: %s", link->config->name, why);
        return false;
    }
    stream_init(&link->stream, fd, INPUT_MAXIMUM, OUTPUT_MAXIMUM);
    link->stream.stop_fd = -1;
    return agree(link);
}

/* ---- verdicts ---- */

/* Before MAIL nobody is refused for it but in place of the greeting: a 4xx to EHLO leads clients to HELO. */
enum link_outcome milter_link_when_down(const struct session *session, const struct milter_link *link,
                                        enum rule_stage stage, struct reply *reply) {
    bool speaks = stage == RULE_CONNECT || stage == RULE_MAIL || stage == RULE_RCPT || stage == RULE_DATA ||
                  stage == RULE_MESSAGE;

    if (!speaks || (link->config->when_down == WHEN_DOWN_ACCEPT && !link->changed))
        return LINK_GOES_ON;
    if (stage == RULE_CONNECT)
        reply_set(reply, 421, "4.3.0", "%s service not available, try again later", session->config->server_name);
    else
        reply_set(reply, 451, "4.7.1", "Service unavailable - try again later");
    return LINK_OBJECTS;
}

static void discard(struct session *session, struct milter_link *link) {
    char reason[CHANGE_REASON_SIZE];

    (void)snprintf(reason, sizeof reason, "discarded by milter %.100s", link->config->name);
    change_discard(session, text_of(reason));
    link->passed = true;
}

static enum link_outcome accept_all(struct milter_link *link, enum rule_stage stage) {
    if (stage == RULE_CONNECT || stage == RULE_EHLO)
        milter_link_close(link);
    else if (stage != RULE_UNKNOWN)
        link->passed = true;
    return LINK_GOES_ON;
}

static enum link_outcome broken(const struct session *session, struct milter_link *link, enum rule_stage stage,
                                const char *what, struct reply *reply) {
    milter_link_break(link, what);
    return milter_link_when_down(session, link, stage, reply);
}

enum link_outcome milter_link_take(struct session *session, struct milter_link *link, enum rule_stage stage,
                                   const struct milter_answer *answer, struct reply *reply) {
    switch (answer->kind) {
    case MILTER_ACCEPT:
        return accept_all(link, stage);
    case MILTER_REJECT:
        reply_set(reply, stage == RULE_CONNECT ? 554 : 550, "5.7.1", "Command rejected");
        return LINK_OBJECTS;
    case MILTER_TEMPFAIL:
        reply_set(reply, stage == RULE_CONNECT ? 421 : 451, "4.7.1", "Service unavailable - try again later");
        return LINK_OBJECTS;
    case MILTER_REPLY:
        if (!milter_reply_parse(answer->first, reply))
            return broken(session, link, stage, "its reply for the client is none", reply);
        return LINK_OBJECTS;
    case MILTER_CONN_FAIL:
    case MILTER_SHUTDOWN:
        reply_set(reply, 421, "4.3.2", "%s closing connection", session->config->server_name);
        return LINK_OBJECTS;
    case MILTER_DISCARD:
        if (stage == RULE_CONNECT || stage == RULE_EHLO || stage == RULE_UNKNOWN)
            return broken(session, link, stage, "it discards a message that there is not", reply);
        discard(session, link);
        return LINK_GOES_ON;
    default:
        break;
    }
    if (milter_is_modification(answer->kind))
        return broken(session, link, stage, "it changes a message that has not come", reply);
    return LINK_GOES_ON; /* MILTER_CONTINUE, MILTER_SKIP */
}

enum link_outcome milter_link_verdict(struct session *session, struct milter_link *link, enum rule_stage stage,
                                      struct milter_answer *answer, struct reply *reply) {
    int64_t timeout = 1000 * link->config->command_timeout;

    answer->kind = MILTER_CONTINUE;
    if (!milter_link_await(link, answer, timeout, clock_deadline(2 * timeout)))
        return milter_link_when_down(session, link, stage, reply);
    return milter_link_take(session, link, stage, answer, reply);
}
