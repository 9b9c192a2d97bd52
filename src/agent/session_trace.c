/* SPDX-License-Identifier: MIT
 * The dialogue with next hops, as log lines (log_queue_runner_conversation) and on the terminal
 * (display_queue_runner_dialog): " -> " from us as the client, "<-  " to us. Never mail data. */
#include "agent/session.h"
#include "base/log.h"
#include <stdio.h>
#include <unistd.h>

void session_trace(void *context, enum client_direction direction, struct text line) {
    static const char *const arrows[] = {
        [CLIENT_TO_SERVER] = " -> ", [CLIENT_FROM_SERVER] = "<-  ", [CLIENT_NOTE] = "<-> "};
    const struct session *session = context;
    const struct config *config = session->context->config;
    char shown[512];
    if (!config->log_queue_runner_conversation && !config->display_queue_runner_dialog) {
        return;
    }
    text_printable(shown, sizeof shown, line);
    if (config->log_queue_runner_conversation) {
        log_info("%s%s", arrows[direction], shown);
    }
    bool log_is_terminal = config->log_queue_runner_conversation && log_descriptor() == STDERR_FILENO;
    if (config->display_queue_runner_dialog && !log_is_terminal) {
        dprintf(STDERR_FILENO, "%s%s\n", arrows[direction], shown);
    }
}
