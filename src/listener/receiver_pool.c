/* SPDX-License-Identifier: MIT
 * The receivers: forked ahead of need, handed clients, counted, replaced. A receiver that dies costs its one client.
 * Part of the listener; when no receiver can be forked the client reads 421 (accept.c). */
#include "base/clock.h"
#include "base/log.h"
#include "listener/supervisor.h"
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FORKS_A_ROUND 8   /* so that accepting goes on while the pool fills */
#define SPARE_MAXIMUM 32u /* waiting ahead of need in a busy time, beyond receiver_spare */
#define CHANNELS 5

/* The only way to change a receiver's state: the counts follow. */
static void set_state(struct child *receiver, enum receiver_state state) {
    struct supervisor *supervisor = receiver->supervisor;
    supervisor->receiver_count[receiver->state]--;
    receiver->state = state;
    supervisor->receiver_count[state]++;
}

static size_t wanted_spares(const struct supervisor *supervisor) {
    unsigned busy =
        supervisor->arrivals > supervisor->arrivals_before ? supervisor->arrivals : supervisor->arrivals_before;
    return (size_t)supervisor->config->receiver_spare + (busy < SPARE_MAXIMUM ? busy / 2 : SPARE_MAXIMUM / 2);
}

/* Who is asked over which channel; the receiver's ends go into start, ours into ours[]. */
static bool make_channels(struct child *const services[CHANNELS], struct process_start *start, int ours[CHANNELS]) {
    int *const theirs[CHANNELS] = {&start->ledger, &start->lookup, &start->resolver, &start->signer, &start->connector};
    for (size_t i = 0; i < CHANNELS; i++) {
        int ends[2];
        if (services[i] != NULL && !channel_pair(ends)) {
            log_error("no channels for a receiver: %s", strerror(errno));
            return false;
        }
        if (services[i] != NULL) {
            ours[i] = ends[0];
            *theirs[i] = ends[1];
        }
    }
    return true;
}

static void close_if_open(int *fd) {
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

static struct child *next_lookup(struct supervisor *supervisor) {
    return supervisor->slots[SLOT_LOOKUP + supervisor->next_lookup++ % supervisor->lookups].child;
}

static struct child *next_signer(struct supervisor *supervisor) {
    return supervisor->slots[SLOT_SIGNER + supervisor->next_signer++ % supervisor->signers].child;
}

static bool give_channels(struct child *const services[CHANNELS], pid_t pid, int ours[CHANNELS]) {
    bool given = true;
    for (size_t i = 0; i < CHANNELS && given; i++) {
        given = services[i] == NULL || service_give_peer(services[i], PEER_RECEIVER, pid, &ours[i]);
        if (!given) {
            log_warn("%s[%ld] takes no further askers now", process_names[services[i]->kind], (long)services[i]->pid);
        }
    }
    return given;
}

/* A receiver that may be given a client; NULL when there cannot be one now. */
static struct child *fork_receiver(struct supervisor *supervisor) {
    struct process_start start = child_start(supervisor, PROCESS_RECEIVER);
    int ours[CHANNELS] = {-1, -1, -1, -1, -1};
    struct child *receiver = NULL;
    struct child *const services[CHANNELS] = {
        supervisor->slots[SLOT_LEDGER].child,    next_lookup(supervisor),
        supervisor->slots[SLOT_RESOLVER].child,  next_signer(supervisor),
        supervisor->slots[SLOT_CONNECTOR].child,
    };
    start.tls = supervisor->tls;
    if (services_are_ready(supervisor) && make_channels(services, &start, ours)) {
        receiver = child_fork(supervisor, PROCESS_RECEIVER, &start);
    }
    close_if_open(&start.ledger);
    close_if_open(&start.lookup);
    close_if_open(&start.resolver);
    close_if_open(&start.signer);
    close_if_open(&start.connector);
    if (receiver != NULL) {
        supervisor->receiver_count[RECEIVER_NONE]++;
        set_state(receiver, RECEIVER_WAITING);
        if (!give_channels(services, receiver->pid, ours)) {
            child_retire(receiver);
            receiver = NULL;
        }
    }
    for (size_t i = 0; i < CHANNELS; i++) {
        close_if_open(&ours[i]);
    }
    return receiver;
}

bool receivers_may_start(const struct supervisor *supervisor) {
    return supervisor->phase == PHASE_RUNNING && !supervisor->options.queue_run &&
           clock_now_ms() >= supervisor->receivers_not_before && services_are_ready(supervisor);
}

void receivers_settle(struct supervisor *supervisor) {
    if (!receivers_may_start(supervisor)) {
        return;
    }
    size_t most = (size_t)(supervisor->config->connection_limit + supervisor->config->receiver_spare);
    for (int i = 0; i < FORKS_A_ROUND; i++) {
        if (supervisor->receiver_count[RECEIVER_WAITING] >= wanted_spares(supervisor) ||
            supervisor->child_count[PROCESS_RECEIVER] >= most || fork_receiver(supervisor) == NULL) {
            return;
        }
    }
}

static bool may_have_client(const struct child *child) {
    return child->kind == PROCESS_RECEIVER && child->state == RECEIVER_WAITING;
}

/* The oldest: it has finished its start. One that is still at it finds the client in its channel. */
static struct child *find_waiting(const struct supervisor *supervisor) {
    struct child *oldest = NULL;
    size_t left = supervisor->receiver_count[RECEIVER_WAITING]; /* new ones are put in front of thousands that serve */
    for (struct child *child = supervisor->children; child != NULL && left > 0; child = child->next) {
        if (may_have_client(child)) {
            oldest = child;
            left--;
        }
    }
    return oldest;
}

bool receiver_give(struct supervisor *supervisor, const char *contact, const struct hub_client *client, int fd) {
    for (int attempt = 0; attempt < 3; attempt++) {
        struct child *receiver = find_waiting(supervisor);
        if (receiver == NULL) {
            receiver = fork_receiver(supervisor);
        }
        if (receiver == NULL) {
            return false;
        }
        if (child_send(receiver, HUB_CLIENT, client, fd)) {
            set_state(receiver, RECEIVER_ACTIVE);
            text_copy(receiver->contact, sizeof(receiver->contact), text_of(contact));
            return true;
        }
        child_retire(receiver); /* it has just died */
    }
    return false;
}

void receiver_is_ready(struct child *receiver) {
    if (receiver->state != RECEIVER_ACTIVE) {
        return; /* it waits anyway */
    }
    set_state(receiver, RECEIVER_WAITING);
    receiver->contact[0] = '\0';
    if (receiver->outdated) {
        child_retire(receiver);
    }
}

void receiver_retired(struct child *receiver) {
    if (receiver->state == RECEIVER_WAITING) {
        set_state(receiver, RECEIVER_NONE);
    }
}

void receiver_ended(struct child *receiver, int wait_status, const char *how) {
    struct supervisor *supervisor = receiver->supervisor;
    bool served = receiver->state == RECEIVER_ACTIVE;
    if (WIFSIGNALED(wait_status) && served) {
        const struct hub_receiver_died died = {text_of(receiver->contact), (uint32_t)WTERMSIG(wait_status)};
        struct child *ledger = supervisor->slots[SLOT_LEDGER].child;
        log_warn("receiver[%ld] with a client from %s ended with %s", (long)receiver->pid, receiver->contact, how);
        if (ledger != NULL && supervisor->phase != PHASE_STOPPING) {
            (void)child_send(ledger, HUB_RECEIVER_DIED, &died, -1);
        }
    } else if (wait_status != 0 && !receiver->retired) {
        log_warn("receiver[%ld] ended with %s", (long)receiver->pid, how);
        if (!served) {
            supervisor->receivers_not_before = restart_after_death(&supervisor->receiver_history, clock_now_ms());
        }
    }
    set_state(receiver, RECEIVER_NONE);
    supervisor->receiver_count[RECEIVER_NONE]--;
}

void receivers_replace(struct supervisor *supervisor) {
    for (struct child *child = supervisor->children; child != NULL; child = child->next) {
        if (child->kind == PROCESS_RECEIVER) {
            child->outdated = true;
        }
        if (may_have_client(child)) {
            child_retire(child);
        }
    }
}

void receivers_tick(struct supervisor *supervisor) {
    if (supervisor->receiver_count[RECEIVER_WAITING] > wanted_spares(supervisor)) {
        child_retire(find_waiting(supervisor));
    }
    supervisor->arrivals_before = supervisor->arrivals;
    supervisor->arrivals = 0;
}

size_t receivers_of_contact(const struct supervisor *supervisor, const char *contact) {
    size_t count = 0;
    for (const struct child *child = supervisor->children; child != NULL; child = child->next) {
        count += child->state == RECEIVER_ACTIVE && strcmp(child->contact, contact) == 0;
    }
    return count;
}
