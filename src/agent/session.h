/* SPDX-License-Identifier: MIT
 * An agent's SMTP or LMTP conversation with a destination: finds the route, tries its hosts and addresses until one
 * takes the message or refuses it for good, and keeps the connection for the next job. The smtp and lmtp transports are
 * this with different routes. */
#ifndef AGENT_SESSION_H
#define AGENT_SESSION_H
#include "agent/delivery.h"
#include "agent/route.h"
#include "agent/transport.h"
#include "smtp/client.h"

struct session { /* lives from the first job to the agent's end */
    struct transport_context *context;
    struct client client;
    struct client_settings settings;
    enum route_tls tls_policy;
    char tls_host[ROUTE_NAME_SIZE]; /* of the connection being made: SNI */
    struct tls_facts tls_facts;
    bool tls_failed;                         /* a handshake failed; this connection is plain for that reason */
    char route[200], host[256], address[64]; /* of the open connection */
};
/* Fills in the route for a delivery; as route_find. */
typedef enum route_outcome session_router(struct transport_context *context, const struct delivery *delivery,
                                          struct route *route, char reply[ROUTE_REPLY_SIZE]);
/* Gives every recipient a result. Returns whether the connection is open for another message. */
bool session_deliver(struct transport_context *context, struct delivery *delivery, session_router *router);
/* QUIT; frees context->state. */
void session_close(struct transport_context *context);
/* The client's trace function: dialogue lines for log and terminal as the configuration asks; context: the session. */
void session_trace(void *context, enum client_direction direction, struct text line);
#endif
