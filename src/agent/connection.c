/* SPDX-License-Identifier: MIT
 * Non-blocking connect(2)s that race (RFC 8305), so that an address that never answers delays nobody; see connection.h.
 * Runs without privilege in delivery agents. */
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

struct race {
    struct connection_candidate *candidates;
    size_t count;
    const struct config_strings *sources;
    long milliseconds;
    int64_t next_at; /* when another may be begun */
};

static bool is_v6(const struct connection_candidate *candidate) {
    return candidate->address->storage.ss_family == AF_INET6;
}

void connection_order(struct connection_candidate *candidates, size_t count) {
    bool want_v6 = true;
    for (size_t place = 0; place < count; place++, want_v6 = !want_v6) {
        size_t found = place;
        while (found < count && is_v6(&candidates[found]) != want_v6) {
            found++;
        }
        if (found == count) {
            return; /* the rest is of one family */
        }
        struct connection_candidate moved = candidates[found];
        for (; found > place; found--) {
            candidates[found] = candidates[found - 1];
        }
        candidates[place] = moved;
    }
}

/* 0 or an errno. The port is chosen at connect(2), when more of them are free than for an address of one's own. */
static int bind_source(int fd, sa_family_t family, const struct config_strings *sources) {
    int problem = 0;
    for (size_t i = 0; sources != NULL && i < sources->count; i++) {
        struct network_address source;
        const int yes = 1;
        if (!network_parse_ip(text_of(sources->items[i]), 0, &source) || source.storage.ss_family != family) {
            continue;
        }
        (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
        if (bind(fd, (const struct sockaddr *)&source.storage, source.length) == 0) {
            return 0;
        }
        problem = errno;
    }
    return problem;
}

static void fail(struct connection_candidate *candidate, int problem) {
    close(candidate->fd);
    candidate->fd = -1;
    candidate->tried = true;
    candidate->problem = problem;
}

/* True when it stands already. */
static bool begin(const struct race *race, struct connection_candidate *candidate) {
    const struct network_address *address = candidate->address;
    const int yes = 1;
    int problem = 0;
    candidate->fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (candidate->fd < 0) {
        candidate->tried = true;
        candidate->problem = errno;
        return false;
    }
    if (address->storage.ss_family != AF_UNIX) { /* else the end of the data waits for what went before it */
        (void)setsockopt(candidate->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        problem = bind_source(candidate->fd, address->storage.ss_family, race->sources);
    }
    if (problem == 0 && connect(candidate->fd, (const struct sockaddr *)&address->storage, address->length) == 0) {
        return true;
    }
    problem = problem != 0 ? problem : errno;
    candidate->deadline = clock_deadline(race->milliseconds);
    if (problem != EINPROGRESS) {
        fail(candidate, problem);
    }
    return false;
}

static bool is_under_way(const struct connection_candidate *candidate) {
    return candidate->fd >= 0 && !candidate->tried;
}

/* The next that may be begun; NULL when all were. */
static struct connection_candidate *next_of(const struct race *race) {
    for (size_t i = 0; i < race->count; i++) {
        if (!race->candidates[i].tried && race->candidates[i].fd < 0) {
            return &race->candidates[i];
        }
    }
    return NULL;
}

/* Looks at one that poll(2) found ready, or whose time is over. True when it stands. */
static bool settle(struct race *race, struct connection_candidate *candidate, short events) {
    int problem = 0;
    socklen_t length = sizeof problem;
    if (events != 0) {
        if (getsockopt(candidate->fd, SOL_SOCKET, SO_ERROR, &problem, &length) != 0) {
            problem = errno;
        }
    } else if (clock_remaining(candidate->deadline) == 0) {
        problem = ETIMEDOUT;
    }
    if (problem != 0) {
        fail(candidate, problem);
        race->next_at = 0;
    }
    return problem == 0 && events != 0;
}

/* Waits for those under way, until another may be begun. The one that stands, or NULL. */
static struct connection_candidate *wait_for_one(struct race *race) {
    struct pollfd ready[CONNECTION_CANDIDATES_MAXIMUM];
    struct connection_candidate *waiting[CONNECTION_CANDIDATES_MAXIMUM];
    int64_t until = next_of(race) != NULL ? race->next_at : CLOCK_NEVER;
    nfds_t count = 0;
    for (size_t i = 0; i < race->count; i++) {
        struct connection_candidate *candidate = &race->candidates[i];
        if (is_under_way(candidate)) {
            until = candidate->deadline < until ? candidate->deadline : until;
            waiting[count] = candidate;
            ready[count++] = (struct pollfd){.fd = candidate->fd, .events = POLLOUT};
        }
    }
    if (count == 0 || poll(ready, count, clock_remaining(until)) < 0) {
        return NULL; /* interrupted: the caller comes again */
    }
    for (nfds_t i = 0; i < count; i++) {
        if (settle(race, waiting[i], ready[i].revents)) {
            return waiting[i];
        }
    }
    return NULL;
}

static int finish(const struct race *race, struct connection_candidate *winner, size_t *chosen) {
    int fd = winner->fd;
    winner->fd = -1;
    winner->tried = true;
    *chosen = (size_t)(winner - race->candidates);
    for (size_t i = 0; i < race->count; i++) {
        if (is_under_way(&race->candidates[i])) {
            close(race->candidates[i].fd);
        }
    }
    return fd;
}

int connection_race(struct connection_candidate *candidates, size_t count, const struct config_strings *sources,
                    long milliseconds, size_t *chosen) {
    struct race race = {candidates, count, sources, milliseconds, 0};
    for (size_t i = 0; i < count; i++) {
        candidates[i].fd = -1;
    }
    for (;;) {
        struct connection_candidate *next = next_of(&race), *winner = NULL;
        bool any = false;
        for (size_t i = 0; i < count; i++) {
            any |= is_under_way(&candidates[i]);
        }
        if (next == NULL && !any) {
            return -1;
        }
        if (next != NULL && (!any || clock_now_ms() >= race.next_at)) {
            winner = begin(&race, next) ? next : NULL;
            race.next_at = is_under_way(next) ? clock_deadline(CONNECTION_DELAY_MS) : 0;
        } else {
            winner = wait_for_one(&race);
        }
        if (winner != NULL) {
            return finish(&race, winner, chosen);
        }
    }
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
