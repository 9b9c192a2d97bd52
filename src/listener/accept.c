/* SPDX-License-Identifier: MIT
 * Accepting: locked-out contacts are closed before any fork, limits are kept, the rest goes to receivers. Reads nothing
 * from a client. While connections cannot be served they wait in the backlog; those above session_limit wait here, as
 * connections that count. */
#include "base/clock.h"
#include "base/log.h"
#include "base/pool.h"
#include "listener/supervisor.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define MINUTE_MS 60000
#define RATES_MAXIMUM 100000u    /* contacts and networks that are counted at a time */
#define BURST 64                 /* connections taken from one port before the others get their turn */
#define DESCRIPTOR_PAUSE_MS 1000 /* after EMFILE: descriptors come back when sessions end */

/* The connection and what the listener found out about it. */
struct arrival {
    int fd;
    size_t listen;
    struct network_address port; /* where it came in */
    struct network_address peer, local;
    uint32_t uid;
    char contact[NETWORK_IP_SIZE]; /* "" behind a proxy, "unix:" and the uid of a local program's user */
    bool is_unix, tls_first;
};

/* One that waits for its receiver. */
struct waiting {
    struct arrival arrival;
    struct waiting *next;
};

static struct pool waitings = POOL(struct waiting);

/* One reply and close. Never waits; where TLS comes first there is nothing to be said in plain text. */
static void say(const struct supervisor *supervisor, const struct arrival *arrival, const char *code, const char *why) {
    char line[512];
    int length = snprintf(line, sizeof(line), "%s %s %s\r\n", code, supervisor->config->server_name, why);
    if (length > 0 && (size_t)length < sizeof(line) && !arrival->tls_first) {
        (void)send(arrival->fd, line, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

/* RFC 5321 3.8 */
static void refuse(const struct supervisor *supervisor, const struct arrival *arrival, const char *code,
                   const char *why) {
    char later[128];
    log_warn("connection from %s refused: %s", arrival->contact, why);
    snprintf(later, sizeof(later), "%s, try again later", why);
    say(supervisor, arrival, code, later);
}

static bool is_locked_out(struct supervisor *supervisor, const struct arrival *arrival) {
    const struct lockout_rules rules = {supervisor->config->prohibited_seconds, supervisor->config->lockout_maximum};
    return lockout_set_count(supervisor->lockouts) > 0 && !arrival->is_unix && arrival->contact[0] != '\0' &&
           !config_networks_hold(&supervisor->config->allow_networks, &arrival->peer) &&
           lockout_set_attempt(supervisor->lockouts, text_of(arrival->contact), time(NULL), &rules);
}

/* Those who hand on what others made, and those who may send through us, are no strangers. Of a filter's clients the
 * ledger counts each one that XCLIENT names. */
static bool is_stranger(const struct supervisor *supervisor, const struct arrival *arrival) {
    const struct config *config = supervisor->config;
    enum listen_role role = config->listens[arrival->listen].role;
    return !arrival->is_unix && arrival->contact[0] != '\0' && role != ROLE_LMTP &&
           !config_networks_hold(&config->allow_networks, &arrival->peer) &&
           !config_networks_hold(&config->listens[arrival->listen].xclient_networks, &arrival->peer) &&
           (role != ROLE_INTERNAL || !config_networks_hold(&config->trusted_networks, &arrival->peer));
}

/* Counts the connection against its contact's rate and its network's; NULL: within both. */
static const char *over_rate(struct supervisor *supervisor, const struct arrival *arrival) {
    const struct rate_limit contact = {supervisor->config->contact_connection_rate, MINUTE_MS};
    const struct rate_limit network = {supervisor->config->network_connection_rate, MINUTE_MS};
    char name[NETWORK_IP_SIZE];
    if ((contact.count == 0 && network.count == 0) || !is_stranger(supervisor, arrival)) {
        return NULL;
    }
    if (supervisor->rates == NULL) {
        supervisor->rates = rate_table_new(RATES_MAXIMUM);
    }
    network_name(&arrival->peer, name);
    if (!rate_take(supervisor->rates, 0, text_of(arrival->contact), contact, clock_now_ms())) {
        return "too many connections from you";
    }
    return rate_take(supervisor->rates, 1, text_of(name), network, clock_now_ms())
               ? NULL
               : "too many connections from your network";
}

static size_t waiting_of_contact(const struct supervisor *supervisor, const char *contact) {
    size_t count = 0;
    for (const struct waiting *one = supervisor->waiting; one != NULL; one = one->next) {
        count += strcmp(one->arrival.contact, contact) == 0;
    }
    return count;
}

/* A filter that speaks for others has as many connections as they have. So has a server that hands us mail by LMTP
 * through a Unix socket, which is there for nobody else. */
static bool counts_by_contact(const struct supervisor *supervisor, const struct arrival *arrival) {
    const struct config_listen *listen = &supervisor->config->listens[arrival->listen];
    if (arrival->is_unix) {
        return listen->role != ROLE_LMTP;
    }
    return arrival->contact[0] != '\0' && !config_networks_hold(&listen->xclient_networks, &arrival->peer);
}

/* NULL: within the limits. */
static const char *over_limit(const struct supervisor *supervisor, const struct arrival *arrival) {
    const struct config *config = supervisor->config;
    if (supervisor->receiver_count[RECEIVER_ACTIVE] + supervisor->waiting_count >= (size_t)config->connection_limit) {
        return "too many connections";
    }
    if (config->contact_connection_limit > 0 && counts_by_contact(supervisor, arrival) &&
        receivers_of_contact(supervisor, arrival->contact) + waiting_of_contact(supervisor, arrival->contact) >=
            (size_t)config->contact_connection_limit) {
        return "too many connections from you";
    }
    return NULL;
}

static void identify(const struct supervisor *supervisor, struct arrival *arrival) {
    struct ucred credentials = {0};
    socklen_t length = sizeof(credentials);
    arrival->is_unix = arrival->local.storage.ss_family == AF_UNIX;
    arrival->uid = UINT32_MAX;
    if (arrival->is_unix && getsockopt(arrival->fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0) {
        arrival->uid = credentials.uid;
    }
    if (arrival->is_unix) {
        (void)snprintf(arrival->contact, sizeof(arrival->contact), "unix:%u", (unsigned)arrival->uid);
    } else {
        network_contact(&arrival->peer, (unsigned)supervisor->config->contact_prefix_v6, arrival->contact);
    }
}

/* A proxy's address says nothing of its clients: limits and lockouts of the contact are up to the receiver. */
static bool is_proxy(const struct config_listen *listen, struct arrival *arrival) {
    char ip[NETWORK_IP_SIZE];
    arrival->contact[0] = '\0';
    if (config_networks_hold(&listen->proxy_networks, &arrival->peer)) {
        return true;
    }
    network_ip_text(&arrival->peer, ip);
    log_warn("connection from %s to the proxies' port %s closed: it is not in proxy_networks", ip, listen->address);
    return false;
}

/* RFC 5321 3.1: 554 for who will never be served. Behind a proxy it is up to the receiver. */
static bool is_outside(const struct supervisor *supervisor, const struct arrival *arrival) {
    const struct config_listen *listen = &supervisor->config->listens[arrival->listen];
    char ip[NETWORK_IP_SIZE];
    if (listen->networks.count == 0 || listen->proxy || config_networks_hold(&listen->networks, &arrival->peer)) {
        return false;
    }
    network_ip_text(&arrival->peer, ip);
    log_info("connection from %s to the port %s closed: it is not in its networks", ip, listen->address);
    say(supervisor, arrival, "554 5.7.1", "this port is not for you");
    return true;
}

/* False when no receiver waits. */
static bool serve(struct supervisor *supervisor, const struct arrival *arrival) {
    const struct hub_client client = {
        .listener = (uint32_t)arrival->listen,
        .peer = {(const char *)&arrival->peer, sizeof(arrival->peer)},
        .local = {(const char *)&arrival->local, sizeof(arrival->local)},
        .uid = arrival->uid,
    };
    return receiver_give(supervisor, arrival->contact, &client, arrival->fd);
}

static bool sessions_are_full(const struct supervisor *supervisor) {
    size_t limit = (size_t)supervisor->config->session_limit;
    return limit > 0 && supervisor->receiver_count[RECEIVER_ACTIVE] >= limit;
}

/* Takes the descriptor. */
static void let_wait(struct supervisor *supervisor, struct arrival *arrival) {
    struct waiting *one = pool_take(&waitings), **last = &supervisor->waiting;
    one->arrival = *arrival;
    arrival->fd = -1;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = one;
    supervisor->waiting_count++;
}

/* The first that waits; its descriptor is the caller's. */
static struct arrival end_wait(struct supervisor *supervisor) {
    struct waiting *one = supervisor->waiting;
    struct arrival arrival = one->arrival;
    supervisor->waiting = one->next;
    supervisor->waiting_count--;
    pool_give(&waitings, one);
    return arrival;
}

size_t arrivals_waiting(const struct supervisor *supervisor) {
    size_t limit = (size_t)supervisor->config->session_limit, active = supervisor->receiver_count[RECEIVER_ACTIVE];
    size_t room = limit == 0 ? supervisor->waiting_count : limit > active ? limit - active : 0;
    return supervisor->waiting_count < room ? supervisor->waiting_count : room;
}

void arrivals_settle(struct supervisor *supervisor) {
    while (arrivals_waiting(supervisor) > 0 && receivers_may_start(supervisor) &&
           serve(supervisor, &supervisor->waiting->arrival)) {
        struct arrival arrival = end_wait(supervisor);
        close(arrival.fd);
    }
}

static void dismiss(struct supervisor *supervisor, const char *code, const char *why) {
    struct arrival arrival = end_wait(supervisor);
    refuse(supervisor, &arrival, code, why);
    close(arrival.fd);
}

void arrivals_refuse(struct supervisor *supervisor) {
    while (arrivals_waiting(supervisor) > 0) {
        dismiss(supervisor, "421 4.7.0", "cannot serve you now");
    }
}

void arrivals_dismiss(struct supervisor *supervisor) {
    while (supervisor->waiting != NULL) {
        dismiss(supervisor, "421 4.3.2", "not serving now");
    }
}

/* False: to be closed at once; who is locked out has read nothing. */
static bool is_welcome(struct supervisor *supervisor, struct arrival *arrival) {
    const struct config_listen *listen = &supervisor->config->listens[arrival->listen];
    arrival->tls_first = listen->tls == LISTEN_TLS_IMPLICIT;
    identify(supervisor, arrival);
    if (listen->proxy && !is_proxy(listen, arrival)) {
        return false;
    }
    return !is_locked_out(supervisor, arrival) && !is_outside(supervisor, arrival);
}

/* Its rates were counted when it came. */
static bool may_go_on_waiting(struct supervisor *supervisor, struct arrival *arrival) {
    const struct port *port = port_set_find(&supervisor->ports, &arrival->port);
    if (port == NULL) {
        refuse(supervisor, arrival, "421 4.3.2", "not serving now");
        return false;
    }
    arrival->listen = port->listen;
    if (!is_welcome(supervisor, arrival)) {
        return false;
    }
    const char *limit = over_limit(supervisor, arrival);
    if (limit != NULL) {
        refuse(supervisor, arrival, "421 4.7.0", limit);
    }
    return limit == NULL;
}

void arrivals_review(struct supervisor *supervisor) {
    struct waiting *one = supervisor->waiting, *next, **last = &supervisor->waiting;
    supervisor->waiting = NULL;
    supervisor->waiting_count = 0;
    for (; one != NULL; one = next) {
        next = one->next;
        one->next = NULL;
        if (may_go_on_waiting(supervisor, &one->arrival)) {
            *last = one;
            last = &one->next;
            supervisor->waiting_count++;
        } else {
            close(one->arrival.fd);
            pool_give(&waitings, one);
        }
    }
}

static void take_arrival(struct supervisor *supervisor, struct arrival *arrival) {
    arrival->local.length = sizeof(arrival->local.storage);
    if (getsockname(arrival->fd, (struct sockaddr *)&arrival->local.storage, &arrival->local.length) != 0) {
        return; /* gone already */
    }
    if (!is_welcome(supervisor, arrival)) {
        return;
    }
    supervisor->arrivals++;
    const char *limit = over_limit(supervisor, arrival), *rate = over_rate(supervisor, arrival);
    if (limit != NULL || rate != NULL) {
        refuse(supervisor, arrival, limit != NULL ? "421 4.7.0" : "421 4.7.1", limit != NULL ? limit : rate);
        return;
    }
    if (supervisor->waiting != NULL || sessions_are_full(supervisor) || !serve(supervisor, arrival)) {
        let_wait(supervisor, arrival);
    }
}

static void port_ready(void *context, int fd, uint32_t events) {
    struct port *port = context;
    struct supervisor *supervisor = port->supervisor;
    (void)events;
    for (int i = 0; i < BURST && receivers_may_start(supervisor); i++) {
        struct arrival arrival = {.listen = port->listen, .port = port->address};
        arrival.peer.length = sizeof(arrival.peer.storage);
        arrival.fd =
            accept4(fd, (struct sockaddr *)&arrival.peer.storage, &arrival.peer.length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (arrival.fd >= 0) {
            take_arrival(supervisor, &arrival);
            if (arrival.fd >= 0) {
                close(arrival.fd);
            }
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            log_warn("no connection can be accepted now: %s", strerror(errno));
            supervisor->accept_pause_until = clock_deadline(DESCRIPTOR_PAUSE_MS);
        }
        if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

void ports_ignore(struct supervisor *supervisor) {
    for (size_t i = 0; i < supervisor->ports.count; i++) {
        if (supervisor->ports.items[i].watch != NULL) {
            loop_unwatch(supervisor->ports.items[i].watch);
            supervisor->ports.items[i].watch = NULL;
        }
    }
    supervisor->accepting = false;
}

void ports_settle(struct supervisor *supervisor) {
    bool can = receivers_may_start(supervisor) && clock_now_ms() >= supervisor->accept_pause_until;
    if (can == supervisor->accepting) {
        return;
    }
    if (!can) {
        ports_ignore(supervisor);
        return;
    }
    for (size_t i = 0; i < supervisor->ports.count; i++) {
        struct port *port = &supervisor->ports.items[i];
        port->supervisor = supervisor;
        port->watch = loop_watch(supervisor->loop, port->fd, EPOLLIN, port_ready, port);
    }
    supervisor->accepting = true;
}

static bool report_hits(void *context, const char *contact, uint32_t hits, int64_t last_at) {
    const struct hub_hits report = {text_of(contact), hits, last_at};
    return child_send(context, HUB_HITS, &report, -1);
}

void hits_report(struct supervisor *supervisor) {
    struct child *ledger = supervisor->slots[SLOT_LEDGER].child;
    if (ledger != NULL && ledger->ready) {
        lockout_set_take_hits(supervisor->lockouts, report_hits, ledger);
    }
    lockout_set_sweep(supervisor->lockouts, time(NULL));
}
