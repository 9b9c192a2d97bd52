/* SPDX-License-Identifier: MIT
 * The guard process and the listener's side of it. A request is one packet: the command from the configuration, a NUL,
 * the contact. The guard keeps the privileges of the start, so it takes a contact for nothing but an address: any other
 * byte, and the request is refused. Ends when the listener is gone. Thousands of lockouts may end at once (an operator
 * forgives all): the channel holds a few hundred requests, the rest waits in the listener, since an unlock_command that
 * is dropped is a ban for ever. The guard sends each request back when its command has ended. */
#include "listener/guard.h"
#include "base/clock.h"
#include "base/exit_status.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/network.h"
#include "base/privilege.h"
#include "ipc/channel.h"
#include "listener/supervisor.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_MAXIMUM 4096
#define KEPT_MAXIMUM 200000 /* as many as contacts can be locked out */
#define END_MS 5000

struct request {
    struct request *next;
    size_t length;
    char bytes[];
};
struct guard {
    struct loop *loop;
    pid_t pid;
    int channel;
    struct loop_watch *watch; /* NULL: the guard is gone */
    guard_done *done;
    void *context;
    struct request *first, **last;
    size_t kept;
};

static bool is_contact(const char *contact) {
    size_t length = strlen(contact);
    return length > 0 && length < NETWORK_IP_SIZE && strspn(contact, "0123456789abcdefABCDEF.:/") == length;
}

static void serve(char *request, size_t length) {
    request[length] = '\0';
    const char *contact = request + strlen(request) + 1;
    if (contact > request + length || !is_contact(contact)) {
        log_error("a request that is none is refused");
        return;
    }
    guard_command(request, contact);
}

static void reset_signals(void) {
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGPIPE};
    struct sigaction action = {.sa_handler = SIG_IGN};
    sigset_t none;
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
        (void)sigaction(ignored[i], &action, NULL);
    }
    action.sa_handler = SIG_DFL; /* ignored, a command's end could not be waited for */
    (void)sigaction(SIGCHLD, &action, NULL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void guard_main(int channel, bool detach) {
    const int keep[] = {channel, log_descriptor()};
    char request[REQUEST_MAXIMUM + 1];
    log_set_program("guard");
    privilege_close_other_descriptors(keep, sizeof keep / sizeof keep[0]);
    reset_signals();
    (void)prctl(PR_SET_DUMPABLE, 0);
    if (detach) {
        start_detach();
    }
    for (;;) {
        ssize_t length = recv(channel, request, REQUEST_MAXIMUM, 0);
        if (length > 0) {
            serve(request, (size_t)length);
            (void)send(channel, request, (size_t)length, MSG_NOSIGNAL);
        } else if (length == 0 || errno != EINTR) {
            _exit(EXIT_STATUS_OK);
        }
    }
}

static void channel_ready(void *context, int fd, uint32_t events);

struct guard *guard_start(struct loop *loop, bool detach, guard_done *done, void *context) {
    int ends[2];
    if (!channel_pair(ends)) {
        log_error("no channel to the guard: %s", strerror(errno));
        return NULL;
    }
    pid_t pid = fork();
    if (pid == 0) {
        guard_main(ends[1], detach);
    }
    (void)close(ends[1]);
    if (pid < 0) {
        log_error("the guard cannot be forked: %s", strerror(errno));
        (void)close(ends[0]);
        return NULL;
    }
    struct guard *guard = memory_new(1, sizeof *guard);
    *guard = (struct guard){.loop = loop, .pid = pid, .channel = ends[0], .done = done, .context = context};
    guard->last = &guard->first;
    guard->watch = loop_watch(loop, guard->channel, EPOLLIN, channel_ready, guard);
    return guard;
}

/* ---- the listener's side ---- */

bool guard_is(const struct guard *guard, pid_t pid) {
    return guard != NULL && guard->pid == pid;
}

static void drop_first(struct guard *guard) {
    struct request *request = guard->first;
    guard->first = request->next;
    guard->last = guard->first == NULL ? &guard->first : guard->last;
    guard->kept--;
    free(request);
}

/* False when the guard takes no more now. */
static bool send_first(struct guard *guard) {
    const struct request *request = guard->first;
    if (send(guard->channel, request->bytes, request->length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        if (errno == EAGAIN || errno == ENOBUFS || errno == EINTR) {
            return false;
        }
        log_error("\"%s\" is not run for contact %s: %s; only a new start of the server brings the guard back",
                  request->bytes, request->bytes + strlen(request->bytes) + 1, strerror(errno));
    }
    drop_first(guard);
    return true;
}

static void send_kept(struct guard *guard) {
    while (guard->first != NULL && send_first(guard)) {
    }
    if (guard->watch != NULL) {
        loop_change(guard->watch, EPOLLIN | (guard->first != NULL ? EPOLLOUT : 0u));
    }
}

/* One request that is done; false when there is none, *gone when there will be none. */
static bool take_done(struct guard *guard, bool *gone) {
    char request[REQUEST_MAXIMUM + 1];
    ssize_t length = recv(guard->channel, request, REQUEST_MAXIMUM, MSG_DONTWAIT);
    *gone = length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR);
    if (length <= 0) {
        return false;
    }
    request[length] = '\0';
    size_t command = strlen(request) + 1;
    if (command < (size_t)length) {
        guard->done(guard->context, request, (struct text){request + command, (size_t)length - command});
    }
    return true;
}

static void channel_ready(void *context, int fd, uint32_t events) {
    struct guard *guard = context;
    bool gone;
    (void)fd;
    (void)events;
    while (take_done(guard, &gone)) {
    }
    if (gone) {
        log_error("the guard has ended: lock_command and unlock_command are not run until the server is started anew");
        loop_unwatch(guard->watch);
        guard->watch = NULL;
    }
    send_kept(guard);
}

static void keep(struct guard *guard, const char *command, struct text contact) {
    size_t command_size = strlen(command) + 1, length = command_size + contact.length;
    if (length > REQUEST_MAXIMUM || guard->kept >= KEPT_MAXIMUM) {
        log_error("\"%s\" is not run for contact %.*s: %s", command, TEXT_ARGS(contact),
                  length > REQUEST_MAXIMUM ? "it is too long" : "too many commands wait");
        return;
    }
    struct request *request = memory_new(1, sizeof *request + length + 1);
    *request = (struct request){.length = length};
    memcpy(request->bytes, command, command_size);
    memcpy(request->bytes + command_size, contact.data, contact.length);
    *guard->last = request;
    guard->last = &request->next;
    guard->kept++;
}

void guard_run(struct guard *guard, const char *command, struct text contact) {
    if (command[0] == '\0') {
        return;
    }
    if (guard == NULL) {
        log_warn("lock_command and unlock_command take effect at the next start");
        return;
    }
    keep(guard, command, contact);
    send_kept(guard);
}

static bool wait_for(const struct guard *guard, short events, int64_t deadline) {
    struct pollfd polled = {.fd = guard->channel, .events = events};
    int ready = poll(&polled, 1, clock_remaining(deadline));
    return ready > 0 || (ready < 0 && errno == EINTR);
}

void guard_free(struct guard *guard) {
    if (guard == NULL) {
        return;
    }
    int64_t deadline = clock_deadline(END_MS);
    bool gone = false;
    while (guard->first != NULL && (send_first(guard) || wait_for(guard, POLLOUT, deadline))) {
    }
    (void)shutdown(guard->channel, SHUT_WR);
    while (take_done(guard, &gone) || (!gone && wait_for(guard, POLLIN, deadline))) {
    }
    if (guard->first != NULL) {
        log_error("%zu lock and unlock commands are not run: the guard is too slow", guard->kept);
    }
    while (guard->first != NULL) {
        drop_first(guard);
    }
    loop_unwatch(guard->watch);
    (void)close(guard->channel);
    free(guard);
}
