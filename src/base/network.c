/* SPDX-License-Identifier: MIT
 * Network addresses as values: text, networks (CIDR), contact names, reverse names. Called by every process, also on
 * text from peers and DNS; no I/O; fails only by return value. */
#include "base/network.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define V4_BITS 32u
#define V6_BITS 128u
#define MAPPED_BITS 96u

/* RFC 4291 2.5.5.2: ::ffff:a.b.c.d */
static const unsigned char mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* The address as a network of its full length; false for a Unix socket. Mapped addresses become IPv4. */
static bool host_network(const struct network_address *address, struct network *network) {
    *network = (struct network){.bits = V4_BITS};
    if (address->storage.ss_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, &address->storage, sizeof v4);
        memcpy(network->bytes, &v4.sin_addr, 4);
        return true;
    }
    if (address->storage.ss_family != AF_INET6) {
        return false;
    }
    struct sockaddr_in6 v6;
    memcpy(&v6, &address->storage, sizeof v6);
    if (memcmp(&v6.sin6_addr, mapped_prefix, sizeof mapped_prefix) == 0) {
        memcpy(network->bytes, v6.sin6_addr.s6_addr + sizeof mapped_prefix, 4);
        return true;
    }
    network->v6 = true;
    network->bits = V6_BITS;
    memcpy(network->bytes, &v6.sin6_addr, 16);
    return true;
}

static void host_text(const struct network *host, char text[NETWORK_IP_SIZE]) {
    const unsigned char *v4 = host->bytes;
    if (host->v6) {
        inet_ntop(AF_INET6, host->bytes, text, NETWORK_IP_SIZE);
    } else {
        text_format(text, NETWORK_IP_SIZE, "%u.%u.%u.%u", v4[0], v4[1], v4[2], v4[3]);
    }
}

void network_ip_text(const struct network_address *address, char text[NETWORK_IP_SIZE]) {
    struct network host;
    if (!host_network(address, &host)) {
        text_copy(text, NETWORK_IP_SIZE, TEXT("unix"));
        return;
    }
    host_text(&host, text);
}

unsigned network_port(const struct network_address *address) {
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    switch (address->storage.ss_family) {
    case AF_INET:
        memcpy(&v4, &address->storage, sizeof v4);
        return ntohs(v4.sin_port);
    case AF_INET6:
        memcpy(&v6, &address->storage, sizeof v6);
        return ntohs(v6.sin6_port);
    default:
        return 0;
    }
}

/* Drops the bits that do not count, so that networks compare by bytes. */
static void mask(struct network *network) {
    for (unsigned i = 0; i < sizeof network->bytes; i++) {
        unsigned keep = network->bits > i * 8 ? network->bits - i * 8 : 0;
        if (keep < 8) {
            network->bytes[i] &= (unsigned char)(0xff00u >> keep);
        }
    }
}

static bool parse_bytes(struct text ip, struct network *network) {
    char string[INET6_ADDRSTRLEN];
    *network = (struct network){.bits = V4_BITS};
    if (ip.length == 0 || memchr(ip.data, '\0', ip.length) != NULL || !text_copy(string, sizeof string, ip)) {
        return false;
    }
    if (inet_pton(AF_INET, string, network->bytes) == 1) {
        return true;
    }
    network->v6 = true;
    network->bits = V6_BITS;
    return inet_pton(AF_INET6, string, network->bytes) == 1;
}

static void unmap(struct network *network) {
    if (network->v6 && network->bits >= MAPPED_BITS &&
        memcmp(network->bytes, mapped_prefix, sizeof mapped_prefix) == 0) {
        memmove(network->bytes, network->bytes + sizeof mapped_prefix, 4);
        memset(network->bytes + 4, 0, 12);
        network->v6 = false;
        network->bits -= MAPPED_BITS;
    }
}

bool network_parse_ip(struct text ip, unsigned port, struct network_address *address) {
    struct network host;
    *address = (struct network_address){.length = 0};
    if (port > 65535 || !parse_bytes(ip, &host)) {
        return false;
    }
    unmap(&host);
    if (host.v6) {
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
        memcpy(&v6.sin6_addr, host.bytes, 16);
        memcpy(&address->storage, &v6, sizeof v6);
        address->length = sizeof v6;
    } else {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        memcpy(&v4.sin_addr, host.bytes, 4);
        memcpy(&address->storage, &v4, sizeof v4);
        address->length = sizeof v4;
    }
    return true;
}

bool network_parse(struct text text, struct network *network) {
    size_t slash = text_find(text, '/');
    if (!parse_bytes(text_first(text, slash), network)) {
        return false;
    }
    if (slash < text.length) {
        uint64_t bits;
        if (!text_number(text_from(text, slash + 1), network->bits, &bits)) {
            return false;
        }
        network->bits = (unsigned)bits;
    }
    unmap(network);
    mask(network);
    return true;
}

bool network_contains(const struct network *network, const struct network_address *address) {
    struct network host;
    if (!host_network(address, &host) || host.v6 != network->v6) {
        return false;
    }
    host.bits = network->bits;
    mask(&host);
    return memcmp(host.bytes, network->bytes, sizeof host.bytes) == 0;
}

/* The address cut to so many bits, and their number; whole where they are all. */
static void prefix_text(const struct network_address *address, unsigned v4_bits, unsigned v6_bits,
                        char text[NETWORK_IP_SIZE]) {
    struct network host;
    char ip[NETWORK_IP_SIZE];
    if (!host_network(address, &host) || (host.v6 ? v6_bits >= V6_BITS : v4_bits >= V4_BITS)) {
        network_ip_text(address, text);
        return;
    }
    host.bits = host.v6 ? v6_bits : v4_bits;
    mask(&host);
    host_text(&host, ip);
    text_format(text, NETWORK_IP_SIZE, "%s/%u", ip, host.bits);
}

void network_contact(const struct network_address *address, unsigned prefix_v6, char text[NETWORK_IP_SIZE]) {
    prefix_text(address, V4_BITS, prefix_v6, text);
}

void network_name(const struct network_address *address, char text[NETWORK_IP_SIZE]) {
    prefix_text(address, NETWORK_PREFIX_V4, NETWORK_PREFIX_V6, text);
}

bool network_reverse_name(struct text ip, const char *suffix, char *name, size_t size) {
    struct network host;
    char reversed[sizeof host.bytes * 4 + 1] = "";
    size_t used = 0;
    if (!parse_bytes(ip, &host)) {
        return false;
    }
    unmap(&host);
    for (size_t i = host.v6 ? 16 : 4; i-- > 0;) {
        unsigned byte = host.bytes[i];
        int length = host.v6 ? text_format(reversed + used, sizeof reversed - used, "%x.%x.", byte & 15u, byte >> 4u)
                             : text_format(reversed + used, sizeof reversed - used, "%u.", byte);
        used += (size_t)length;
    }
    const char *zone = suffix != NULL ? suffix : host.v6 ? "ip6.arpa" : "in-addr.arpa";
    int length = text_format(name, size, "%s%s", reversed, zone);
    return length >= 0 && (size_t)length < size;
}

bool network_is_loopback(const struct network_address *address) {
    static const unsigned char v6_loopback[16] = {[15] = 1};
    struct network host;
    if (!host_network(address, &host)) {
        return address->storage.ss_family == AF_UNIX;
    }
    return host.v6 ? memcmp(host.bytes, v6_loopback, sizeof v6_loopback) == 0 : host.bytes[0] == 127;
}
