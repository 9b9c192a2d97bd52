/* SPDX-License-Identifier: MIT
 * The frame of the processes that others ask (ledger, lookup, resolver, signer, runner; the agents' job channel too).
 * Runs under its process's privileges, one thread, one epoll loop. An asker that breaks its rules is closed and logged;
 * a service itself fails only for want of memory or descriptors, which base/ makes fatal. */
#include "ipc/service.h"
#include "base/clock.h"
#include "base/exit_status.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "ipc/scratch.h"
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Messages taken from one peer in one round: enough for batches to form, few enough that nobody waits for a talker. */
#define ROUND_MAXIMUM 32
#define READY_PATIENCE_MS 10000
#define RUNNER_PATIENCE_MS 5000
#define REST_AFTER_MS 1000

struct peer_node { /* peer first: the two addresses are the same */
    struct service_peer peer;
    bool doomed; /* closed at the end of this round */
    struct peer_node *next_dead;
};

struct service {
    const struct service_definition *definition;
    void *context;
    struct loop *loop;
    struct service_peer *hub; /* stays when the listener is gone, with fd -1 */
    struct service_peer *peers;
    struct peer_node *dead; /* closed in this round, freed at its end: handlers may still hold them */
    bool any_doomed;
    bool asked;              /* since the timer was set */
    struct loop_timer *rest; /* NULL: memory has been given back since the last message */
    union channel_values values;
};

/* Only the pages that messages touch become memory of ours. */
static char storage[CHANNEL_MESSAGE_MAXIMUM];

static const char *const peer_names[PEER_KINDS] = {
    [PEER_LISTENER] = "listener", [PEER_RECEIVER] = "receiver", [PEER_AGENT] = "agent",     [PEER_RUNNER] = "runner",
    [PEER_OPERATOR] = "operator", [PEER_LEDGER] = "ledger",     [PEER_SERVICE] = "service", [PEER_NURSERY] = "nursery",
};

static struct peer_node *node_of(struct service_peer *peer) {
    return (struct peer_node *)peer;
}

static const char *kind_name(uint32_t kind) {
    return kind < MESSAGE_KINDS && channel_types[kind].name != NULL ? channel_types[kind].name : "a message";
}

/* ---- peers ---- */

static void unlink_peer(struct service_peer *peer) {
    if (peer->previous != NULL)
        peer->previous->next = peer->next;
    else if (peer->service->peers == peer)
        peer->service->peers = peer->next;
    if (peer->next != NULL)
        peer->next->previous = peer->previous;
    peer->next = peer->previous = NULL;
}

static void disconnect_peer(struct service_peer *peer) {
    loop_unwatch(peer->watch);
    peer->watch = NULL;
    (void)close(peer->fd);
    peer->fd = -1;
}

static void lose_hub(struct service *service) {
    log_info("the listener is gone");
    disconnect_peer(service->hub);
    if (service->definition->hub_gone != NULL)
        service->definition->hub_gone(service->context);
}

void service_close_peer(struct service_peer *peer) {
    struct service *service = peer->service;

    if (peer->fd < 0)
        return;
    if (peer == service->hub) {
        lose_hub(service);
        return;
    }
    unlink_peer(peer);
    disconnect_peer(peer);
    if (service->definition->peer_gone != NULL)
        service->definition->peer_gone(service->context, peer);
    node_of(peer)->next_dead = service->dead;
    service->dead = node_of(peer);
}

static void doom_peer(struct service_peer *peer) {
    node_of(peer)->doomed = true;
    peer->service->any_doomed = true;
}

/* ---- built-in requests ---- */

/* The nursery forks receivers, and so has nobody else to introduce. */
static void take_new_peer(struct service_peer *from, struct channel_message *message) {
    const struct hub_peer *asker = &message->values->hub_peer;
    bool may = from->kind == PEER_NURSERY ? asker->peer == PEER_RECEIVER
                                          : asker->peer < PEER_KINDS && asker->peer != PEER_LISTENER;

    if (message->fd < 0 || !may) {
        log_error("%s[%u] introduced a peer of kind %u, or one without a usable channel", peer_names[from->kind],
                  from->pid, asker->peer);
        return;
    }
    (void)service_add_peer(from->service, message->fd, (enum peer_kind)asker->peer, asker->pid);
    message->fd = -1;
}

static void take_log(struct service_peer *hub, struct channel_message *message) {
    (void)hub;
    if (message->fd < 0)
        return;
    int former = log_set_descriptor(message->fd);
    message->fd = -1;
    if (former > STDERR_FILENO)
        (void)close(former);
}

/* A channel that is full is no matter: the listener asks again. */
static void take_ping(struct service_peer *hub, struct channel_message *message) {
    const struct empty_message pong = {0};

    (void)message;
    (void)scratch_send(hub->fd, HUB_PONG, 0, &pong, -1, clock_now_ms());
}

static const struct {
    uint32_t kind;
    void (*take)(struct service_peer *hub, struct channel_message *message);
} built_in[] = {{HUB_PEER, take_new_peer}, {HUB_LOG, take_log}, {HUB_PING, take_ping}};

/* ---- requests ---- */

static bool dispatch(struct service_peer *peer, struct channel_message *message) {
    struct service *service = peer->service;
    const struct service_definition *definition = service->definition;

    if (!whitelist_allows(definition->kind, peer->kind, message->kind)) {
        log_warn("%s[%u] sent %s, which it may not: closed", peer_names[peer->kind], peer->pid,
                 kind_name(message->kind));
        return false;
    }
    for (size_t i = 0; i < sizeof built_in / sizeof built_in[0]; i++)
        if (built_in[i].kind == message->kind) {
            built_in[i].take(peer, message);
            return true;
        }
    for (size_t i = 0; i < definition->row_count; i++)
        if (definition->rows[i].kind == message->kind) {
            service->asked = true;
            return definition->rows[i].handle(service->context, peer, message);
        }
    log_error("no handler for %s from %s[%u]", kind_name(message->kind), peer_names[peer->kind], peer->pid);
    return false;
}

/* One message. False when there is none, or no peer any more. */
static bool serve_one(struct service_peer *peer) {
    struct service *service = peer->service;
    struct channel_message message;
    enum channel_result result = channel_receive(peer->fd, 0, storage, &service->values, &message);

    if (result == CHANNEL_AGAIN)
        return false;
    if (result == CHANNEL_BAD)
        log_warn("%s[%u] sent a malformed message: closed", peer_names[peer->kind], peer->pid);
    bool keep = result == CHANNEL_OK && dispatch(peer, &message);
    if (message.fd >= 0)
        (void)close(message.fd);
    if (!keep)
        service_close_peer(peer);
    return peer->fd >= 0;
}

static void peer_ready(void *context, int fd, uint32_t events) {
    struct service_peer *peer = context;

    (void)fd;
    (void)events; /* an error or a hang-up shows when receiving, after what was still sent */
    /* A receiver waits for its answer before it asks on: to look again would find nothing. */
    int most = peer->kind == PEER_RECEIVER ? 1 : ROUND_MAXIMUM;
    for (int i = 0; i < most && peer->fd >= 0; i++)
        if (!serve_one(peer))
            return;
}

/* ---- rounds ---- */

static void close_doomed(struct service *service) {
    struct service_peer *next;

    if (!service->any_doomed)
        return;
    service->any_doomed = false;
    for (struct service_peer *peer = service->peers; peer != NULL; peer = next) {
        next = peer->next;
        if (!node_of(peer)->doomed)
            continue;
        log_warn("%s[%u] does not take its answers: closed", peer_names[peer->kind], peer->pid);
        service_close_peer(peer);
    }
}

static void free_dead(struct service *service) {
    while (service->dead != NULL) {
        struct peer_node *node = service->dead;
        service->dead = node->next_dead;
        free(node);
    }
}

/* What was in hand leaves holes between what stays: free, and yet ours, until nothing has come for a while. */
static void rest(void *context) {
    struct service *service = context;

    service->rest = NULL;
    if (service->asked)
        return; /* the end of this round sets it again */
    if (service->definition->rested != NULL)
        service->definition->rested(service->context);
    (void)malloc_trim(0);
}

/* A busy time has one timer a second; an idle one none. */
static void expect_rest(struct service *service) {
    if (service->rest != NULL || !service->asked)
        return;
    service->asked = false;
    service->rest = loop_after(service->loop, REST_AFTER_MS, rest, service);
}

static void end_round(void *context) {
    struct service *service = context;

    if (service->definition->after_round != NULL)
        service->definition->after_round(service->context);
    close_doomed(service);
    free_dead(service);
    expect_rest(service);
    if (service->hub->fd < 0 && service->peers == NULL && service->definition->hub_gone == NULL)
        loop_stop(service->loop);
}

/* ---- public ---- */

static struct service_peer *new_peer(struct service *service, int fd, enum peer_kind kind, uint32_t pid) {
    struct peer_node *node = memory_new(1, sizeof *node);
    struct service_peer *peer = &node->peer;

    *peer = (struct service_peer){.service = service, .kind = kind, .pid = pid, .fd = fd};
    if (fd < 0) /* a process without a hub */
        return peer;
    if (!file_set_nonblocking(fd, true))
        die_fatal(EXIT_STATUS_SYSTEM, "a channel cannot be made non-blocking");
    peer->watch = loop_watch(service->loop, fd, EPOLLIN, peer_ready, peer);
    return peer;
}

/* A service ends when the listener closes its hub, not by a ^C at the terminal that reaches the whole process group;
 * before exec, children have to set these back. */
static void ignore_signals(void) {
    static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        (void)sigaction(ignored[i], &ignore, NULL);
}

struct service *service_new(const struct service_definition *definition, int hub, void *context) {
    struct service *service = memory_new(1, sizeof *service);

    ignore_signals();
    service->definition = definition;
    service->context = context;
    service->loop = loop_new();
    service->hub = new_peer(service, hub, PEER_LISTENER, (uint32_t)getppid());
    return service;
}

struct loop *service_loop(struct service *service) {
    return service->loop;
}

struct service_peer *service_hub(struct service *service) {
    return service->hub;
}

struct service_peer *service_add_peer(struct service *service, int fd, enum peer_kind kind, uint32_t pid) {
    struct service_peer *peer = new_peer(service, fd, kind, pid);

    peer->next = service->peers;
    if (peer->next != NULL)
        peer->next->previous = peer;
    service->peers = peer;
    if (service->definition->peer_new != NULL)
        service->definition->peer_new(service->context, peer);
    return peer;
}

enum channel_result service_send(struct service_peer *peer, uint32_t kind, uint32_t serial, const void *values,
                                 int pass_fd) {
    if (peer->fd < 0)
        return CHANNEL_GONE;
    return channel_send(peer->fd, kind, serial, values, pass_fd);
}

/* A few messages of 64 KiB fill a channel, and the runner asks for dozens at once. It never waits for us, so it takes
 * them as soon as it gets its turn; closed, it would lose what agents deliver just now, which would come twice. Nobody
 * else is waited for: strangers may have taken over a receiver. */
static enum channel_result send_answer(struct service_peer *peer, uint32_t kind, uint32_t serial, const void *values,
                                       int pass_fd) {
    if (peer->kind != PEER_RUNNER || peer->fd < 0)
        return service_send(peer, kind, serial, values, pass_fd);
    return scratch_send(peer->fd, kind, serial, values, pass_fd, clock_deadline(RUNNER_PATIENCE_MS));
}

void service_answer(struct service_peer *peer, uint32_t kind, uint32_t serial, const void *values, int pass_fd) {
    enum channel_result result = send_answer(peer, kind, serial, values, pass_fd);

    if (result == CHANNEL_BAD)
        log_error("an answer %s to %s[%u] passes its bounds", kind_name(kind), peer_names[peer->kind], peer->pid);
    if (result != CHANNEL_OK && result != CHANNEL_GONE && peer->fd >= 0)
        doom_peer(peer);
}

_Noreturn void service_run(struct service *service) {
    const struct empty_message ready = {0};

    /* The channel may be full of what a start finds, such as thousands of lockouts; the listener reads it all. */
    if (service->hub->fd >= 0 &&
        scratch_send(service->hub->fd, HUB_READY, 0, &ready, -1, clock_deadline(READY_PATIENCE_MS)) != CHANNEL_OK)
        log_warn("the listener cannot be told that this process is ready");
    loop_run(service->loop, end_round, service);
    exit(EXIT_STATUS_OK);
}
