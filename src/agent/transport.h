/* SPDX-License-Identifier: MIT
 * Transports: the ways a message can leave. One row each in transport.c; a new one is one file, copied from
 * transport_null.c, and one row. */
#ifndef AGENT_TRANSPORT_H
#define AGENT_TRANSPORT_H
#include "agent/delivery.h"
#include "config/config.h"
#include "ipc/process.h"
#include "tls/tls.h"
#include <stdbool.h>

struct transport;
/* What a transport works with; made once, before the privileges are dropped. */
struct transport_context {
    const struct config *config;
    int resolver;
    const struct transport *transport;
    const char *name;                     /* the configured one */
    const struct config_transport *block; /* NULL for a row's own name */
    const char *home;                     /* of the user who delivers into files or programs */
    const char *target;                   /* of a transport block, lmtp's endpoint, the Maildir pattern; "" for none */
    struct tls_client *tls;               /* NULL: none wanted */
    char **passwords;                     /* one for each of config->routes, NULL in it where there is none; or NULL */
    bool filtered;                        /* local mail, and local_filter is set */
    void *state;                          /* the transport's own, between jobs */
};
struct transport {
    const char *name;
    bool wants_tls; /* load the CA certificates before the chroot */
    bool network;   /* runs as the network user in an empty directory; false: as the transport's configured user */
    bool runs_programs;
    /* Gives every recipient of the delivery a result; returns whether the agent can be handed another job. */
    bool (*deliver)(struct transport_context *context, struct delivery *delivery);
    /* NULL, or: the agent ends; say QUIT. */
    void (*close)(struct transport_context *context);
};
extern const struct transport transport_lmtp, transport_smtp, transport_maildir, transport_pipe, transport_null;
extern const struct transport *const transports[];
extern const size_t transport_count;
/* Finds the row for a name: a row's own, or a configured transport block's, whose kind is a row's name. The block's
 * target is put into context->target (the configuration's own where there is none). False when there is none. */
bool transport_find(const struct config *config, const char *name, struct transport_context *context);
/* True when the agent must reach a Unix socket or a program, which an empty chroot has not. */
bool transport_needs_file_system(const struct transport_context *context);
#endif
