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
    char domain[ROUTE_NAME_SIZE];            /* the destination */
    enum route_tls tls_policy;               /* of the route */
    bool remembers;                          /* what the destination has shown of TLS before counts on this route */
    enum tls_memory tls_memory;              /* that, TLS_MEMORY_NONE where it does not count */
    const struct config_strings *sources;    /* addresses to connect from, or NULL */
    struct tls_facts tls_facts;              /* of the last handshake that worked */
    char tls_problem[160];                   /* why there was none, "" */
    char route[200], host[256], address[64]; /* of the open connection; host: for SNI, too */
    struct network_address peer;             /* address */
    bool has_others;                         /* the route that led here has further hosts */
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

/* What a route asks of connections, for the messages of this delivery (session_open.c). */
void session_adopt_route(struct session *session, const struct route *route, const struct delivery *delivery);
/* How long connecting may take. */
long session_connect_milliseconds(const struct session *session);
/* Opens the client over a connection that stands, fd (owned), and over further ones to the same address where TLS or
 * EHLO turns out to be too much for the server. Anything but CLIENT_OPEN: reply says why. */
enum client_opening session_open(struct session *session, int fd, const struct network_address *address,
                                 char reply[ROUTE_REPLY_SIZE]);
/* Another connection to the same address, in place of the one that was open. False: reply says why. */
bool session_open_again(struct session *session, char reply[ROUTE_REPLY_SIZE]);
/* What the open connection shows of TLS, as it will be remembered. */
enum tls_memory session_tls_shown(const struct session *session);
/* True when the open connection has as much TLS as was remembered of its destination. */
bool session_tls_suffices(const struct session *session, enum tls_memory memory);
/* The attempt's TLS facts: "TLSv1.3 CIPHER verified", "… unverified: WHY", "none: WHY", or "" for plain text that
 * nobody has a reason to wonder about. */
void session_tls_text(const struct session *session, char *text, size_t size);
#endif
