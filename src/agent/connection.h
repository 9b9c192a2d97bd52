/* SPDX-License-Identifier: MIT
 * Connecting to one of a host's addresses, without blocking longer than a limit. Called by the session. */
#ifndef AGENT_CONNECTION_H
#define AGENT_CONNECTION_H
#include "base/network.h"
#include "config/config.h"

/* How long an address has before the next is tried beside it: RFC 8305 5 recommends 250 ms, which is more than nearly
 * every round trip on earth, so that a working IPv6 address is answered first and costs its server no second
 * connection, and less than anybody would notice of a delivery. */
#define CONNECTION_DELAY_MS 250
#define CONNECTION_CANDIDATES_MAXIMUM 8

struct connection_candidate {
    const struct network_address *address; /* borrowed */
    bool tried;                            /* it has failed, or its connection was handed out: not again */
    int problem;                           /* errno of its failure, or 0 */
    int fd;                                /* while it is being connected to */
    int64_t deadline;
};
/* The order of RFC 8305 4: IPv6 and IPv4 in turn, IPv6 first, each family as DNS gave it. */
void connection_order(struct connection_candidate *candidates, size_t count);
/* Connects to the candidates that were not tried, each CONNECTION_DELAY_MS after the one before it, or at once when
 * that has failed; the first that stands wins. A connected close-on-exec socket (TCP or Unix) with its index in
 * *chosen; the others that were under way are closed and count as not tried. -1 when all have failed, each after at
 * most milliseconds. sources: addresses to send from, of each family the first that can be bound, and the kernel's
 * choice for a family that has none; or NULL. */
int connection_race(struct connection_candidate *candidates, size_t count, const struct config_strings *sources,
                    long milliseconds, size_t *chosen);
/* "1.2.3.4:25", "[::1]:25", or the path of a Unix socket. */
void connection_text(const struct network_address *address, char *text, size_t size);
#endif
