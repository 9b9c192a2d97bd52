/* SPDX-License-Identifier: MIT
 * The operator's side of the control sockets. Runs under the caller's privileges: the socket's mode decides who may. */
#include "control/operator.h"
#include "base/clock.h"
#include "ipc/messages.h"
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int connect_to(const struct config *config, const char *socket_name, enum operator_result *result) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", config->control_directory, socket_name);
    *result = OPERATOR_NOBODY;
    if (length < 0 || (size_t)length >= sizeof(address.sun_path)) {
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        if (errno == EACCES || errno == EPERM) {
            *result = OPERATOR_REFUSED;
        }
        close(fd);
        return -1;
    }
    return fd;
}

enum operator_result operator_ask(const struct config *config, const char *socket_name, const char *verb,
                                  const char *argument, const char *detail, struct buffer *answer, int *status) {
    enum operator_result result;
    int fd = connect_to(config, socket_name, &result);
    if (fd < 0) {
        return result;
    }
    const struct control_request request = {text_of(verb), text_of(argument), text_of(detail), (uint32_t)getuid()};
    struct control_answer given;
    result = OPERATOR_LOST;
    if (channel_ask(fd, CONTROL_REQUEST, &request, -1, CONTROL_ANSWER, &given, NULL, CLOCK_NEVER) == CHANNEL_OK) {
        result = OPERATOR_ANSWERED;
        *status = (int)given.exit_status;
        struct text text = given.text;
        while (text.length > 0 && text.data[text.length - 1] == '\n') {
            text.length--;
        }
        buffer_append_text(answer, text);
    }
    close(fd);
    return result;
}
