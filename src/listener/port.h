/* SPDX-License-Identifier: MIT
 * The listening sockets of the configuration's listen blocks. Opened by the listener at start and on SIGHUP; the
 * sockets of addresses that stay are kept, so that no connection is refused during a reload. */
#ifndef LISTENER_PORT_H
#define LISTENER_PORT_H
#include "base/buffer.h"
#include "base/exit_status.h"
#include "config/config.h"
struct loop_watch;
struct supervisor;
struct port {
    int fd;
    size_t listen; /* index of config->listens */
    struct network_address address;
    struct loop_watch *watch; /* NULL: nobody accepts now */
    struct supervisor *supervisor;
};
struct port_set {
    struct port *items;
    size_t count;
};
/* Binds every address of the configuration. Sockets of addresses that `former` (may be NULL) has too are taken from it
 * (their fd there becomes -1). On failure former is whole again and error names the address. */
enum exit_status port_set_open(struct port_set *set, const struct config *config, struct port_set *former,
                               struct buffer *error);
/* The set's open socket of this address; NULL when there is none, or no set. */
struct port *port_set_find(struct port_set *set, const struct network_address *address);
/* Closes what is left in the set; Unix sockets' names are removed. */
void port_set_close(struct port_set *set);
/* "127.0.0.1:25", "[::1]:25" or the path; for log lines. Returns text. */
const char *port_name(const struct network_address *address, char *text, size_t size);
#endif
