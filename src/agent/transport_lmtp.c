/* SPDX-License-Identifier: MIT
 * The lmtp transport: local mail to a delivery server such as Dovecot (RFC 2033), over TCP or a Unix socket; the SMTP
 * session plus one flag. Runs as the network user (for a Unix socket outside the empty directory, but with no more
 * rights). No endpoint configured: everybody is deferred, for the operator can mend that. */
#include "agent/session.h"
#include <stdio.h>

#define LMTP_PORT 24

static enum route_outcome lmtp_route(struct transport_context *context, const struct delivery *delivery,
                                     struct route *route, char reply[ROUTE_REPLY_SIZE]) {
    (void)delivery;
    route->lmtp = true;
    route->configured = NULL;
    route->found_in_dns = false;
    route->host_count = 0;
    snprintf(route->why, sizeof route->why, "local");
    if (context->target[0] == '\0') {
        snprintf(reply, ROUTE_REPLY_SIZE, "451 4.3.5 the configuration names no LMTP server (key lmtp)");
        return ROUTE_DEFERRED;
    }
    return route_endpoint(text_of(context->target), LMTP_PORT, context->resolver, route, reply);
}

static bool lmtp_deliver(struct transport_context *context, struct delivery *delivery) {
    return session_deliver(context, delivery, lmtp_route);
}

const struct transport transport_lmtp = {
    .name = "lmtp",
    .wants_tls = true,
    .network = true,
    .deliver = lmtp_deliver,
    .close = session_close,
};
