/* SPDX-License-Identifier: MIT
 * The services' places: what is missing is started as soon as what it needs is there, a dead one is replaced together
 * with those who cannot go on without it (src/README.md, "How a process starts"). Called after every round of the
 * listener's loop. */
#include "base/clock.h"
#include "base/log.h"
#include "listener/supervisor.h"
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define PATIENCE 5 /* ledger and runner get so many times the others' service_timeout */

enum process_kind slot_kind(size_t place) {
    static const enum process_kind kinds[SLOT_SIGNER] = {
        [SLOT_LEDGER] = PROCESS_LEDGER,       [SLOT_RESOLVER] = PROCESS_RESOLVER, [SLOT_RUNNER] = PROCESS_RUNNER,
        [SLOT_CONNECTOR] = PROCESS_CONNECTOR, [SLOT_NURSERY] = PROCESS_NURSERY,
    };
    return place < SLOT_SIGNER ? kinds[place] : place < SLOT_LOOKUP ? PROCESS_SIGNER : PROCESS_LOOKUP;
}

struct slot *slot_of(struct supervisor *supervisor, const struct child *child) {
    for (size_t i = 0; i < SLOTS; i++) {
        if (supervisor->slots[i].child == child) {
            return &supervisor->slots[i];
        }
    }
    return NULL;
}

/* A slow disk holds up the ledger, and the runner waits for it; ended too early, they lose their caches for nothing. */
static int64_t patience(const struct supervisor *supervisor, enum process_kind kind) {
    int64_t limit = supervisor->config->service_timeout * 1000;
    return kind == PROCESS_LEDGER || kind == PROCESS_RUNNER ? PATIENCE * limit : limit;
}

static bool is_ready(const struct supervisor *supervisor, size_t place) {
    const struct child *child = supervisor->slots[place].child;
    return child != NULL && child->ready && child->hub >= 0;
}

/* A run of the queue alone, and a server that asks nobody outside, go on without some; pools have as many as they have.
 */
static bool is_wanted(const struct supervisor *supervisor, size_t place) {
    switch (slot_kind(place)) {
    case PROCESS_LEDGER:
    case PROCESS_RESOLVER:
    case PROCESS_RUNNER:
        return true;
    case PROCESS_NURSERY:
        return !supervisor->options.queue_run;
    case PROCESS_CONNECTOR:
        return !supervisor->options.queue_run && config_has_outside(supervisor->config, false);
    case PROCESS_SIGNER:
        return !supervisor->options.queue_run && place - SLOT_SIGNER < supervisor->signers;
    default:
        return !supervisor->options.queue_run && place - SLOT_LOOKUP < supervisor->lookups;
    }
}

bool slot_is_asked(size_t place) {
    return place != SLOT_RUNNER && place != SLOT_NURSERY;
}

static bool are_there_to_be_asked(const struct supervisor *supervisor) {
    for (size_t i = 0; i < SLOTS; i++) {
        if (slot_is_asked(i) && is_wanted(supervisor, i) && !is_ready(supervisor, i)) {
            return false;
        }
    }
    return true;
}

bool services_are_ready(const struct supervisor *supervisor) {
    return are_there_to_be_asked(supervisor) &&
           (is_ready(supervisor, SLOT_NURSERY) || !is_wanted(supervisor, SLOT_NURSERY));
}

bool service_give_peer(struct child *service, enum peer_kind peer, pid_t pid, int *channel) {
    const struct hub_peer asker = {.peer = peer, .pid = (uint32_t)pid};
    bool given = child_send(service, HUB_PEER, &asker, *channel);
    close(*channel);
    *channel = -1;
    return given;
}

static bool runner_may_start(struct supervisor *supervisor) {
    bool resident = supervisor->config->runner == RUNNER_RESIDENT && !supervisor->options.queue_run;
    bool wanted = resident || supervisor->options.queue_run || supervisor->cron_wanted;
    return wanted && is_ready(supervisor, SLOT_LEDGER) && is_ready(supervisor, SLOT_RESOLVER) &&
           agents_are_gone(supervisor);
}

/* What the service at this place needs is there. */
static bool may_start(struct supervisor *supervisor, size_t place) {
    switch (slot_kind(place)) {
    case PROCESS_LEDGER:
        return supervisor->child_count[PROCESS_LEDGER] == 0; /* one writer */
    case PROCESS_RUNNER:
        return runner_may_start(supervisor);
    case PROCESS_NURSERY:
        return are_there_to_be_asked(supervisor);
    case PROCESS_RESOLVER:
        return is_ready(supervisor, SLOT_LEDGER);
    case PROCESS_CONNECTOR:
        return is_ready(supervisor, SLOT_RESOLVER);
    default:
        return is_ready(supervisor, SLOT_LEDGER);
    }
}

static struct child *start_runner(struct supervisor *supervisor, struct process_start *start) {
    int ends[2];
    if (!channel_pair(ends)) {
        log_error("no channel for the runner: %s", strerror(errno));
        return NULL;
    }
    start->ledger = ends[1];
    start->control = supervisor->runner_socket;
    start->cron = supervisor->options.queue_run || supervisor->config->runner == RUNNER_CRON;
    start->arguments = supervisor->options.mail_ids;
    struct child *child = child_fork(supervisor, PROCESS_RUNNER, start);
    close(ends[1]);
    supervisor->cron_wanted = false;
    if (child == NULL) {
        close(ends[0]);
        return NULL;
    }
    if (!service_give_peer(supervisor->slots[SLOT_LEDGER].child, PEER_RUNNER, child->pid, &ends[0])) {
        log_error("the ledger does not take the runner's channel");
        child_kill(child);
    }
    return child;
}

/* It asks the resolver for names in the configuration. */
static struct child *start_connector(struct supervisor *supervisor, struct process_start *start) {
    int ends[2];
    if (!channel_pair(ends)) {
        log_error("no channel for the connector: %s", strerror(errno));
        return NULL;
    }
    start->resolver = ends[1];
    struct child *child = child_fork(supervisor, PROCESS_CONNECTOR, start);
    close(ends[1]);
    if (child == NULL) {
        close(ends[0]);
    } else if (!service_give_peer(supervisor->slots[SLOT_RESOLVER].child, PEER_SERVICE, child->pid, &ends[0])) {
        log_warn("the resolver takes no further askers now");
    }
    return child;
}

static struct child *start_service(struct supervisor *supervisor, size_t place) {
    enum process_kind kind = slot_kind(place);
    struct process_start start = child_start(supervisor, kind);
    if (kind == PROCESS_RUNNER) {
        return start_runner(supervisor, &start);
    }
    if (kind == PROCESS_CONNECTOR) {
        return start_connector(supervisor, &start);
    }
    if (kind == PROCESS_NURSERY) {
        return nursery_start(supervisor, &start);
    }
    if (kind == PROCESS_LEDGER) {
        start.lock = supervisor->lock;
        start.control = supervisor->ledger_socket;
    }
    return child_fork(supervisor, kind, &start);
}

void services_settle(struct supervisor *supervisor) {
    int64_t now = clock_now_ms();
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *slot = &supervisor->slots[i];
        if (slot->child != NULL || now < slot->not_before || !is_wanted(supervisor, i) || !may_start(supervisor, i)) {
            continue;
        }
        slot->child = start_service(supervisor, i);
        if (slot->child == NULL) {
            slot->not_before = restart_after_death(&slot->history, now);
        }
    }
}

void service_vacate(struct supervisor *supervisor, size_t place) {
    struct slot *slot = &supervisor->slots[place];
    if (slot->child != NULL) {
        child_retire(slot->child);
        slot->child = NULL;
    }
}

void service_ended(struct supervisor *supervisor, struct slot *slot, const char *how) {
    size_t place = (size_t)(slot - supervisor->slots);
    const struct child *child = slot->child;
    bool finished = place == SLOT_RUNNER && child->retired; /* it said HUB_FINISHED */
    slot->child = NULL;
    if (supervisor->phase == PHASE_STOPPING) {
        return;
    }
    if (place == SLOT_RUNNER && supervisor->options.queue_run) {
        stop_begin(supervisor);
        return;
    }
    if (finished && supervisor->config->runner == RUNNER_CRON) {
        return;
    }
    int64_t now = clock_now_ms();
    slot->not_before = restart_after_death(&slot->history, now);
    log_error("%s[%ld] ended with %s; it is started again in %lld ms", process_names[child->kind], (long)child->pid,
              how, (long long)(slot->not_before - now));
    if (place == SLOT_LEDGER) {
        service_vacate(supervisor, SLOT_RUNNER);
    }
    if (place == SLOT_RESOLVER) {
        service_vacate(supervisor, SLOT_CONNECTOR); /* it asks this one; its sessions keep it to their end */
    }
    if (slot_is_asked(place)) {
        receivers_replace(supervisor);
    }
}

/* What it said is read first: the listener itself may have been held up. */
static bool hangs(struct child *child, int64_t limit) {
    if (clock_now_ms() - child->asked_at < limit) {
        return false;
    }
    hub_ready(child, child->hub, EPOLLIN);
    return child->asked_at != 0 && child->hub >= 0;
}

#define BIT(kind) (1u << (kind))
#define RECEIVERS (BIT(PROCESS_RECEIVER) | BIT(PROCESS_NURSERY))

/* Whether somebody lives who was given a channel to this one: whom it serves to the end. */
static bool has_asker(const struct supervisor *supervisor, const struct child *service) {
    static const unsigned askers[PROCESS_KINDS] = {
        [PROCESS_LOOKUP] = RECEIVERS,
        [PROCESS_SIGNER] = RECEIVERS,
        [PROCESS_CONNECTOR] = RECEIVERS,
        [PROCESS_RESOLVER] = RECEIVERS | BIT(PROCESS_CONNECTOR) | BIT(PROCESS_AGENT),
        [PROCESS_RUNNER] = BIT(PROCESS_AGENT),
    };
    for (const struct child *child = supervisor->children; child != NULL; child = child->next) {
        if ((askers[service->kind] & BIT(child->kind)) != 0 && child->began >= service->began &&
            child->began <= service->closed) {
            return true;
        }
    }
    return false;
}

/* Told to end, and free to do so. A receiver with a client is not, and agents are up to the runner (agent_pool.c). */
static bool should_end(const struct supervisor *supervisor, const struct child *child) {
    switch (child->kind) {
    case PROCESS_RECEIVER:
        return child->state != RECEIVER_ACTIVE;
    case PROCESS_AGENT:
        return false;
    default:
        return !has_asker(supervisor, child);
    }
}

static void endings_watch(struct supervisor *supervisor) {
    int64_t now = clock_now_ms();
    for (struct child *child = supervisor->ending; child != NULL; child = child->next_ending) {
        if (!should_end(supervisor, child)) {
            continue;
        }
        if (child->asked_at == 0) {
            child->asked_at = now;
        }
        if (now - child->asked_at >= patience(supervisor, child->kind)) {
            log_error("%s[%ld] was told to end and has not done so for %lld s: killed", process_names[child->kind],
                      (long)child->pid, (long long)(now - child->asked_at) / 1000);
            child_kill(child);
            child->asked_at = now; /* the next such line after another while */
        }
    }
}

/* A start takes as long as what it reads; the ledger's may be a journal of any length. */
static int64_t reaction_limit(const struct supervisor *supervisor, const struct child *child) {
    if (!child->ready) {
        return child->kind == PROCESS_LEDGER ? INT64_MAX : PATIENCE * supervisor->config->service_timeout * 1000;
    }
    return patience(supervisor, child->kind);
}

static void watch_service(struct supervisor *supervisor, struct child *child) {
    const struct empty_message ping = {0};
    if (child->asked_at == 0) {
        child->asked_at = clock_now_ms();
    }
    if (child->ready) {
        (void)child_send(child, HUB_PING, &ping, -1); /* again and again: one that a full channel drops costs nothing */
    }
    if (hangs(child, reaction_limit(supervisor, child))) {
        log_error("%s[%ld] has not %s for %lld s: killed", process_names[child->kind], (long)child->pid,
                  child->ready ? "reacted" : "become ready", (long long)(clock_now_ms() - child->asked_at) / 1000);
        child_kill(child);
    }
}

void services_watch(struct supervisor *supervisor) {
    endings_watch(supervisor);
    for (size_t i = 0; i < SLOTS; i++) {
        struct child *child = supervisor->slots[i].child;
        if (child != NULL && child->hub >= 0) {
            watch_service(supervisor, child);
        }
    }
}

/* Unless it is said, as many as there are processors, but no more than four. */
static size_t workers(long configured, size_t maximum) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    size_t wanted = configured > 0 ? (size_t)configured : processors < 1 ? 1 : processors > 4 ? 4 : (size_t)processors;
    return wanted < maximum ? wanted : maximum;
}

void services_renew(struct supervisor *supervisor) {
    for (size_t i = 0; i < SLOTS; i++) {
        if (i != SLOT_LEDGER && i != SLOT_RUNNER) {
            service_vacate(supervisor, i);
            supervisor->slots[i].not_before = 0;
        }
    }
    supervisor->lookups = workers(supervisor->config->lookup_workers, WORKERS_MAXIMUM);
    supervisor->signers = workers(supervisor->config->signer_workers, WORKERS_MAXIMUM);
}

static void operator_waits(void *context, int fd, uint32_t events) {
    struct supervisor *supervisor = context;
    (void)fd;
    (void)events;
    supervisor->cron_wanted = true; /* the runner itself accepts and answers */
}

void cron_settle(struct supervisor *supervisor) {
    bool watch = supervisor->config->runner == RUNNER_CRON && !supervisor->options.queue_run &&
                 supervisor->slots[SLOT_RUNNER].child == NULL && !supervisor->cron_wanted;
    if (watch && supervisor->runner_socket_watch == NULL) {
        supervisor->runner_socket_watch =
            loop_watch(supervisor->loop, supervisor->runner_socket, EPOLLIN, operator_waits, supervisor);
    } else if (!watch && supervisor->runner_socket_watch != NULL) {
        loop_unwatch(supervisor->runner_socket_watch);
        supervisor->runner_socket_watch = NULL;
    }
}
