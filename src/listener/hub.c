/* SPDX-License-Identifier: MIT
 * What children report to the listener. Children run with fewer rights than this process, so each message is looked up
 * in the whitelist first; a child that says anything else is killed and replaced. */
#include "base/log.h"
#include "listener/supervisor.h"
#include <string.h>
#include <unistd.h>

#define ROUND_MAXIMUM 64 /* messages from one child before the others get their turn */

typedef void hub_handler(struct child *child, struct channel_message *message);

static void on_ready(struct child *child, struct channel_message *message) {
    (void)message;
    if (child->kind == PROCESS_RECEIVER) {
        receiver_is_ready(child);
        return;
    }
    child->ready = true;
    child->asked_at = 0;
    log_debug("%s[%ld] is ready", process_names[child->kind], (long)child->pid);
}

static void on_pong(struct child *child, struct channel_message *message) {
    (void)message;
    child->asked_at = 0;
}

static void on_locked(struct child *child, struct channel_message *message) {
    const struct hub_contact *contact = &message->values->hub_contact;
    if (!lockout_set_put(child->supervisor->lockouts, contact->contact, contact->began, contact->until)) {
        log_warn("the listener's list of locked-out contacts is full: receivers turn %.*s away",
                 TEXT_ARGS(contact->contact));
    }
}

static void on_unlocked(struct child *child, struct channel_message *message) {
    lockout_set_remove(child->supervisor->lockouts, message->values->hub_contact.contact);
}

static void on_lock_began(struct child *child, struct channel_message *message) {
    const struct supervisor *supervisor = child->supervisor;
    guard_run(supervisor->guard, supervisor->config->lock_command, message->values->hub_contact.contact);
}

static void on_lock_ended(struct child *child, struct channel_message *message) {
    const struct supervisor *supervisor = child->supervisor;
    guard_run(supervisor->guard, supervisor->config->unlock_command, message->values->hub_contact.contact);
}

void hub_unlocked(void *context, const char *command, struct text contact) {
    struct supervisor *supervisor = context;
    struct child *ledger = supervisor->slots[SLOT_LEDGER].child;
    const struct hub_contact message = {.contact = contact};
    if (ledger != NULL && ledger->ready && strcmp(command, supervisor->config->unlock_command) == 0) {
        (void)child_send(ledger, HUB_LOCK_ENDED, &message, -1); /* one that is lost is run again at the next start */
    }
}

static void on_agent_wanted(struct child *child, struct channel_message *message) {
    agent_wanted(child, &message->values->hub_agent);
}

static void on_born(struct child *child, struct channel_message *message) {
    receiver_born(child->supervisor, (pid_t)message->values->hub_born.pid, message->fd);
    message->fd = -1;
}

/* The run is over; its exit status comes when it is reaped. */
static void on_finished(struct child *child, struct channel_message *message) {
    (void)message;
    child_retire(child);
}

static const struct {
    uint32_t kind;
    hub_handler *handle;
} rows[] = {
    {HUB_READY, on_ready},
    {HUB_LOCKED, on_locked},
    {HUB_UNLOCKED, on_unlocked},
    {HUB_LOCK_BEGAN, on_lock_began},
    {HUB_LOCK_ENDED, on_lock_ended},
    {HUB_AGENT_WANTED, on_agent_wanted},
    {HUB_FINISHED, on_finished},
    {HUB_PONG, on_pong},
    {HUB_BORN, on_born},
};

static enum peer_kind peer_of(enum process_kind kind) {
    static const enum peer_kind peers[PROCESS_KINDS] = {
        [PROCESS_LEDGER] = PEER_LEDGER,  [PROCESS_LOOKUP] = PEER_SERVICE,    [PROCESS_RESOLVER] = PEER_SERVICE,
        [PROCESS_SIGNER] = PEER_SERVICE, [PROCESS_RUNNER] = PEER_RUNNER,     [PROCESS_RECEIVER] = PEER_RECEIVER,
        [PROCESS_AGENT] = PEER_AGENT,    [PROCESS_CONNECTOR] = PEER_SERVICE, [PROCESS_NURSERY] = PEER_NURSERY,
    };
    return peers[kind];
}

static bool dispatch(struct child *child, struct channel_message *message) {
    if (!whitelist_allows(SERVICE_LISTENER, peer_of(child->kind), message->kind)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].kind == message->kind) {
            rows[i].handle(child, message);
            return true;
        }
    }
    return false;
}

void hub_ready(void *context, int fd, uint32_t events) {
    static char storage[CHANNEL_MESSAGE_MAXIMUM];
    static union channel_values values;
    struct child *child = context;
    (void)fd;
    (void)events;
    for (int i = 0; i < ROUND_MAXIMUM && child->hub >= 0; i++) {
        struct channel_message message = {.fd = -1};
        enum channel_result result = channel_receive(child->hub, 0, storage, &values, &message);
        if (result == CHANNEL_AGAIN) {
            return;
        }
        bool allowed = result == CHANNEL_OK && dispatch(child, &message);
        if (message.fd >= 0) {
            close(message.fd);
        }
        if (result == CHANNEL_GONE) {
            if (slot_of(child->supervisor, child) != NULL && !child->retired) {
                child_kill(child); /* no use without its hub; most likely it is ending already */
            }
            child_close_hub(child); /* SIGCHLD tells how it ended */
        } else if (!allowed) {
            log_error("%s[%ld] sent the listener what it may not: killed", process_names[child->kind],
                      (long)child->pid);
            child_kill(child);
            child_retire(child);
        }
    }
}
