/* SPDX-License-Identifier: MIT
 * Reading a proxy's header. Called by the session's start, confined, on bytes of an address in proxy_networks (the
 * listener closes all others). What is no header within HEADER_LIMIT_MS closes the connection, with a line in the log:
 * a client that reached this port without the proxy must not be taken for the proxy. */
#include "receiver/proxy.h"
#include "base/clock.h"
#include "base/log.h"
#include "receiver/session.h"
#include "smtp/proxy_header.h"

#define HEADER_LIMIT_MS 10000 /* a proxy sends it with its first packet */

static bool give_up(struct session *session, const char *why) {
    log_warn("the proxy %s %s: closed", session->client.peer_ip, why);
    session->peer_gone = true;
    return false;
}

static bool read_header(struct session *session, struct proxy_header *header, size_t *consumed) {
    int64_t deadline = clock_deadline(HEADER_LIMIT_MS), cap = session_deadline(session, PHASE_COMMAND);

    for (;;) {
        switch (proxy_header_parse(stream_pending(&session->stream), header, consumed)) {
        case PROXY_HEADER_ITEM:
            return true;
        case PROXY_HEADER_BAD:
            return give_up(session, "sent no PROXY header");
        case PROXY_HEADER_MORE:
            break;
        }
        enum stream_result result = stream_fill(&session->stream, deadline < cap ? deadline : cap);
        if (result == STREAM_TIMEOUT)
            return give_up(session, "sent no PROXY header in time");
        if (result != STREAM_OK)
            return give_up(session, "closed the connection before its PROXY header");
    }
}

bool proxy_read_header(struct session *session) {
    struct proxy_header header;
    char *proxy = session->client.proxy_ip;
    size_t consumed;

    if (!read_header(session, &header, &consumed))
        return false;
    stream_consume(&session->stream, consumed);
    (void)text_copy(proxy, sizeof session->client.proxy_ip, text_of(session->client.peer_ip));
    session->client.for_itself = !header.proxied;
    if (header.proxied)
        session_set_client(session, &header.client, &header.server);
    log_info("connection from %s to %s port %u through the proxy %s", session->client.peer_ip,
             config_role_name(session->client.role), session->client.local_port, proxy);
    return true;
}

bool proxy_refuses(struct session *session, const struct contact_state *state) {
    bool over_limit = state->connections > (unsigned long)session->config->contact_connection_limit;

    if (!session->client.proxied || (!over_limit && state->over == CONTACT_WITHIN))
        return false;
    const char *whose = !over_limit && state->over == CONTACT_NETWORK_OVER ? "your network" : "you";
    log_warn("connection from %s refused: too many connections from %s", session->client.peer_ip, whose);
    session_reply(session, 421, over_limit ? "4.7.0" : "4.7.1", "%s too many connections from %s, try again later",
                  session->config->server_name, whose);
    return true;
}
