/* SPDX-License-Identifier: MIT
 * Binding the listening sockets, see port.h. Runs in the listener: as root at start, later with NET_BIND_SERVICE. */
#include "listener/port.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/privilege.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

const char *port_name(const struct network_address *address, char *text, size_t size) {
    char ip[NETWORK_IP_SIZE];
    if (address->storage.ss_family == AF_UNIX) {
        snprintf(text, size, "%s", ((const struct sockaddr_un *)&address->storage)->sun_path);
        return text;
    }
    network_ip_text(address, ip);
    snprintf(text, size, strchr(ip, ':') != NULL ? "[%s]:%u" : "%s:%u", ip, network_port(address));
    return text;
}

static bool same_address(const struct network_address *a, const struct network_address *b) {
    return a->length == b->length && memcmp(&a->storage, &b->storage, a->length) == 0;
}

/* A path that nobody answers on was left by a server that was killed: its name is removed. */
static bool clear_stale_path(const struct network_address *address) {
    const char *path = ((const struct sockaddr_un *)&address->storage)->sun_path;
    struct stat status;
    if (lstat(path, &status) != 0) {
        return true;
    }
    if (!S_ISSOCK(status.st_mode)) {
        errno = ENOTSOCK;
        return false;
    }
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0) {
        return false;
    }
    bool stale =
        connect(probe, (const struct sockaddr *)&address->storage, address->length) != 0 && errno == ECONNREFUSED;
    close(probe);
    if (!stale || unlink(path) != 0) {
        errno = stale ? errno : EADDRINUSE;
        return false;
    }
    return true;
}

/* The owner that the block names, or false with ESRCH when there is no such user or group. */
static bool find_owner(const struct config_listen *listens, struct privilege_user *owner) {
    char user[64], group[64] = "";
    struct text text = text_of(listens->owner);
    size_t colon = text_find(text, ':');
    bool fits = text_copy(user, sizeof(user), text_first(text, colon)) &&
                (colon == text.length || text_copy(group, sizeof(group), text_from(text, colon + 1)));
    if (!fits || !privilege_find(user, group, owner)) {
        errno = ESRCH;
        return false;
    }
    return true;
}

/* Mode and owner of a Unix socket, as the block says. */
static bool give_path(const struct config_listen *listens, const char *path) {
    struct privilege_user owner;
    struct stat status;
    if (stat(path, &status) != 0) {
        return false;
    }
    if ((status.st_mode & 0777) != (mode_t)listens->mode && chmod(path, (mode_t)listens->mode) != 0) {
        return false;
    }
    if (listens->owner[0] == '\0') {
        return true;
    }
    return find_owner(listens, &owner) &&
           ((status.st_uid == owner.uid && status.st_gid == owner.gid) || chown(path, owner.uid, owner.gid) == 0);
}

static bool bind_address(int fd, const struct config_listen *listens, const struct network_address *address) {
    int yes = 1;
    const struct sockaddr *where = (const struct sockaddr *)&address->storage;
    if (where->sa_family == AF_UNIX) {
        const char *path = ((const struct sockaddr_un *)where)->sun_path;
        mode_t former = umask(0177);
        bool bound = clear_stale_path(address) && bind(fd, where, address->length) == 0;
        umask(former);
        if (bound && !give_path(listens, path)) {
            int reason = errno;
            unlink(path);
            errno = reason;
            return false;
        }
        return bound;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)); /* connections inherit it: replies are whole anyway */
    if (where->sa_family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes));
    }
    return bind(fd, where, address->length) == 0;
}

/* Linux gives no port to two sockets, of which one has all addresses. */
static bool is_own_port(const struct port_set *former, const struct network_address *address) {
    for (size_t i = 0; former != NULL && i < former->count; i++) {
        if (former->items[i].address.storage.ss_family == address->storage.ss_family &&
            address->storage.ss_family != AF_UNIX && network_port(&former->items[i].address) == network_port(address)) {
            return true;
        }
    }
    return false;
}

static void describe_failure(const struct config_listen *listens, const struct network_address *address,
                             const struct port_set *former, struct buffer *error) {
    int reason = errno;
    char name[256];
    bool own = reason == EADDRINUSE && is_own_port(former, address);
    const char *hint = own                    ? "this server has the port under another address: that takes a new start"
                       : reason == EADDRINUSE ? "the port is taken: another program listens there"
                       : reason == ESRCH      ? "there is no such owner"
                       : reason == EPERM      ? "its owner cannot be set: that takes a start as root"
                       : reason == EACCES     ? "ports below 1024 need root"
                       : reason == EADDRNOTAVAIL ? "this machine does not have that address"
                                                 : "it cannot be opened";
    buffer_format(error, "listen \"%s\": %s: %s (%s)", listens->address, port_name(address, name, sizeof(name)), hint,
                  strerror(reason));
}

/* A machine without IPv6 is no error when only a port was asked for. */
static bool may_be_left_out(const struct config_listen *listens, const struct network_address *address) {
    return listens->parsed_count > 1 && address->storage.ss_family == AF_INET6 &&
           (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL);
}

struct port *port_set_find(struct port_set *set, const struct network_address *address) {
    for (size_t i = 0; set != NULL && i < set->count; i++) {
        if (set->items[i].fd >= 0 && same_address(&set->items[i].address, address)) {
            return &set->items[i];
        }
    }
    return NULL;
}

/* -1 with errno; the former set's own descriptor when it has this address. */
static int open_port(const struct config *config, const struct config_listen *listens,
                     const struct network_address *address, struct port_set *former) {
    struct port *kept = port_set_find(former, address);
    if (kept != NULL) {
        return kept->fd;
    }
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    if (!bind_address(fd, listens, address) || listen(fd, (int)config->listen_backlog) != 0) {
        int reason = errno;
        close(fd);
        errno = reason;
        return -1;
    }
    return fd;
}

/* What may be new about a port that stays open. */
static void keep_port(const struct config *config, const struct port *port) {
    (void)listen(port->fd, (int)config->listen_backlog);
    if (port->address.storage.ss_family == AF_UNIX) {
        const char *path = ((const struct sockaddr_un *)&port->address.storage)->sun_path;
        if (!give_path(&config->listens[port->listen], path)) {
            log_warn("mode and owner of %s stay as they were: %s", path,
                     errno == ESRCH ? "there is no such owner" : strerror(errno));
        }
    }
}

static void remove_name(const struct port *port) {
    if (port->address.storage.ss_family == AF_UNIX) {
        unlink(((const struct sockaddr_un *)&port->address.storage)->sun_path);
    }
}

/* Closes those of the set that the former one does not hold. */
static void abandon(struct port_set *set, struct port_set *former) {
    for (size_t i = 0; i < set->count; i++) {
        if (port_set_find(former, &set->items[i].address) == NULL) {
            remove_name(&set->items[i]);
            close(set->items[i].fd);
        }
    }
    free(set->items);
    *set = (struct port_set){0};
}

enum exit_status port_set_open(struct port_set *set, const struct config *config, struct port_set *former,
                               struct buffer *error) {
    *set =
        (struct port_set){.items = memory_new(config->listen_count * CONFIG_LISTEN_ADDRESSES + 1, sizeof(*set->items))};
    for (size_t i = 0; i < config->listen_count; i++) {
        const struct config_listen *listens = &config->listens[i];
        for (size_t j = 0; j < listens->parsed_count; j++) {
            int fd = open_port(config, listens, &listens->parsed[j], former);
            if (fd < 0 && may_be_left_out(listens, &listens->parsed[j])) {
                continue;
            }
            if (fd < 0) {
                enum exit_status status = errno == EACCES ? EXIT_STATUS_NO_PERMISSION : EXIT_STATUS_UNAVAILABLE;
                describe_failure(listens, &listens->parsed[j], former, error);
                abandon(set, former);
                return status;
            }
            set->items[set->count++] = (struct port){.fd = fd, .listen = i, .address = listens->parsed[j]};
        }
    }
    for (size_t i = 0; i < set->count; i++) {
        struct port *kept = port_set_find(former, &set->items[i].address);
        if (kept != NULL) {
            keep_port(config, &set->items[i]);
            kept->fd = -1;
        }
    }
    return EXIT_STATUS_OK;
}

void port_set_close(struct port_set *set) {
    for (size_t i = 0; i < set->count; i++) {
        if (set->items[i].fd >= 0) {
            remove_name(&set->items[i]);
            close(set->items[i].fd);
        }
    }
    free(set->items);
    *set = (struct port_set){0};
}
