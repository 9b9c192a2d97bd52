/* SPDX-License-Identifier: MIT
 * The guard process and the listener's side of it. A request is one packet: the command from the configuration, a NUL,
 * the contact. The guard keeps the privileges of the start, so it takes a contact for nothing but an address: any other
 * byte, and the request is refused. Ends when the listener is gone. */
#include "listener/guard.h"
#include "base/exit_status.h"
#include "base/log.h"
#include "base/network.h"
#include "base/privilege.h"
#include "ipc/channel.h"
#include "listener/supervisor.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_MAXIMUM 4096

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
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGPIPE, SIGCHLD};
    struct sigaction action = {.sa_handler = SIG_IGN};
    sigset_t none;
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
        (void)sigaction(ignored[i], &action, NULL);
    }
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
        } else if (length == 0 || errno != EINTR) {
            _exit(EXIT_STATUS_OK);
        }
    }
}

int guard_start(bool detach) {
    int ends[2];
    if (!channel_pair(ends)) {
        log_error("no channel to the guard: %s", strerror(errno));
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        guard_main(ends[1], detach);
    }
    (void)close(ends[1]);
    if (pid < 0) {
        log_error("the guard cannot be forked: %s", strerror(errno));
        (void)close(ends[0]);
        return -1;
    }
    return ends[0];
}

void guard_run(int guard, const char *command, struct text contact) {
    struct buffer request;
    if (command[0] == '\0') {
        return;
    }
    buffer_init(&request, REQUEST_MAXIMUM);
    if (guard < 0) {
        log_warn("lock_command and unlock_command take effect at the next start");
    } else if (!buffer_append(&request, command, strlen(command) + 1) || !buffer_append_text(&request, contact)) {
        log_error("the command for contact %.*s is too long", TEXT_ARGS(contact));
    } else if (send(guard, request.data, request.length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        log_error("the command for contact %.*s is not run: %s", TEXT_ARGS(contact), strerror(errno));
    }
    buffer_free(&request);
}
