/* SPDX-License-Identifier: MIT
 * A message's way over hosts and addresses (RFC 5321 5.1); see session.h. Runs as the network user in an empty
 * directory. Another address is tried after a failed connection, a bad greeting, a failed TLS handshake, or when
 * everybody was deferred, or the server lacks what the message needs; never once a recipient has a final answer, nor
 * when the message may have arrived. */
#include "agent/session.h"
#include "agent/connection.h"
#include "base/log.h"
#include "base/memory.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_MILLISECONDS 30000
#define ADDRESSES_TRIED 12 /* connections attempted for one job */
#define MESSAGES_TRIED 4   /* of these, how many got as far as MAIL */
#define MESSAGES_PER_CONNECTION 100

/* What a job has met so far. */
struct journey {
    struct session *session;
    struct delivery *delivery;
    unsigned connections, messages;
    bool answered;  /* recipients have results of an attempt */
    bool temporary; /* some host failed in a way that may pass */
    char problem[ROUTE_REPLY_SIZE];
    char tried[64]; /* the address a kept connection led to */
};

static bool start_tls(void *context, struct stream *stream, int64_t deadline, char *reason, size_t size) {
    struct session *session = context;
    const struct tls_facts *facts = &session->tls_facts;
    if (tls_connect(stream, session->context->tls, session->tls_host, deadline, &session->tls_facts, reason, size) !=
        STREAM_OK) {
        return false;
    }
    if (session->tls_policy == ROUTE_TLS_VERIFIED && !facts->verified) {
        snprintf(reason, size, "the certificate is not verified: %s", facts->verify_error);
        return false;
    }
    return true;
}

static bool read_content(void *context, bool rewind, struct text *piece) {
    struct delivery *delivery = context;
    if (rewind) {
        delivery_content_rewind(&delivery->content);
    }
    return delivery_content_next(&delivery->content, piece);
}

static void copy_facts(const struct session *session, struct delivery *delivery) {
    const struct tls_facts *facts = &session->tls_facts;
    text_copy(delivery->route, sizeof delivery->route, text_of(session->route));
    text_copy(delivery->host, sizeof delivery->host, text_of(session->host));
    text_copy(delivery->address, sizeof delivery->address, text_of(session->address));
    if (session->client.tls) {
        snprintf(delivery->tls, sizeof delivery->tls, "%s %s %s", facts->version, facts->cipher,
                 facts->verified ? "verified" : "unverified");
    } else {
        snprintf(delivery->tls, sizeof delivery->tls, "%s", session->tls_failed ? "none: handshake failed" : "");
    }
}

static struct client_recipient *client_recipients(const struct delivery *delivery) {
    struct client_recipient *list = memory_new(delivery->count, sizeof *list);
    for (size_t i = 0; i < delivery->count; i++) {
        list[i].address = delivery->recipients[i].target;
        list[i].notify = delivery->recipients[i].notify;
        list[i].orcpt = delivery->recipients[i].orcpt;
    }
    return list;
}

static void copy_results(struct delivery *delivery, const struct client_recipient *list) {
    static const enum result_kind kinds[] = {
        [CLIENT_PENDING] = RESULT_DEFERRED,  [CLIENT_ACCEPTED] = RESULT_DEFERRED, [CLIENT_DELIVERED] = RESULT_DELIVERED,
        [CLIENT_DEFERRED] = RESULT_DEFERRED, [CLIENT_FAILED] = RESULT_FAILED,
    };
    for (size_t i = 0; i < delivery->count; i++) {
        delivery_set(&delivery->recipients[i], kinds[list[i].verdict], "%s", list[i].reply);
    }
}

static bool all_deferred(const struct delivery *delivery) {
    for (size_t i = 0; i < delivery->count; i++) {
        if (delivery->recipients[i].kind != RESULT_DEFERRED) {
            return false;
        }
    }
    return true;
}

static void note_problem(struct journey *journey, bool temporary, const char *reply) {
    journey->temporary |= temporary;
    if (temporary || !journey->temporary) {
        text_copy(journey->problem, sizeof journey->problem, text_of(reply));
    }
    if (!journey->answered) {
        copy_facts(journey->session, journey->delivery);
    }
    log_debug("%s %s: %s", journey->session->host, journey->session->address, reply);
}

enum attempt { ATTEMPT_DONE, ATTEMPT_ELSEWHERE, ATTEMPT_STALE };

/* One message over the session's open connection. */
static enum attempt attempt_message(struct journey *journey, bool eight_bit) {
    struct session *session = journey->session;
    struct delivery *delivery = journey->delivery;
    struct client_message message = {
        .from = delivery->from_url,
        .ret = delivery->ret,
        .envid = delivery->envid,
        .size = delivery_content_size(&delivery->content),
        .declared_eight_bit = delivery->declared_eight_bit,
        .has_eight_bit = eight_bit,
        .content = read_content,
        .context = delivery,
        .recipients = client_recipients(delivery),
        .count = delivery->count,
    };
    enum attempt attempt = ATTEMPT_STALE;
    enum client_sending sending = client_send(&session->client, &message);
    if (message.unasked) { /* another exchanger may take more: final only when none of them does */
        note_problem(journey, false, message.recipients[0].reply);
        attempt = ATTEMPT_ELSEWHERE;
    } else if (sending == CLIENT_SENT) {
        copy_facts(session, delivery);
        copy_results(delivery, message.recipients);
        journey->answered = true;
        journey->messages++;
        attempt = all_deferred(delivery) && !message.unconfirmed ? ATTEMPT_ELSEWHERE : ATTEMPT_DONE;
    }
    free(message.recipients);
    if (session->client.messages >= MESSAGES_PER_CONNECTION) {
        client_quit(&session->client);
    }
    return attempt;
}

/* Connects and says hello; a failed TLS handshake is followed by one connection without TLS (RFC 7435: opportunistic),
 * unless the route wants TLS. */
static bool open_connection(struct journey *journey, const struct network_address *address) {
    struct session *session = journey->session;
    long cap = session->context->config->queue_runner_timeout;
    long limit = cap > 0 && cap * 1000 < CONNECT_MILLISECONDS ? cap * 1000 : CONNECT_MILLISECONDS;
    struct client_settings settings = session->settings;
    session->tls_failed = false;
    for (int round = 0; round < 2; round++) {
        int problem, fd = connection_open(address, limit, &problem);
        char reply[ROUTE_REPLY_SIZE];
        if (fd < 0) {
            snprintf(reply, sizeof reply, "451 4.4.1 cannot connect to %s (%s): %s", session->host, session->address,
                     strerror(problem));
            note_problem(journey, true, reply);
            return false;
        }
        memset(&session->tls_facts, 0, sizeof session->tls_facts);
        enum client_opening opening = client_open(&session->client, fd, &settings);
        if (opening == CLIENT_OPEN) {
            return true;
        }
        note_problem(journey, opening != CLIENT_PERMANENT, session->client.reply);
        session->tls_failed = opening == CLIENT_TLS_FAILED;
        bool go_on = session->tls_failed && !settings.tls_required;
        if (session->tls_failed || opening == CLIENT_UNMET) {
            log_warn("%s (%s): %s%s", session->host, session->address, session->client.reply,
                     go_on ? "; trying without TLS" : "");
        }
        if (!go_on) {
            return false;
        }
        settings.start_tls = NULL;
    }
    return false;
}

static enum attempt attempt_address(struct journey *journey, const struct route_host *host, size_t index,
                                    bool eight_bit) {
    struct session *session = journey->session;
    const struct network_address *address = &host->addresses[index];
    text_copy(session->host, sizeof session->host, text_of(host->name));
    text_copy(session->tls_host, sizeof session->tls_host, text_of(host->name));
    connection_text(address, session->address, sizeof session->address);
    if (strcmp(session->address, journey->tried) == 0) {
        return ATTEMPT_ELSEWHERE; /* it has just answered over the kept connection */
    }
    journey->connections++;
    if (!open_connection(journey, address)) {
        return ATTEMPT_ELSEWHERE;
    }
    return attempt_message(journey, eight_bit);
}

/* What a route block asks of the connection. */
static void adopt_route(struct session *session, const struct route *route) {
    const struct transport_context *context = session->context;
    const struct config_route *block = route->configured;
    bool login = block != NULL && block->user[0] != '\0';
    session->tls_policy = block != NULL ? (enum route_tls)block->tls : ROUTE_TLS_OPPORTUNISTIC;
    session->settings.lmtp = route->lmtp;
    session->settings.tls_required = session->tls_policy != ROUTE_TLS_OPPORTUNISTIC;
    bool tls = context->tls != NULL && (context->config->outbound_tls || session->settings.tls_required);
    session->settings.start_tls = tls ? start_tls : NULL;
    session->settings.user = login ? block->user : NULL;
    session->settings.password =
        login && context->passwords != NULL ? context->passwords[block - context->config->routes] : NULL;
    snprintf(session->route, sizeof session->route, "%s %s", route->lmtp ? "lmtp" : "smtp", route->why);
}

static void attempt_route(struct journey *journey, const struct route *route, bool eight_bit) {
    struct session *session = journey->session;
    adopt_route(session, route);
    for (size_t i = 0; i < route->host_count; i++) {
        for (size_t j = 0; j < route->hosts[i].address_count; j++) {
            if (journey->connections >= ADDRESSES_TRIED || journey->messages >= MESSAGES_TRIED) {
                return;
            }
            client_quit(&session->client);
            if (attempt_address(journey, &route->hosts[i], j, eight_bit) == ATTEMPT_DONE) {
                return;
            }
        }
    }
}

static struct session *session_of(struct transport_context *context) {
    struct session *session = context->state;
    if (session == NULL) {
        session = context->state = memory_new(1, sizeof *session);
        session->context = context;
        session->settings = (struct client_settings){
            .own_name = context->config->server_name,
            .timeout_cap = context->config->queue_runner_timeout,
            .trace = session_trace,
            .context = session,
        };
    }
    return session;
}

/* The connection of the last job, when it is still good. True: the job is done. */
static bool attempt_kept(struct journey *journey, bool eight_bit) {
    struct session *session = journey->session;
    if (client_is_stale(&session->client)) {
        return false;
    }
    enum attempt attempt = attempt_message(journey, eight_bit);
    if (attempt == ATTEMPT_ELSEWHERE) {
        text_copy(journey->tried, sizeof journey->tried, text_of(session->address));
    }
    return attempt == ATTEMPT_DONE;
}

bool session_deliver(struct transport_context *context, struct delivery *delivery, session_router *router) {
    static struct route route; /* large */
    struct session *session = session_of(context);
    struct journey journey = {.session = session, .delivery = delivery};
    char reply[ROUTE_REPLY_SIZE] = "";
    bool eight_bit;
    if (!delivery_content_has_eight_bit(&delivery->content, &eight_bit)) {
        delivery_set_remaining(delivery, RESULT_DEFERRED, "451 4.3.0 the message could not be read");
        return session->client.open;
    }
    if (attempt_kept(&journey, eight_bit)) {
        return session->client.open;
    }
    enum route_outcome outcome = router(context, delivery, &route, reply);
    if (outcome == ROUTE_FOUND) {
        attempt_route(&journey, &route, eight_bit);
        text_copy(reply, sizeof reply, text_of(journey.problem));
    } else if (!journey.answered) {
        snprintf(delivery->route, sizeof delivery->route, "%.150s", route.why);
    }
    if (!journey.answered) {
        bool failed = outcome == ROUTE_FAILED || (outcome == ROUTE_FOUND && !journey.temporary);
        delivery_set_remaining(delivery, failed ? RESULT_FAILED : RESULT_DEFERRED, reply);
    }
    return session->client.open;
}

void session_close(struct transport_context *context) {
    struct session *session = context->state;
    if (session != NULL) {
        client_quit(&session->client);
        free(session);
        context->state = NULL;
    }
}
