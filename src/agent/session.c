/* SPDX-License-Identifier: MIT
 * A message's way over hosts and addresses (RFC 5321 5.1); see session.h. Runs as the network user in an empty
 * directory. Another address is tried after a failed connection, a bad greeting, a failed TLS handshake, or when
 * everybody was deferred, or the server lacks what the message needs; never once a recipient has a final answer, nor
 * when the message may have arrived. */
#include "agent/session.h"
#include "agent/connection.h"
#include "base/log.h"
#include "base/memory.h"
#include "ipc/ask.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS_TRIED 12 /* for one job */
#define MESSAGES_TRIED 4     /* of these, how many got as far as MAIL */
#define MESSAGES_A_CONNECTION 10000

_Static_assert(ROUTE_ADDRESSES_MAXIMUM <= CONNECTION_CANDIDATES_MAXIMUM, "every address of a host can race");

/* What a job has met so far. */
struct journey {
    struct session *session;
    struct delivery *delivery;
    unsigned connections, messages;
    bool answered;  /* recipients have results of an attempt */
    bool temporary; /* some host failed in a way that may pass */
    char problem[ROUTE_REPLY_SIZE];
    bool problem_from_server; /* it is what a server said, at its greeting */
    char tried[64];           /* the address a kept connection led to */
};

static bool read_content(void *context, bool rewind, struct text *piece) {
    struct delivery *delivery = context;
    if (rewind) {
        delivery_content_rewind(&delivery->content);
    }
    return delivery_content_next(&delivery->content, piece);
}

static void copy_facts(const struct session *session, struct delivery *delivery) {
    text_copy(delivery->route, sizeof delivery->route, text_of(session->route));
    text_copy(delivery->host, sizeof delivery->host, text_of(session->host));
    text_copy(delivery->address, sizeof delivery->address, text_of(session->address));
    session_tls_text(session, delivery->tls, sizeof delivery->tls);
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

/* RFC 3461 5.2: who tells of a success. An LMTP server without DSN is our own mailboxes' keeper. */
static enum result_onward onward_of(const struct client *client) {
    if ((client->keywords & CLIENT_DSN) != 0) {
        return ONWARD_DSN;
    }
    return client->settings.lmtp ? ONWARD_FINAL : ONWARD_BLIND;
}

static void copy_results(struct delivery *delivery, const struct client *client, const struct client_recipient *list) {
    static const enum result_kind kinds[] = {
        [CLIENT_PENDING] = RESULT_DEFERRED,  [CLIENT_ACCEPTED] = RESULT_DEFERRED, [CLIENT_DELIVERED] = RESULT_DELIVERED,
        [CLIENT_DEFERRED] = RESULT_DEFERRED, [CLIENT_FAILED] = RESULT_FAILED,
    };
    for (size_t i = 0; i < delivery->count; i++) {
        struct delivery_recipient *recipient = &delivery->recipients[i];
        delivery_set(recipient, kinds[list[i].verdict], "%s", list[i].reply);
        recipient->onward = onward_of(client);
        recipient->from_server = list[i].from_server;
    }
}

/* Others of the message could be sent here. Another exchanger may take these, too: they are tried again alone, and it
 * is final when all of them then lack it. */
static void put_off_unfit(const struct session *session, struct client_message *message) {
    for (size_t i = 0; session->has_others && i < message->count; i++) {
        struct client_recipient *recipient = &message->recipients[i];
        if (recipient->unfit && recipient->verdict == CLIENT_FAILED) {
            recipient->verdict = CLIENT_DEFERRED;
            text_copy(recipient->reply, sizeof recipient->reply,
                      TEXT("451 4.6.7 the address is not ASCII and the server does not offer SMTPUTF8; another of "
                           "the domain's may"));
        }
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

static void note_problem(struct journey *journey, bool temporary, bool from_server, const char *reply) {
    journey->temporary |= temporary;
    if (temporary || !journey->temporary) {
        text_copy(journey->problem, sizeof journey->problem, text_of(reply));
        journey->problem_from_server = from_server;
    }
    if (!journey->answered) {
        copy_facts(journey->session, journey->delivery);
    }
    log_debug("%s %s: %s", journey->session->host, journey->session->address, reply);
}

/* Another exchanger may take more: final only when none of them does, and when this one's TLS has not just failed,
 * behind which it may offer more. */
static void note_lack(struct journey *journey, const char *lack) {
    char reply[ROUTE_REPLY_SIZE];
    if (journey->session->client.tls_failed) {
        snprintf(reply, sizeof reply, "451 4.7.5 TLS fails there now, and without it: %.400s", lack);
        note_problem(journey, true, false, reply);
    } else {
        note_problem(journey, false, false, lack);
    }
}

static bool all_put_off(const struct client_message *message) {
    for (size_t i = 0; i < message->count; i++) {
        if (message->recipients[i].verdict != CLIENT_DEFERRED) {
            return false;
        }
    }
    return true;
}

/* RFC 9422: a server that says how many messages a connection may have, and how many recipients a message, gets the
 * rest of a list over further ones, of which each takes some. Where one cannot be opened, or the server puts everybody
 * off, they wait for the next attempt. */
static void send_left(struct session *session, const struct delivery *delivery, struct client_message *message) {
    char reply[ROUTE_REPLY_SIZE];
    while (client_has_left(message) && !all_put_off(message)) {
        if (!session_open_again(session, reply)) {
            log_info("%s: %s", session->host, reply);
            return;
        }
        if (!session_tls_suffices(session, delivery->tls_memory)) {
            return;
        }
        message->verified = session->client.tls && session->tls_facts.verified;
        client_send_left(&session->client, message);
    }
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
        .binary = delivery->body == BODY_BINARYMIME,
        .declared_eight_bit = delivery->body == BODY_8BITMIME,
        .has_eight_bit = eight_bit,
        .utf8 = delivery->utf8,
        .requiretls = delivery->requiretls && session->context->transport != &transport_lmtp, /* that is final */
        .verified = session->client.tls && session->tls_facts.verified,
        .solicit = delivery->solicit,
        .content = read_content,
        .context = delivery,
        .recipients = client_recipients(delivery),
        .count = delivery->count,
    };
    enum attempt attempt = ATTEMPT_STALE;
    delivery->tls_shown = session_tls_shown(session);
    enum client_sending sending = client_send(&session->client, &message);
    if (sending == CLIENT_SENT) {
        delivery->standing = DESTINATION_ANSWERED;
    }
    if (message.unasked) {
        note_lack(journey, message.recipients[0].reply);
        attempt = ATTEMPT_ELSEWHERE;
    } else if (sending == CLIENT_SENT) {
        send_left(session, delivery, &message);
        put_off_unfit(session, &message);
        copy_facts(session, delivery);
        copy_results(delivery, &session->client, message.recipients);
        journey->answered = true;
        journey->messages++;
        attempt = all_deferred(delivery) && !message.unconfirmed ? ATTEMPT_ELSEWHERE : ATTEMPT_DONE;
    }
    free(message.recipients);
    if (session->client.messages >= MESSAGES_A_CONNECTION || client_is_full(&session->client)) {
        client_quit(&session->client);
    }
    return attempt;
}

/* A server that greets is there, whatever it says next; one without the TLS or the login that its route asks for is of
 * no use to any mail for it. What is remembered of its TLS does not bind all mail alike (RFC 8689 5). */
static void note_standing(struct journey *journey, enum client_opening opening) {
    const struct session *session = journey->session;
    bool by_route = session->tls_policy != ROUTE_TLS_OPPORTUNISTIC || session->settings.user != NULL;
    bool useless = by_route && (opening == CLIENT_TLS_FAILED || opening == CLIENT_UNMET);
    bool spoke = session->client.greeted || opening == CLIENT_PERMANENT;
    if (spoke && !useless) {
        journey->delivery->standing = DESTINATION_ANSWERED;
    } else if (journey->delivery->standing == DESTINATION_UNTOUCHED) {
        journey->delivery->standing = DESTINATION_UNREACHABLE;
    }
}

/* Nobody answered at any of the host's addresses that were left. */
static void note_unreachable(struct journey *journey, const struct connection_candidate *candidates, size_t count) {
    struct session *session = journey->session;
    struct buffer reply;
    const char *before = "";
    buffer_init(&reply, ROUTE_REPLY_SIZE);
    buffer_format(&reply, "451 4.4.1 cannot connect to %.200s", session->host);
    for (size_t i = 0; i < count; i++) {
        if (candidates[i].problem != 0) {
            connection_text(candidates[i].address, session->address, sizeof session->address);
            buffer_format(&reply, "%s (%s): %s", before, session->address, strerror(candidates[i].problem));
            before = ",";
        }
    }
    if (journey->delivery->standing == DESTINATION_UNTOUCHED) {
        journey->delivery->standing = DESTINATION_UNREACHABLE;
    }
    note_problem(journey, true, false, buffer_string(&reply));
    buffer_free(&reply);
}

/* Nobody knows where it is now, so that what others say is not the last word. */
static void note_unresolved(struct journey *journey) {
    char reply[ROUTE_REPLY_SIZE];
    snprintf(reply, sizeof reply, "451 4.4.3 DNS failure for the address of %.255s", journey->session->host);
    journey->session->address[0] = '\0';
    note_problem(journey, true, false, reply);
}

/* The message over a connection that stands. */
static enum attempt attempt_connection(struct journey *journey, int fd, const struct network_address *address,
                                       bool eight_bit) {
    struct session *session = journey->session;
    char reply[ROUTE_REPLY_SIZE];
    connection_text(address, session->address, sizeof session->address);
    session->peer = *address;
    enum client_opening opening = session_open(session, fd, address, reply);
    note_standing(journey, opening);
    if (opening != CLIENT_OPEN) {
        bool said = opening != CLIENT_UNMET && opening != CLIENT_TLS_FAILED && session->client.code != 0;
        note_problem(journey, opening != CLIENT_PERMANENT, said, reply);
        return ATTEMPT_ELSEWHERE;
    }
    return attempt_message(journey, eight_bit);
}

static size_t candidates_of(const struct journey *journey, const struct route_host *host,
                            struct connection_candidate candidates[ROUTE_ADDRESSES_MAXIMUM]) {
    size_t count = 0;
    for (size_t i = 0; i < host->address_count; i++) {
        char text[sizeof journey->tried];
        connection_text(&host->addresses[i], text, sizeof text);
        if (strcmp(text, journey->tried) != 0) { /* else it has just answered over the kept connection */
            candidates[count++] = (struct connection_candidate){.address = &host->addresses[i]};
        }
    }
    connection_order(candidates, count);
    return count;
}

/* One host: its addresses race for a connection, and again without the one that was of no use. */
static enum attempt attempt_host(struct journey *journey, const struct route_host *host, bool eight_bit) {
    struct session *session = journey->session;
    struct connection_candidate candidates[ROUTE_ADDRESSES_MAXIMUM];
    size_t count = candidates_of(journey, host, candidates), chosen;
    text_copy(session->host, sizeof session->host, text_of(host->name));
    memset(&session->tls_facts, 0, sizeof session->tls_facts);
    session->tls_problem[0] = '\0';
    if (host->unresolved) {
        note_unresolved(journey);
    }
    for (size_t left = count;
         left > 0 && journey->connections < CONNECTIONS_TRIED && journey->messages < MESSAGES_TRIED; left--) {
        int fd = connection_race(candidates, count, session->sources, session_connect_milliseconds(session), &chosen);
        journey->connections++;
        if (fd < 0) {
            note_unreachable(journey, candidates, count);
            return ATTEMPT_ELSEWHERE;
        }
        if (attempt_connection(journey, fd, candidates[chosen].address, eight_bit) == ATTEMPT_DONE) {
            return ATTEMPT_DONE;
        }
        client_quit(&session->client);
    }
    return ATTEMPT_ELSEWHERE;
}

static void attempt_route(struct journey *journey, const struct route *route, bool eight_bit) {
    client_quit(&journey->session->client);
    session_adopt_route(journey->session, route, journey->delivery);
    for (size_t i = 0; i < route->host_count; i++) {
        if (attempt_host(journey, &route->hosts[i], eight_bit) == ATTEMPT_DONE) {
            return;
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
    if (!text_equal_nocase(text_of(session->domain), text_of(journey->delivery->destination)) ||
        client_is_stale(&session->client) || !session_tls_suffices(session, journey->delivery->tls_memory)) {
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
    if (outcome == ROUTE_DEFERRED && delivery->standing == DESTINATION_UNTOUCHED &&
        !dns_resolver_is_gone(context->resolver)) { /* that is our fault, not the destination's */
        delivery->standing = DESTINATION_UNREACHABLE;
    }
    if (outcome == ROUTE_FOUND) {
        attempt_route(&journey, &route, eight_bit);
        text_copy(reply, sizeof reply, text_of(journey.problem));
    } else if (!journey.answered) {
        snprintf(delivery->route, sizeof delivery->route, "%.150s", route.why);
    }
    if (!journey.answered) {
        bool failed = outcome == ROUTE_FAILED || (outcome == ROUTE_FOUND && !journey.temporary);
        delivery_set_remaining(delivery, failed ? RESULT_FAILED : RESULT_DEFERRED, reply);
        for (size_t i = 0; i < delivery->count; i++) {
            delivery->recipients[i].from_server = outcome == ROUTE_FOUND && journey.problem_from_server;
        }
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
