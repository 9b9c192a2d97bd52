/* SPDX-License-Identifier: MIT
 * A non-blocking connect(2) with its own time limit; see connection.h. Runs without privilege in delivery agents. */
#include "agent/connection.h"
#include "base/clock.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Waits until the connection stands; 0 or an errno. */
static int wait_connected(int fd, int64_t deadline) {
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    int count, problem = 0;
    socklen_t length = sizeof problem;
    do {
        count = poll(&ready, 1, clock_remaining(deadline));
    } while (count < 0 && errno == EINTR);
    if (count == 0) {
        return ETIMEDOUT;
    }
    if (count < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &length) != 0) {
        return errno;
    }
    return problem;
}

int connection_open(const struct network_address *address, long milliseconds, int *problem) {
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        *problem = errno;
        return -1;
    }
    *problem = 0;
    if (address->storage.ss_family != AF_UNIX) {
        const int yes = 1; /* else the end of the data waits for the acknowledgement of what went before it */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    }
    if (connect(fd, (const struct sockaddr *)&address->storage, address->length) != 0) {
        *problem = errno == EINPROGRESS ? wait_connected(fd, clock_deadline(milliseconds)) : errno;
    }
    if (*problem != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

void connection_text(const struct network_address *address, char *text, size_t size) {
    char ip[NETWORK_IP_SIZE];
    if (address->storage.ss_family == AF_UNIX) {
        snprintf(text, size, "%s", ((const struct sockaddr_un *)&address->storage)->sun_path);
        return;
    }
    network_ip_text(address, ip);
    bool v6 = address->storage.ss_family == AF_INET6;
    snprintf(text, size, v6 ? "[%s]:%u" : "%s:%u", ip, network_port(address));
}
