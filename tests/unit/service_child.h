/* SPDX-License-Identifier: MIT
 * For tests: runs the entry point of a service in a child, with a hub as the listener gives it one and a channel as a
 * receiver has it. As root the child drops to nobody, as a service would to its own user. */
#ifndef TESTS_SERVICE_CHILD_H
#define TESTS_SERVICE_CHILD_H
#include "base/clock.h"
#include "base/privilege.h"
#include "config/confinement.h"
#include "ipc/channel.h"
#include "ipc/messages.h"
#include "ipc/process.h"
#include "ipc/whitelist.h"
#include <sys/wait.h>
#include <unistd.h>

/* The leak checker needs /proc, which a chroot does not have. */
#ifdef __SANITIZE_ADDRESS__
#define SERVICE_CHILD_CHROOT(directory) NULL
#else
#define SERVICE_CHILD_CHROOT(directory) (directory)
#endif

struct service_child {
    pid_t pid;
    int hub, channel;
};

/* Asserts come from the test that includes this after cmocka.h. */
static inline void service_child_ready(const struct service_child *child) {
    static char storage[CHANNEL_MESSAGE_MAXIMUM];
    static union channel_values values;
    struct channel_message message;
    assert_int_equal(channel_receive(child->hub, clock_deadline(5000), storage, &values, &message), CHANNEL_OK);
    assert_int_equal(message.kind, HUB_READY);
}

static inline void service_child_start(struct service_child *child, process_main *entry, struct process_start start) {
    int hub[2], channel[2];
    const struct hub_peer peer = {.peer = PEER_RECEIVER, .pid = 1};
    assert_true(channel_pair(hub));
    assert_true(channel_pair(channel));
    confinement_prepare(true);
    child->pid = fork();
    assert_true(child->pid >= 0);
    if (child->pid == 0) {
        close(hub[0]);
        close(channel[0]);
        close(channel[1]);
        start.hub = hub[1];
        if (privilege_is_root()) {
            (void)privilege_find("nobody", "", &start.user);
        }
        entry(&start);
        _exit(99);
    }
    close(hub[1]);
    child->hub = hub[0];
    child->channel = channel[0];
    service_child_ready(child);
    assert_int_equal(channel_send(child->hub, HUB_PEER, 0, &peer, channel[1]), CHANNEL_OK);
    close(channel[1]);
}

/* Closes the hub and the channel, as a listener that ends; gives the exit status, or -signal. */
static inline int service_child_end(struct service_child *child) {
    int status = 0;
    close(child->channel);
    close(child->hub);
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}
#endif
