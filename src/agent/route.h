/* SPDX-License-Identifier: MIT
 * Where a message for a domain goes: configured routes, mail exchangers (RFC 5321 5.1, RFC 7505), address literals,
 * endpoints. Decided at each attempt, never at reception. Called by the smtp and lmtp transports; DNS is the
 * resolver's. NXDOMAIN, no data and a failing DNS are three different outcomes. */
#ifndef AGENT_ROUTE_H
#define AGENT_ROUTE_H
#include "base/network.h"
#include "base/text.h"
#include "config/config.h"
#include <stdbool.h>
#include <stddef.h>

#define ROUTE_NAME_SIZE 256
#define ROUTE_HOSTS_MAXIMUM 16
#define ROUTE_ADDRESSES_MAXIMUM 8
#define ROUTE_REPLY_SIZE 512

struct route_host {
    char name[ROUTE_NAME_SIZE]; /* for SNI and rows; an address text where there is no name */
    unsigned preference;
    struct network_address addresses[ROUTE_ADDRESSES_MAXIMUM];
    size_t address_count;
    bool unresolved; /* it has no address now because DNS failed: another day it may have one */
};
struct route {
    char why[128]; /* "mx", "address of the domain", "configured for *" … */
    bool lmtp;
    bool found_in_dns;                            /* or a literal: nobody here has said which server it is */
    const struct config_route *configured;        /* the route block, NULL for none; it may lack a host */
    struct route_host hosts[ROUTE_HOSTS_MAXIMUM]; /* in the order they are to be tried */
    size_t host_count;
};
enum route_outcome { ROUTE_FOUND, ROUTE_FAILED, ROUTE_DEFERRED };

/* Finds the hosts for a domain and their addresses. Not ROUTE_FOUND: reply says why, as one line with code. */
enum route_outcome route_find(const struct config *config, int resolver, const char *domain, struct route *route,
                              char reply[ROUTE_REPLY_SIZE]);
/* True for an address of this machine at a port the configuration listens to. */
bool route_is_own_address(const struct config *config, const struct network_address *address);
/* Drops the hosts that lead back to us, and all that are no better than the best of them. */
void route_cut_own(const struct config *config, struct route *route);
/* A configured endpoint: "host:port", "host", "[v6]:port", "/path", … */
enum route_outcome route_endpoint(struct text endpoint, unsigned default_port, int resolver, struct route *route,
                                  char reply[ROUTE_REPLY_SIZE]);

/* Pure part, for tests. Sorts by preference with random order among equals (RFC 5321 5.1), drops empty names, and drops
 * own_name with everything less or equally preferred, so that mail never runs in circles. */
enum route_order { ROUTE_ORDER_OK, ROUTE_ORDER_NULL_MX, ROUTE_ORDER_LOOP, ROUTE_ORDER_NONE };
enum route_order route_order(struct route_host *hosts, size_t *count, const char *own_name);
#endif
