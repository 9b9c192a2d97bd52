/* SPDX-License-Identifier: MIT
 * Forking, telling and reaping the listener's children. The child side resets signals, closes everything that is not
 * its own and calls the process's entry point, which drops privileges first. A fork that fails is logged and tried
 * again by whoever wanted it. */
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/pool.h"
#include "listener/supervisor.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUNNING_MAXIMUM 8 /* closed their hubs and run on: so many are asked for in one round */

static struct pool children = POOL(struct child);

struct process_start child_start(const struct supervisor *supervisor, enum process_kind kind) {
    const struct privilege_user users[PROCESS_KINDS] = {
        [PROCESS_LEDGER] = supervisor->users.spool,     [PROCESS_LOOKUP] = supervisor->users.lookup,
        [PROCESS_RESOLVER] = supervisor->users.network, [PROCESS_SIGNER] = supervisor->users.key,
        [PROCESS_RUNNER] = supervisor->users.spool,     [PROCESS_NURSERY] = supervisor->users.network,
        [PROCESS_AGENT] = supervisor->users.network,    [PROCESS_CONNECTOR] = supervisor->users.outside,
    };
    static const bool has_chroot[PROCESS_KINDS] = {
        [PROCESS_RESOLVER] = true, [PROCESS_SIGNER] = true, [PROCESS_NURSERY] = true};
    const char *directory = supervisor->config->chroot_directory;
    struct process_start start = {
        PROCESS_WITHOUT_DESCRIPTORS,
        .config = supervisor->config,
        .rules = &supervisor->rules,
        .tls = kind == PROCESS_NURSERY ? supervisor->tls : NULL,
        .user = users[kind],
        .chroot = has_chroot[kind] && privilege_is_root() && directory[0] != '\0' ? directory : NULL,
    };
    start.keys = kind == PROCESS_SIGNER ? supervisor->keys : -1;
    return start;
}

/* Signals that a terminal or service manager sends to all are the listener's to act on; a channel that closes is how a
 * child learns that it shall end. */
static void reset_signals(void) {
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGPIPE};
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;
    sigaction(SIGCHLD, &action, NULL);
    action.sa_handler = SIG_IGN;
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
        sigaction(ignored[i], &action, NULL);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The child's side: what it must not hold is closed before its own code runs. */
static _Noreturn void run_child(struct supervisor *supervisor, enum process_kind kind, struct process_start *start) {
    const int own[] = {start->hub, start->ledger,  start->lookup, start->resolver, start->signer,   start->connector,
                       start->job, start->control, start->lock,   start->keys,     log_descriptor()};
    int keep[sizeof(own) / sizeof(own[0])];
    size_t count = 0;
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (own[i] >= 0) {
            keep[count++] = own[i];
        }
    }
    log_set_program(process_names[kind]);
    /* No loop_forget: it would free, and so write to, memory that all children share until somebody does. Its
     * descriptors are closed here with all others. */
    privilege_close_other_descriptors(keep, count);
    reset_signals();
    if (supervisor->start_report >= 0) {
        start_detach(); /* what a daemon's services hold of its starter's pipes would never see their end */
    }
    if (kind != PROCESS_NURSERY && supervisor->tls != NULL) {
        tls_server_free(supervisor->tls); /* the keys of tickets are only for those who use them */
        supervisor->tls = NULL;
    }
    process_mains[kind](start);
    die_panic("the %s's entry point returned", process_names[kind]);
}

struct child *child_add(struct supervisor *supervisor, enum process_kind kind, pid_t pid, int hub) {
    struct child *child = pool_take(&children);
    file_set_nonblocking(hub, true);
    child->supervisor = supervisor;
    child->kind = kind;
    child->pid = pid;
    child->hub = hub;
    child->began = clock_now_ms();
    child->watch = loop_watch(supervisor->loop, hub, EPOLLIN, hub_ready, child);
    child->next = supervisor->children;
    supervisor->children = child;
    supervisor->child_count[kind]++;
    log_debug("%s[%ld] started", process_names[kind], (long)pid);
    return child;
}

struct child *child_fork(struct supervisor *supervisor, enum process_kind kind, struct process_start *start) {
    int ends[2];
    if (!channel_pair(ends)) {
        log_error("no channel for a new %s: %s", process_names[kind], strerror(errno));
        return NULL;
    }
    start->hub = ends[1];
    pid_t pid = fork();
    if (pid == 0) {
        run_child(supervisor, kind, start);
    }
    if (pid < 0) {
        log_error("a new %s cannot be forked: %s", process_names[kind], strerror(errno));
        close(ends[0]);
    }
    close(ends[1]);
    start->hub = -1;
    if (pid < 0) {
        return NULL;
    }
    return child_add(supervisor, kind, pid, ends[0]);
}

void child_retire(struct child *child) {
    child->retired = true;
    child_close_hub(child);
}

static void await_end(struct child *child) {
    struct child **last = &child->supervisor->ending;
    while (*last != NULL) {
        last = &(*last)->next_ending;
    }
    *last = child;
}

void child_close_hub(struct child *child) {
    if (child->hub < 0) {
        return;
    }
    loop_unwatch(child->watch);
    child->watch = NULL;
    close(child->hub);
    child->hub = -1;
    child->asked_at = 0;
    child->closed = clock_now_ms();
    if (child->kind == PROCESS_RECEIVER) {
        receiver_retired(child);
    }
    if (!child->reaped) {
        child->next_ending = child->supervisor->ending; /* before those that run on with their hubs closed */
        child->supervisor->ending = child;
    }
}

void child_kill(struct child *child) {
    if (!child->reaped && kill(child->pid, SIGKILL) != 0) {
        log_error("%s[%ld] cannot be killed: %s", process_names[child->kind], (long)child->pid, strerror(errno));
    }
}

bool child_send(struct child *child, uint32_t kind, const void *values, int pass_fd) {
    return child->hub >= 0 && channel_send(child->hub, kind, 0, values, pass_fd) == CHANNEL_OK;
}

static void describe_end(int wait_status, char *words, size_t size) {
    if (WIFSIGNALED(wait_status)) {
        snprintf(words, size, "signal %d (%s)", WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)));
    } else {
        snprintf(words, size, "status %d (%s)", WEXITSTATUS(wait_status), exit_status_name(WEXITSTATUS(wait_status)));
    }
}

static void child_ended(struct child *child, int wait_status) {
    struct supervisor *supervisor = child->supervisor;
    char how[96];
    bool fault = WIFSIGNALED(wait_status) || WEXITSTATUS(wait_status) != EXIT_STATUS_OK;
    describe_end(wait_status, how, sizeof(how));
    if (child->watch != NULL) {
        hub_ready(child, child->hub, EPOLLIN); /* what it said last */
    }
    if (child->kind == PROCESS_RECEIVER) {
        receiver_ended(child, wait_status, how);
    }
    struct slot *slot = slot_of(supervisor, child);
    if (child->kind == PROCESS_RUNNER && supervisor->options.queue_run) {
        supervisor->status = WIFSIGNALED(wait_status) ? EXIT_STATUS_ERROR : (enum exit_status)WEXITSTATUS(wait_status);
    }
    if (slot != NULL) {
        if (supervisor->phase == PHASE_STARTING) {
            supervisor->status =
                fault && WIFEXITED(wait_status) ? (enum exit_status)WEXITSTATUS(wait_status) : EXIT_STATUS_UNAVAILABLE;
        }
        service_ended(supervisor, slot, how);
    } else if (fault && child->kind != PROCESS_RECEIVER && !child->retired) {
        log_warn("%s[%ld] ended with %s", process_names[child->kind], (long)child->pid, how);
    }
    child_close_hub(child);
    supervisor->child_count[child->kind]--;
    pool_give(&children, child);
}

/* wait_status: 0 also when somebody else has waited for it. */
static void take_out(struct child *child, int wait_status) {
    struct child **place = &child->supervisor->children, **ending = &child->supervisor->ending;
    while (*place != child) {
        place = &(*place)->next;
    }
    *place = child->next;
    while (*ending != NULL && *ending != child) {
        ending = &(*ending)->next_ending;
    }
    if (*ending == child) {
        *ending = child->next_ending;
    }
    child->next = child->next_ending = NULL;
    child->reaped = true;
    child_ended(child, wait_status);
}

/* By their pids, which the kernel finds at once: to ask for anybody it would look at every child, thousands of
 * receivers, each time one has ended. Those that run on go to the end of the row. */
void children_reap(struct supervisor *supervisor) {
    for (int running = 0; supervisor->ending != NULL && running < RUNNING_MAXIMUM;) {
        struct child *child = supervisor->ending;
        int wait_status = 0;
        if (waitpid(child->pid, &wait_status, WNOHANG) != 0) {
            take_out(child, wait_status);
            continue;
        }
        supervisor->ending = child->next_ending;
        child->next_ending = NULL;
        await_end(child);
        running++;
    }
}

struct child *child_find(const struct supervisor *supervisor, pid_t pid) {
    struct child *child = supervisor->children;
    while (child != NULL && child->pid != pid) {
        child = child->next;
    }
    return child;
}

void children_sweep(struct supervisor *supervisor) {
    int wait_status;
    pid_t pid;
    while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0) {
        struct child *child = child_find(supervisor, pid);
        if (child != NULL) {
            take_out(child, wait_status);
        }
    }
}
