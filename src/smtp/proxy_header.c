/* SPDX-License-Identifier: MIT
 * Parsing the PROXY header, see proxy_header.h (haproxy's doc/proxy-protocol.txt, sections 2.1 and 2.2). Called by the
 * receiver on bytes of a proxy that the operator named, confined; fails by its result. */
#include "smtp/proxy_header.h"
#include <netinet/in.h>
#include <string.h>

#define V1_MAXIMUM 107 /* 2.1: the longest line, with its CRLF */
#define V2_HEAD 16

static const struct text v1_start = {"PROXY ", 6};
static const struct text v2_start = {"\r\n\r\n\0\r\nQUIT\n", 12};

/* ---- version 1: a line ---- */

/* Words are separated by exactly one blank. */
static struct text next_word(struct text *rest) {
    struct text word = text_first(*rest, text_find(*rest, ' '));
    *rest = text_from(*rest, word.length + 1);
    return word;
}

static bool is_family(const struct network_address *address, struct text ip, bool v6) {
    return (text_find(ip, ':') < ip.length) == v6 && address->length > 0;
}

static bool take_endpoint(struct text ip, struct text port, bool v6, struct network_address *address) {
    uint64_t number;
    return port.length <= 5 && text_number(port, UINT16_MAX, &number) &&
           network_parse_ip(ip, (unsigned)number, address) && is_family(address, ip, v6);
}

/* PROXY TCP4|TCP6 SOURCE DESTINATION SOURCE-PORT DESTINATION-PORT, or PROXY UNKNOWN and whatever follows. */
static bool take_line(struct text line, struct proxy_header *header) {
    struct text rest = text_from(line, v1_start.length);
    struct text family = next_word(&rest);
    if (text_equal(family, TEXT("UNKNOWN"))) {
        return true;
    }
    bool v6 = text_equal(family, TEXT("TCP6"));
    if (!v6 && !text_equal(family, TEXT("TCP4"))) {
        return false;
    }
    struct text source = next_word(&rest), destination = next_word(&rest), port = next_word(&rest);
    header->proxied = true;
    return take_endpoint(source, port, v6, &header->client) && take_endpoint(destination, rest, v6, &header->server);
}

static enum proxy_header_result parse_v1(struct text bytes, struct proxy_header *header, size_t *consumed) {
    struct text line = text_first(bytes, V1_MAXIMUM);
    size_t end = text_find(line, '\n');
    if (end == line.length) {
        return bytes.length < V1_MAXIMUM ? PROXY_HEADER_MORE : PROXY_HEADER_BAD;
    }
    *consumed = end + 1;
    if (line.data[end - 1] != '\r' || !take_line(text_first(line, end - 1), header)) {
        return PROXY_HEADER_BAD;
    }
    return PROXY_HEADER_ITEM;
}

/* ---- version 2: binary ---- */

static void take_v4(const char *ip, const char *port, struct network_address *address) {
    struct sockaddr_in in = {.sin_family = AF_INET};
    memcpy(&in.sin_addr, ip, sizeof in.sin_addr);
    memcpy(&in.sin_port, port, sizeof in.sin_port);
    memcpy(&address->storage, &in, sizeof in);
    address->length = sizeof in;
}

static void take_v6(const char *ip, const char *port, struct network_address *address) {
    struct sockaddr_in6 in = {.sin6_family = AF_INET6};
    memcpy(&in.sin6_addr, ip, sizeof in.sin6_addr);
    memcpy(&in.sin6_port, port, sizeof in.sin6_port);
    memcpy(&address->storage, &in, sizeof in);
    address->length = sizeof in;
}

/* What lies behind the head: both addresses, both ports, then TLVs. False for what is no TCP connection of ours. */
static bool take_addresses(unsigned char family, struct text block, struct proxy_header *header) {
    const char *at = block.data;
    header->proxied = true;
    switch (family) {
    case 0x11: /* TCP over IPv4 */
        if (block.length < 12) {
            return false;
        }
        take_v4(at, at + 8, &header->client);
        take_v4(at + 4, at + 10, &header->server);
        return true;
    case 0x21: /* TCP over IPv6 */
        if (block.length < 36) {
            return false;
        }
        take_v6(at, at + 32, &header->client);
        take_v6(at + 16, at + 34, &header->server);
        return true;
    case 0x00: /* not said */
    case 0x31: /* a Unix socket: 2.2 has us use the real addresses */
        header->proxied = false;
        return true;
    default:
        return false;
    }
}

static enum proxy_header_result parse_v2(struct text bytes, struct proxy_header *header, size_t *consumed) {
    if (bytes.length < V2_HEAD) {
        return PROXY_HEADER_MORE;
    }
    const unsigned char *head = (const unsigned char *)bytes.data;
    size_t length = V2_HEAD + (size_t)head[14] * 256 + head[15];
    unsigned char command = head[12]; /* the version, 2, and LOCAL or PROXY */
    if (length > PROXY_HEADER_MAXIMUM || (command != 0x20 && command != 0x21)) {
        return PROXY_HEADER_BAD;
    }
    if (bytes.length < length) {
        return PROXY_HEADER_MORE;
    }
    *consumed = length;
    if (command == 0x20) {
        return PROXY_HEADER_ITEM;
    }
    return take_addresses(head[13], text_first(text_from(bytes, V2_HEAD), length - V2_HEAD), header) ? PROXY_HEADER_ITEM
                                                                                                     : PROXY_HEADER_BAD;
}

/* ---- both ---- */

static bool begins(struct text bytes, struct text start) {
    size_t length = bytes.length < start.length ? bytes.length : start.length;
    return memcmp(bytes.data, start.data, length) == 0;
}

enum proxy_header_result proxy_header_parse(struct text bytes, struct proxy_header *header, size_t *consumed) {
    *header = (struct proxy_header){.proxied = false};
    *consumed = 0;
    if (bytes.length == 0) {
        return PROXY_HEADER_MORE;
    }
    if (begins(bytes, v2_start)) {
        return parse_v2(bytes, header, consumed);
    }
    if (!begins(bytes, v1_start)) {
        return PROXY_HEADER_BAD;
    }
    return bytes.length < v1_start.length ? PROXY_HEADER_MORE : parse_v1(bytes, header, consumed);
}
