/* SPDX-License-Identifier: MIT
 * The nursery process, see nursery.h. Started by the listener as root (or as the caller, without root); drops
 * everything, enters the receivers' sandbox, and reads nothing but the listener's messages. What it cannot do is told
 * the listener, which closes a client or tries again. */
#include "nursery/nursery.h"
#include "base/clock.h"
#include "base/exit_status.h"
#include "base/file.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "config/confinement.h"
#include "ipc/channel.h"
#include "ipc/messages.h"
#include "ipc/whitelist.h"
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_BLOCK ((size_t)256 * 1024) /* no message that travels in a request needs a larger one */
#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

/* Whom receivers ask, and where a receiver finds its channel. */
static const struct {
    enum process_kind process;
    size_t place;
} asked[] = {
    {PROCESS_LEDGER, offsetof(struct process_start, ledger)},
    {PROCESS_LOOKUP, offsetof(struct process_start, lookup)},
    {PROCESS_RESOLVER, offsetof(struct process_start, resolver)},
    {PROCESS_SIGNER, offsetof(struct process_start, signer)},
    {PROCESS_CONNECTOR, offsetof(struct process_start, connector)},
};

/* Channels to the processes of each service, taken in turns. */
static struct {
    int channels[WORKERS_MAXIMUM];
    unsigned count, next;
} services[COUNT_OF(asked)];

static char storage[CHANNEL_MESSAGE_MAXIMUM];

static int *channel_of(struct process_start *start, size_t service) {
    return (int *)((char *)start + asked[service].place);
}

static void close_if_open(int fd) {
    if (fd >= 0)
        (void)close(fd);
}

struct birth {                  /* of one receiver */
    struct process_start start; /* the receiver's ends */
    int hub, ours[COUNT_OF(asked)];
};

static bool make_channels(struct birth *birth) {
    int ends[2];

    for (size_t i = 0; i < COUNT_OF(asked); i++) {
        if (services[i].count == 0)
            continue;
        if (!channel_pair(ends))
            return false;
        birth->ours[i] = ends[0];
        *channel_of(&birth->start, i) = ends[1];
    }
    if (!channel_pair(ends))
        return false;
    birth->hub = ends[0];
    birth->start.hub = ends[1];
    return true;
}

static bool introduce(const struct birth *birth, pid_t pid) {
    const struct hub_peer peer = {PEER_RECEIVER, (uint32_t)pid};

    for (size_t i = 0; i < COUNT_OF(asked); i++) {
        if (services[i].count == 0)
            continue;
        int channel = services[i].channels[services[i].next++ % services[i].count];
        if (channel_send(channel, HUB_PEER, 0, &peer, birth->ours[i]) != CHANNEL_OK) {
            log_warn("the %s takes no further askers now", process_names[asked[i].process]);
            return false;
        }
    }
    return true;
}

static void close_channels(struct birth *birth) {
    close_if_open(birth->hub);
    close_if_open(birth->start.hub);
    for (size_t i = 0; i < COUNT_OF(asked); i++) {
        close_if_open(birth->ours[i]);
        close_if_open(*channel_of(&birth->start, i));
    }
}

static _Noreturn void begin(const struct process_start *start) {
    const int keep[] = {start->hub,    start->ledger,    start->lookup,   start->resolver,
                        start->signer, start->connector, log_descriptor()};

    log_set_program(process_names[PROCESS_RECEIVER]);
    privilege_close_other_descriptors(keep, COUNT_OF(keep));
    process_mains[PROCESS_RECEIVER](start);
    die_panic("the receiver's entry point returned");
}

/* The listener counts on an answer for each receiver that it has asked for, and asks for no others as long as any is
 * due; so when one cannot be given, it shall have a new nursery and count anew. */
static void tell(int hub, const struct hub_born *born, int receiver) {
    enum channel_result result = channel_send(hub, HUB_BORN, 0, born, receiver);

    if (result == CHANNEL_AGAIN && receiver >= 0) /* the kernel passes no further descriptors now */
        result = channel_send(hub, HUB_BORN, 0, born, -1);
    if (result != CHANNEL_OK && result != CHANNEL_GONE)
        die_fatal(EXIT_STATUS_SYSTEM, "the listener cannot be told of a receiver");
}

/* A receiver whose hub nobody takes finds it closed, and ends. */
static void bear(const struct process_start *start) {
    struct birth birth = {.start = *start, .hub = -1, .ours = {-1, -1, -1, -1, -1}};
    struct hub_born born = {0};
    bool whole = false;

    birth.start.hub = -1;
    if (make_channels(&birth)) {
        pid_t pid = sandbox_fork_sibling();
        if (pid == 0)
            begin(&birth.start);
        whole = pid > 0 && introduce(&birth, pid);
        born.pid = pid > 0 ? (uint32_t)pid : 0;
    }
    if (born.pid == 0)
        log_error("a new receiver cannot be had: %s", strerror(errno));
    tell(start->hub, &born, whole ? birth.hub : -1);
    close_channels(&birth);
}

static void take_channel(const struct hub_channel *channel, struct channel_message *message) {
    for (size_t i = 0; i < COUNT_OF(asked); i++)
        if (asked[i].process == (enum process_kind)channel->process && message->fd >= 0 &&
            services[i].count < WORKERS_MAXIMUM && file_set_nonblocking(message->fd, true)) {
            services[i].channels[services[i].count++] = message->fd;
            message->fd = -1;
        }
}

static void take(const struct process_start *start, struct channel_message *message) {
    const struct empty_message pong = {0};

    switch (message->kind) {
    case HUB_CHANNEL:
        take_channel(&message->values->hub_channel, message);
        break;
    case HUB_FORK:
        for (uint32_t i = 0; i < message->values->hub_fork.count; i++)
            bear(start);
        break;
    default: /* HUB_PING */
        (void)channel_send(start->hub, HUB_PONG, 0, &pong, -1);
    }
    close_if_open(message->fd);
}

static void close_others(const struct process_start *start) {
    const int keep[] = {start->hub, log_descriptor()};

    privilege_close_other_descriptors(keep, COUNT_OF(keep));
}

_Noreturn void nursery_main(const struct process_start *start) {
    const struct empty_message ready = {0};
    union channel_values values;
    struct channel_message message;
    enum channel_result result;

    privilege_drop(&start->user, start->chroot);
    close_others(start);
    confinement_enter(CONFINED_RECEIVER, start->config, NULL);
    heap_keep_blocks(MESSAGE_BLOCK);
    heap_settle();
    if (channel_send(start->hub, HUB_READY, 0, &ready, -1) != CHANNEL_OK)
        sandbox_exit(EXIT_STATUS_OK);
    while ((result = channel_receive(start->hub, CLOCK_NEVER, storage, &values, &message)) == CHANNEL_OK) {
        if (!whitelist_allows(SERVICE_NURSERY, PEER_LISTENER, message.kind))
            break;
        take(start, &message);
    }
    if (result != CHANNEL_GONE)
        die_fatal(EXIT_STATUS_PROTOCOL, "the listener sent what it may not");
    sandbox_exit(EXIT_STATUS_OK);
}
