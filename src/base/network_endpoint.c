/* SPDX-License-Identifier: MIT
 * Where to listen or connect, as an operator writes it: "v4:port", "[v6]:port", "v6/port", "port", "/path",
 * "unix:/path". Called by the configuration and the programs; strict; no I/O; fails only by return value. */
#include "base/network.h"
#include <string.h>
#include <sys/un.h>

static bool parse_port(struct text text, unsigned *port) {
    uint64_t number;
    if (text.length > 5 || !text_number(text, 65535, &number) || number == 0) {
        return false;
    }
    *port = (unsigned)number;
    return true;
}

static bool parse_unix(struct text path, struct network_address *address) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    if (path.length >= sizeof un.sun_path || memchr(path.data, '\0', path.length) != NULL) {
        return false;
    }
    memcpy(un.sun_path, path.data, path.length);
    memcpy(&address->storage, &un, sizeof un);
    address->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.length + 1);
    return true;
}

/* Splits "ip:port" of either family at the separator; brackets are IPv6's alone. */
static bool parse_ip_and_port(struct text ip, struct text port, bool v6, struct network_address *address) {
    unsigned number;
    bool has_colon = text_find(ip, ':') < ip.length;
    return has_colon == v6 && parse_port(port, &number) && network_parse_ip(ip, number, address);
}

bool network_parse_endpoint(struct text endpoint, struct network_address *address, bool *port_only) {
    size_t bracket = text_find(endpoint, ']');
    size_t slash = text_find(endpoint, '/');
    size_t colon = text_find(endpoint, ':');
    *address = (struct network_address){.length = 0};
    *port_only = false;
    if (slash == 0 && endpoint.length > 0) {
        return parse_unix(endpoint, address);
    }
    if (text_starts_nocase(endpoint, TEXT("unix:/"))) {
        return parse_unix(text_from(endpoint, 5), address);
    }
    if (text_starts_nocase(endpoint, TEXT("["))) {
        if (bracket + 1 >= endpoint.length || endpoint.data[bracket + 1] != ':') {
            return false;
        }
        struct text ip = text_from(text_first(endpoint, bracket), 1);
        return parse_ip_and_port(ip, text_from(endpoint, bracket + 2), true, address);
    }
    if (slash < endpoint.length) {
        return parse_ip_and_port(text_first(endpoint, slash), text_from(endpoint, slash + 1), true, address);
    }
    if (colon < endpoint.length) {
        return parse_ip_and_port(text_first(endpoint, colon), text_from(endpoint, colon + 1), false, address);
    }
    *port_only = parse_ip_and_port(TEXT("0.0.0.0"), endpoint, false, address);
    return *port_only;
}
