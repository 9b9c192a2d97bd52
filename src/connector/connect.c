/* SPDX-License-Identifier: MIT
 * Non-blocking connections to places of the configuration: one address after the other, each for its part of the time.
 * Called by connector.c, as outside_user. Nobody waits for another's: all of it happens in the loop's callbacks. */
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/network.h"
#include "connector/connector_private.h"
#include "ipc/list.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define ADDRESSES_MAXIMUM 8
#define AGAIN_MS 50
#define NAME_MS 5000 /* for the name; with what connecting may take less than askers wait (ipc/ask.c) */

struct connecting {
    struct attempt *attempt;
    struct network_address addresses[ADDRESSES_MAXIMUM];
    size_t count, next;
    unsigned port, unanswered; /* questions for its name */
    int fd;                    /* under way, or -1 */
    struct loop_watch *watch;
    struct loop_timer *timer;
    int problem; /* errno of the last that failed */
    int64_t until;
};

static void finish(struct connecting *connecting, int fd) {
    struct attempt *attempt = connecting->attempt;
    const char *why = connecting->problem == 0 ? "has no address" : strerror(connecting->problem);
    free(connecting);
    attempt_end(attempt, fd, why);
}

static void try_next(struct connecting *connecting);

static void give_up(struct connecting *connecting, int problem) {
    loop_unwatch(connecting->watch);
    loop_cancel(connecting->timer);
    connecting->watch = NULL;
    connecting->timer = NULL;
    close(connecting->fd);
    connecting->fd = -1;
    connecting->problem = problem;
    try_next(connecting);
}

static void too_late(void *context) {
    struct connecting *connecting = context;
    connecting->timer = NULL;
    give_up(connecting, ETIMEDOUT);
}

static void connected(void *context, int fd, uint32_t events) {
    struct connecting *connecting = context;
    int problem = 0;
    socklen_t size = sizeof problem;
    (void)events;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size) != 0) {
        problem = errno;
    }
    if (problem != 0) {
        give_up(connecting, problem);
        return;
    }
    loop_unwatch(connecting->watch);
    loop_cancel(connecting->timer);
    finish(connecting, fd);
}

/* 0 when it stands, EINPROGRESS, or what is wrong. */
static int start_connecting(int fd, const struct network_address *address) {
    const int yes = 1;
    if (address->storage.ss_family != AF_UNIX) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes); /* short questions and answers */
    }
    return connect(fd, (const struct sockaddr *)&address->storage, address->length) == 0 ? 0 : errno;
}

static void try_again(void *context) {
    struct connecting *connecting = context;
    connecting->timer = NULL;
    try_next(connecting);
}

/* A Unix socket whose backlog is full says EAGAIN, and no event would tell when it is not. Who is many sessions at once
 * shall not pass a filter for it. */
static bool waits_for_room(struct connecting *connecting, const struct network_address *address, int problem) {
    if (problem != EAGAIN || address->storage.ss_family != AF_UNIX || clock_now_ms() >= connecting->until) {
        return false;
    }
    connecting->next--;
    connecting->fd = -1;
    connecting->timer =
        loop_after(service_loop(connecting->attempt->connector->service), AGAIN_MS, try_again, connecting);
    return true;
}

static void try_next(struct connecting *connecting) {
    struct loop *loop = service_loop(connecting->attempt->connector->service);
    while (connecting->next < connecting->count) {
        const struct network_address *address = &connecting->addresses[connecting->next++];
        connecting->fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int problem = connecting->fd >= 0 ? start_connecting(connecting->fd, address) : errno;
        if (problem == EINPROGRESS) {
            connecting->watch = loop_watch(loop, connecting->fd, EPOLLOUT, connected, connecting);
            connecting->timer = loop_after(
                loop, 1000 * connecting->attempt->outside.seconds / (int64_t)connecting->count, too_late, connecting);
            return;
        }
        if (problem == 0) {
            finish(connecting, connecting->fd);
            return;
        }
        if (connecting->fd >= 0) {
            close(connecting->fd);
        }
        if (waits_for_room(connecting, address, problem)) {
            return;
        }
        connecting->problem = problem;
    }
    finish(connecting, -1);
}

static void add(struct connecting *connecting, struct text ip) {
    if (connecting->count < ADDRESSES_MAXIMUM &&
        network_parse_ip(ip, connecting->port, &connecting->addresses[connecting->count])) {
        connecting->count++;
    }
}

static void addresses_came(void *context, const struct dns_answer *answer) {
    struct connecting *connecting = context;
    struct text records = answer->records;
    struct dns_record record;
    bool bad = false;
    while (answer->status == DNS_FOUND && list_next_record(&records, &record, &bad)) {
        add(connecting, record.value);
    }
    if (--connecting->unanswered == 0) {
        loop_cancel(connecting->timer);
        connecting->timer = NULL;
        try_next(connecting);
    }
}

static void name_is_late(void *context) {
    struct connecting *connecting = context;
    connecting->timer = NULL;
    names_forget(connecting->attempt->connector, connecting);
    try_next(connecting);
}

static void find_addresses(struct connecting *connecting, struct text name) {
    struct connector *connector = connecting->attempt->connector;
    connecting->unanswered = 3; /* and ourselves: an answer may come at once */
    connecting->timer = loop_after(service_loop(connector->service), NAME_MS, name_is_late, connecting);
    name_ask(connector, name, DNS_TYPE_A, addresses_came, connecting);
    name_ask(connector, name, DNS_TYPE_AAAA, addresses_came, connecting);
    addresses_came(connecting, &(struct dns_answer){.status = DNS_NO_DATA, .records = TEXT_NONE});
}

void connect_begin(struct attempt *attempt) {
    struct connecting *connecting = memory_new(1, sizeof *connecting);
    struct text endpoint = text_of(attempt->outside.endpoint), name = text_first(endpoint, text_find(endpoint, ':'));
    uint64_t port = 0;
    bool port_only;
    *connecting = (struct connecting){
        .attempt = attempt, .fd = -1, .until = clock_deadline(1000 * (int64_t)attempt->outside.seconds)};
    if (network_parse_endpoint(endpoint, &connecting->addresses[0], &port_only)) {
        connecting->count = 1;
        try_next(connecting);
        return;
    }
    (void)text_number(text_from(endpoint, name.length + 1), UINT16_MAX, &port); /* the configuration was checked */
    connecting->port = (unsigned)port;
    if (!text_equal_nocase(name, TEXT("localhost"))) {
        find_addresses(connecting, name);
        return;
    }
    add(connecting, TEXT("127.0.0.1")); /* RFC 6761 6.3 */
    add(connecting, TEXT("::1"));
    try_next(connecting);
}
