/* SPDX-License-Identifier: MIT
 * Opening a session over a connection: how much TLS the route and what is remembered of the destination ask for, and
 * what is tried again with less. Runs as the network user; called by session.c, which goes on to the next address when
 * it fails.
 *
 * | asked for                      | no STARTTLS | handshake fails | certificate not valid |
 * | nothing (RFC 7435)             | plain text  | again, in plain | goes on               |
 * | TLS: required, or shown before | fails       | fails           | goes on               |
 * | valid: verified, or so before  | fails       | fails           | fails                 |
 */
#include "agent/connection.h"
#include "agent/session.h"
#include "base/log.h"
#include <stdio.h>
#include <string.h>

#define CONNECT_MILLISECONDS 30000

static bool wants_valid(const struct session *session) {
    return session->tls_policy == ROUTE_TLS_VERIFIED || session->tls_memory == TLS_MEMORY_VERIFIED;
}

static bool start_tls(void *context, struct stream *stream, int64_t deadline, char *reason, size_t size) {
    struct session *session = context;
    const struct tls_facts *facts = &session->tls_facts;
    if (tls_connect(stream, session->context->tls, session->host, deadline, &session->tls_facts, reason, size) !=
        STREAM_OK) {
        snprintf(session->tls_problem, sizeof session->tls_problem, "handshake failed: %s", reason);
        return false;
    }
    if (wants_valid(session) && !facts->verified) {
        snprintf(reason, size, "the certificate is not verified: %s", facts->verify_error);
        return false;
    }
    return true;
}

void session_adopt_route(struct session *session, const struct route *route, const struct delivery *delivery) {
    const struct transport_context *context = session->context;
    const struct config *config = context->config;
    const struct config_route *block = route->configured;
    struct client_settings *settings = &session->settings;
    bool remote = context->transport != &transport_lmtp; /* that leads to a server of our own */
    bool login = block != NULL && block->host[0] != '\0' && block->user[0] != '\0';
    session->tls_policy = block != NULL ? (enum route_tls)block->tls : ROUTE_TLS_OPPORTUNISTIC;
    session->has_others = route->host_count > 1;
    bool tls = context->tls != NULL && (config->outbound_tls || session->tls_policy != ROUTE_TLS_OPPORTUNISTIC);
    /* Where an operator names the server, what the domain's own have shown says nothing. */
    session->remembers = tls && route->found_in_dns && config->outbound_tls_memory > 0;
    bool asked = !(delivery->tls_optional && config->tls_required_header); /* RFC 8689 5 */
    session->tls_memory = session->remembers && asked ? delivery->tls_memory : TLS_MEMORY_NONE;
    session->sources = !remote                                              ? NULL
                       : block != NULL && block->source_addresses.count > 0 ? &block->source_addresses
                                                                            : &config->source_addresses;
    settings->lmtp = route->lmtp;
    settings->tls_required = session->tls_policy != ROUTE_TLS_OPPORTUNISTIC || session->tls_memory != TLS_MEMORY_NONE;
    settings->start_tls = tls ? start_tls : NULL;
    settings->user = login ? block->user : NULL;
    settings->password = login && context->passwords != NULL ? context->passwords[block - config->routes] : NULL;
    text_copy(session->domain, sizeof session->domain, text_of(delivery->destination));
    snprintf(session->route, sizeof session->route, "%s %s", route->lmtp ? "lmtp" : "smtp", route->why);
}

long session_connect_milliseconds(const struct session *session) {
    long cap = session->context->config->queue_runner_timeout;
    return cap > 0 && cap * 1000 < CONNECT_MILLISECONDS ? cap * 1000 : CONNECT_MILLISECONDS;
}

/* It was so before and is not now: perhaps somebody sits in between. The operator reads how to go on all the same. */
static void blame_memory(const struct session *session, char reply[ROUTE_REPLY_SIZE]) {
    const char *before = session->tls_memory == TLS_MEMORY_VERIFIED ? "a valid certificate" : "TLS";
    const char *why = session->tls_problem[0] != '\0'         ? session->tls_problem
                      : session->tls_facts.version[0] != '\0' ? session->tls_facts.verify_error
                                                              : session->client.reply;
    snprintf(reply, ROUTE_REPLY_SIZE,
             "451 4.7.5 %.120s had %s before, and now %.90s has not; if that is right: parcelpost tls forgive %.120s; "
             "%.70s",
             session->domain, before, session->host, session->domain, why);
}

/* Says in reply why it did not open. */
static void explain(struct session *session, enum client_opening opening, char reply[ROUTE_REPLY_SIZE]) {
    const struct client *client = &session->client;
    bool by_tls = opening == CLIENT_TLS_FAILED || (opening == CLIENT_UNMET && !client->tls);
    if (opening == CLIENT_UNMET && !client->tls) {
        bool offered = (client->keywords & CLIENT_STARTTLS) != 0;
        snprintf(session->tls_problem, sizeof session->tls_problem, "STARTTLS is %s",
                 offered ? "refused" : "not offered");
    }
    if (by_tls && session->tls_memory != TLS_MEMORY_NONE) {
        blame_memory(session, reply);
    } else {
        text_copy(reply, ROUTE_REPLY_SIZE, text_of(client->reply));
    }
}

/* What can be done without, so that the next connection is opened with less. */
static bool lower(const struct session *session, enum client_opening opening, struct client_settings *settings) {
    if (opening == CLIENT_TLS_FAILED && !settings->tls_required && settings->start_tls != NULL) {
        log_warn("%s (%s): %s; trying without TLS", session->host, session->address, session->client.reply);
        settings->start_tls = NULL;
        settings->tls_failed = true;
        return true;
    }
    if (opening == CLIENT_EHLO_REFUSED && !settings->helo) {
        settings->helo = true;
        return true;
    }
    return false;
}

static int connect_again(const struct session *session, const struct network_address *address) {
    struct connection_candidate again = {.address = address};
    size_t chosen;
    return connection_race(&again, 1, session->sources, session_connect_milliseconds(session), &chosen);
}

enum client_opening session_open(struct session *session, int fd, const struct network_address *address,
                                 char reply[ROUTE_REPLY_SIZE]) {
    struct client_settings settings = session->settings;
    session->tls_problem[0] = '\0';
    for (;;) {
        memset(&session->tls_facts, 0, sizeof session->tls_facts);
        enum client_opening opening = client_open(&session->client, fd, &settings);
        if (opening == CLIENT_OPEN) {
            return opening;
        }
        explain(session, opening, reply);
        if (!lower(session, opening, &settings)) {
            if (opening == CLIENT_TLS_FAILED || opening == CLIENT_UNMET) {
                log_warn("%s (%s): %s", session->host, session->address, reply);
            }
            return opening == CLIENT_EHLO_REFUSED ? CLIENT_TEMPORARY : opening;
        }
        fd = connect_again(session, address);
        if (fd < 0) {
            return CLIENT_TEMPORARY;
        }
    }
}

bool session_open_again(struct session *session, char reply[ROUTE_REPLY_SIZE]) {
    client_quit(&session->client);
    int fd = connect_again(session, &session->peer);
    if (fd < 0) {
        snprintf(reply, ROUTE_REPLY_SIZE, "451 4.4.1 cannot connect to %.200s again", session->host);
        return false;
    }
    return session_open(session, fd, &session->peer, reply) == CLIENT_OPEN;
}

enum tls_memory session_tls_shown(const struct session *session) {
    if (!session->remembers || !session->client.tls) {
        return TLS_MEMORY_NONE;
    }
    return session->tls_facts.verified ? TLS_MEMORY_VERIFIED : TLS_MEMORY_OFFERED;
}

bool session_tls_suffices(const struct session *session, enum tls_memory memory) {
    return !session->remembers || session_tls_shown(session) >= memory;
}

void session_tls_text(const struct session *session, char *text, size_t size) {
    const struct tls_facts *facts = &session->tls_facts;
    bool problem = session->tls_problem[0] != '\0';
    if (facts->version[0] != '\0') {
        snprintf(text, size, "%s %s %s%s%s", facts->version, facts->cipher, facts->verified ? "verified" : "unverified",
                 facts->verified ? "" : ": ", facts->verified ? "" : facts->verify_error);
    } else {
        snprintf(text, size, "%s%s", problem ? "none: " : "", session->tls_problem);
    }
}
