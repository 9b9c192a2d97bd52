/* SPDX-License-Identifier: MIT
 * Whether an address is our own server's: one of this machine's, at a port we listen to. What leads there would come
 * back to us until its Received fields are too many. Called by route.c, also within an empty root directory. */
#include "agent/route.h"
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

static bool same_ip(const struct network_address *a, const struct network_address *b) {
    char first[NETWORK_IP_SIZE], second[NETWORK_IP_SIZE];
    network_ip_text(a, first);
    network_ip_text(b, second);
    return strcmp(first, second) == 0;
}

static bool is_unspecified(const struct network_address *address) {
    char ip[NETWORK_IP_SIZE];
    network_ip_text(address, ip);
    return strcmp(ip, "0.0.0.0") == 0 || strcmp(ip, "::") == 0;
}

static bool is_on_an_interface(const struct network_address *address) {
    struct ifaddrs *list = NULL;
    bool found = false;
    if (getifaddrs(&list) != 0) {
        return false;
    }
    for (const struct ifaddrs *one = list; one != NULL && !found; one = one->ifa_next) {
        struct network_address own = {.length = sizeof(struct sockaddr_in)};
        if (one->ifa_addr == NULL || (one->ifa_addr->sa_family != AF_INET && one->ifa_addr->sa_family != AF_INET6)) {
            continue;
        }
        if (one->ifa_addr->sa_family == AF_INET6) {
            own.length = sizeof(struct sockaddr_in6);
        }
        memcpy(&own.storage, one->ifa_addr, own.length);
        found = same_ip(&own, address);
    }
    freeifaddrs(list);
    return found;
}

static bool is_of_this_machine(const struct network_address *address) {
    return network_is_loopback(address) || is_unspecified(address) || is_on_an_interface(address);
}

bool route_is_own_address(const struct config *config, const struct network_address *address) {
    for (size_t i = 0; i < config->listen_count; i++) {
        const struct config_listen *listen = &config->listens[i];
        for (size_t j = 0; j < listen->parsed_count; j++) {
            const struct network_address *own = &listen->parsed[j];
            if (own->storage.ss_family == AF_UNIX || network_port(own) != network_port(address)) {
                continue;
            }
            if (is_unspecified(own) ? is_of_this_machine(address) : same_ip(own, address)) {
                return true;
            }
        }
    }
    return false;
}

/* RFC 5321 5.1: with a host that is ourselves, all that are no better are left out. */
void route_cut_own(const struct config *config, struct route *route) {
    unsigned limit = 0;
    bool found = false;
    for (size_t i = 0; i < route->host_count && !found; i++) {
        for (size_t j = 0; j < route->hosts[i].address_count && !found; j++) {
            found = route_is_own_address(config, &route->hosts[i].addresses[j]);
            limit = route->hosts[i].preference;
        }
    }
    while (found && route->host_count > 0 && route->hosts[route->host_count - 1].preference >= limit) {
        route->host_count--;
    }
}
