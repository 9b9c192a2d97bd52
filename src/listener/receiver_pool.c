/* SPDX-License-Identifier: MIT
 * The receivers: asked of the nursery ahead of need, handed clients, counted, replaced. A receiver that dies costs its
 * one client. Part of the listener; clients wait while there is none, and read 421 when there can be none (accept.c).
 */
#include "base/clock.h"
#include "base/log.h"
#include "listener/supervisor.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SPARE_MAXIMUM 32u    /* waiting ahead of need in a busy time, beyond receiver_spare */
#define BARREN_PAUSE_MS 1000 /* when there can be none: descriptors and processes come back when sessions end */

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

bool receivers_may_start(const struct supervisor *supervisor) {
    return supervisor->phase == PHASE_RUNNING && !supervisor->options.queue_run &&
           clock_now_ms() >= supervisor->receivers_not_before && services_are_ready(supervisor);
}

static size_t count_coming(const struct supervisor *supervisor) {
    return supervisor->receiver_count[RECEIVER_WAITING] + supervisor->unborn;
}

/* As many as are missing, within connection_limit. */
static void ask_for(struct supervisor *supervisor, size_t wanted) {
    size_t coming = count_coming(supervisor), all = supervisor->child_count[PROCESS_RECEIVER] + supervisor->unborn;
    size_t most = (size_t)(supervisor->config->connection_limit + supervisor->config->receiver_spare);
    size_t missing = wanted > coming ? wanted - coming : 0, room = most > all ? most - all : 0;
    if (missing > 0 && room > 0 && receivers_may_start(supervisor)) {
        nursery_ask(supervisor, missing < room ? missing : room);
    }
}

/* By half a pool at a time: the nursery wakes once for several. What is missing then comes with receivers_tick. */
void receivers_settle(struct supervisor *supervisor) {
    size_t wanted = wanted_spares(supervisor) + arrivals_waiting(supervisor);
    if (count_coming(supervisor) <= wanted / 2) {
        ask_for(supervisor, wanted);
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
    struct child *receiver;
    while ((receiver = find_waiting(supervisor)) != NULL) {
        if (child_send(receiver, HUB_CLIENT, client, fd)) {
            set_state(receiver, RECEIVER_ACTIVE);
            text_copy(receiver->contact, sizeof(receiver->contact), text_of(contact));
            return true;
        }
        child_retire(receiver); /* it has just died */
    }
    return false;
}

/* Who is killed by his pid must be a child of ours that was not waited for yet, and nobody whom we know as another; the
 * nursery, which says which it is, has fewer rights than we have. */
static bool is_new_child(const struct supervisor *supervisor, pid_t pid) {
    siginfo_t unused;
    return pid > 0 && child_find(supervisor, pid) == NULL && !guard_is(supervisor->guard, pid) &&
           waitid(P_PID, (id_t)pid, &unused, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* Where those who wait hold all of them, the hub of no receiver can be taken, and none would ever come. */
static bool has_descriptor_left(void) {
    int fd = fcntl(log_descriptor(), F_DUPFD_CLOEXEC, 0);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

void receiver_born(struct supervisor *supervisor, pid_t pid, int hub) {
    supervisor->unborn -= supervisor->unborn > 0;
    if (hub >= 0 && !is_new_child(supervisor, pid)) {
        close(hub);
        hub = -1;
    }
    if (hub >= 0) {
        struct child *receiver = child_add(supervisor, PROCESS_RECEIVER, pid, hub);
        supervisor->receiver_count[RECEIVER_NONE]++;
        set_state(receiver, RECEIVER_WAITING);
        return;
    }
    supervisor->receivers_not_before = clock_deadline(BARREN_PAUSE_MS);
    /* One that was forked and could not be introduced (a service has just died, or has no room) comes again. */
    if ((pid == 0 || !has_descriptor_left()) && supervisor->unborn == 0 &&
        supervisor->receiver_count[RECEIVER_WAITING] == 0) {
        log_error("no receiver could be started");
        arrivals_refuse(supervisor);
    }
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
        bool local = strncmp(receiver->contact, "unix:", 5) == 0; /* the ledger does not tell users apart */
        const struct hub_receiver_died died = {local ? TEXT("unix") : text_of(receiver->contact),
                                               (uint32_t)WTERMSIG(wait_status)};
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
    service_vacate(supervisor, SLOT_NURSERY);
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
    size_t wanted = wanted_spares(supervisor);
    if (supervisor->receiver_count[RECEIVER_WAITING] > wanted) {
        child_retire(find_waiting(supervisor));
    }
    ask_for(supervisor, wanted);
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
