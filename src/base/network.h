/* SPDX-License-Identifier: MIT
 * Network addresses: parsing, printing, prefixes, networks (CIDR). IPv4-mapped IPv6 addresses are always shown and
 * compared as IPv4. */
#ifndef BASE_NETWORK_H
#define BASE_NETWORK_H
#include "base/text.h"
#include <stdbool.h>
#include <sys/socket.h>
#define NETWORK_IP_SIZE 64 /* an address as text, with /64 and NUL */
struct network_address {   /* any socket address this program uses */
    struct sockaddr_storage storage;
    socklen_t length;
};
struct network { /* an address and how many of its bits count */
    unsigned char bytes[16];
    bool v6;
    unsigned bits;
};
/* "1.2.3.4", "2001:db8::1", or "unix" for a Unix socket. */
void network_ip_text(const struct network_address *address, char text[NETWORK_IP_SIZE]);
unsigned network_port(const struct network_address *address);
/* One address, "v4" or "v6" (no brackets), with a port; false unless exactly an address. */
bool network_parse_ip(struct text ip, unsigned port, struct network_address *address);
/* "v4:port", "[v6]:port", "v6/port", "port" (gives *v4 = 0.0.0.0; the caller adds ::), "/path" or "unix:/path". False
 * on anything else. */
bool network_parse_endpoint(struct text endpoint, struct network_address *address, bool *port_only);
/* "10.0.0.0/8", "::1", "2001:db8::/32". */
bool network_parse(struct text text, struct network *network);
bool network_contains(const struct network *network, const struct network_address *address);
/* The name a contact counts under: IPv4 whole, IPv6 cut to prefix_v6 bits and written "2001:db8:1:2::/64" (bare when
 * 128). */
void network_contact(const struct network_address *address, unsigned prefix_v6, char text[NETWORK_IP_SIZE]);
/* The name of the network that an address counts under: "192.0.2.0/24", "2001:db8:1::/48", or "unix". */
#define NETWORK_PREFIX_V4 24
#define NETWORK_PREFIX_V6 48
void network_name(const struct network_address *address, char text[NETWORK_IP_SIZE]);
/* An IPv4 address each of whose numbers may be a choice: "127.0.0.[2..4;9]". */
bool network_pattern_is_valid(struct text pattern);
bool network_pattern_matches(struct text pattern, struct text ip);
/* Reverse name for PTR ("4.3.2.1.in-addr.arpa", nibbles.ip6.arpa) or, with suffix, for a DNSBL ("4.3.2.1.suffix").
 * False when it does not fit. */
bool network_reverse_name(struct text ip, const char *suffix, char *name, size_t size);
bool network_is_loopback(const struct network_address *address);
#endif
