/* SPDX-License-Identifier: MIT
 * The operator's side of the control sockets. Runs under the caller's privileges: the socket's mode decides who may. */
#include "control/operator.h"
#include "base/clock.h"
#include "ipc/messages.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LEDGER_SOCKET "ledger.sock"
#define SETTLE_MILLISECONDS 2000
#define SETTLE_LATE 30000000L /* nanoseconds; in ledger/round.c 25 milliseconds */

/* False: no socket can have a name as long. */
static bool socket_path(const struct config *config, const char *socket_name, char *path, size_t size) {
    int length = snprintf(path, size, "%s/%s", config->control_directory, socket_name);
    return length >= 0 && (size_t)length < size;
}

/* milliseconds: how long it may take where nobody accepts and the queue is full; 0: for ever. */
static enum operator_result connect_within(const struct config *config, const char *socket_name, int milliseconds,
                                           int *fd) {
    const struct timeval patience = {.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!socket_path(config, socket_name, address.sun_path, sizeof(address.sun_path))) {
        return OPERATOR_NOBODY;
    }
    *fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (*fd < 0) {
        return OPERATOR_NOBODY;
    }
    (void)setsockopt(*fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(*fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        bool refused = errno == EACCES || errno == EPERM;
        close(*fd);
        return refused ? OPERATOR_REFUSED : OPERATOR_NOBODY;
    }
    return OPERATOR_ANSWERED;
}

enum operator_result operator_connect(const struct config *config, const char *socket_name, int *fd) {
    return connect_within(config, socket_name, 0, fd);
}

enum operator_result operator_ask_over(int fd, const char *verb, const char *argument, const char *detail,
                                       struct buffer *answer, int *status, int64_t *affected) {
    const struct control_request request = {text_of(verb), text_of(argument), text_of(detail), (uint32_t)getuid()};
    struct control_answer given;
    if (channel_ask(fd, CONTROL_REQUEST, &request, -1, CONTROL_ANSWER, &given, NULL, CLOCK_NEVER) != CHANNEL_OK) {
        return OPERATOR_LOST;
    }
    struct text text = given.text;
    while (text.length > 0 && text.data[text.length - 1] == '\n') {
        text.length--;
    }
    buffer_append_text(answer, text);
    *status = (int)given.exit_status;
    if (affected != NULL) {
        *affected = given.affected;
    }
    return OPERATOR_ANSWERED;
}

/* Whose orders the ledger takes: root's, and those of its own user, whose the socket is. */
static bool is_let_in(const struct config *config) {
    char path[PATH_MAX];
    struct stat status;
    return geteuid() == 0 || (socket_path(config, LEDGER_SOCKET, path, sizeof path) && stat(path, &status) == 0 &&
                              status.st_uid == geteuid());
}

void operator_settle(const struct config *config) {
    static const struct timespec late = {.tv_nsec = SETTLE_LATE};
    struct pollfd end = {.fd = -1, .events = POLLIN};
    if (!is_let_in(config)) {
        (void)nanosleep(&late, NULL); /* it would warn of us; what waited has been written by then */
        return;
    }
    if (connect_within(config, LEDGER_SOCKET, SETTLE_MILLISECONDS, &end.fd) != OPERATOR_ANSWERED) {
        return; /* one that hangs has had many of us */
    }
    (void)shutdown(end.fd, SHUT_WR); /* it settles, then finds that nobody wants anything, and closes */
    (void)poll(&end, 1, SETTLE_MILLISECONDS);
    close(end.fd);
}

enum operator_result operator_ask(const struct config *config, const char *socket_name, const char *verb,
                                  const char *argument, const char *detail, struct buffer *answer, int *status) {
    int fd;
    enum operator_result result = operator_connect(config, socket_name, &fd);
    if (result == OPERATOR_ANSWERED) {
        result = operator_ask_over(fd, verb, argument, detail, answer, status, NULL);
        close(fd);
    }
    return result;
}
