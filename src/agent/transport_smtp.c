/* SPDX-License-Identifier: MIT
 * The smtp transport: remote mail, to the domain's mail exchangers or along a configured route. A transport block's
 * target replaces both (a smart host). Runs as the network user; failures are those of agent/session.c. */
#include "agent/session.h"
#include <stdio.h>

static enum route_outcome smtp_route(struct transport_context *context, const struct delivery *delivery,
                                     struct route *route, char reply[ROUTE_REPLY_SIZE]) {
    if (context->target[0] == '\0') {
        return route_find(context->config, context->resolver, delivery->destination, route, reply);
    }
    route->lmtp = false;
    route->configured = NULL;
    route->found_in_dns = false;
    snprintf(route->why, sizeof route->why, "configured target");
    return route_endpoint(text_of(context->target), (unsigned)context->config->remote_smtp_port, context->resolver,
                          route, reply);
}

/* RFC 9228: an alias of ours sends it on, and knows by this field what comes round again. All recipients of the job
 * came by the same address (runner/job.c). */
static void say_for_whom(struct delivery *delivery) {
    const struct delivery_recipient *first = &delivery->recipients[0];
    if (!text_equal_nocase(text_of(first->to_url), text_of(first->target))) {
        (void)delivery_content_trace(&delivery->content, "Delivered-To", first->to_url);
    }
}

static bool smtp_deliver(struct transport_context *context, struct delivery *delivery) {
    say_for_whom(delivery);
    return session_deliver(context, delivery, smtp_route);
}

const struct transport transport_smtp = {
    .name = "smtp",
    .wants_tls = true,
    .network = true,
    .deliver = smtp_deliver,
    .close = session_close,
};
