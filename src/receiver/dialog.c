/* SPDX-License-Identifier: MIT
 * Showing the dialogue: in the log (log_receiver_conversation) and on standard error (display_receiver_dialog). Called
 * by the session's files; whoever calls has taken out what nobody may read. Cannot fail. */
#include "receiver/dialog.h"
#include "base/log.h"
#include <stdio.h>
#include <unistd.h>

#define SHOWN_SIZE 1024

static void show(const struct config *config, const char *direction, struct text line) {
    char shown[SHOWN_SIZE];

    (void)text_printable(shown, sizeof shown, line);
    if (config->log_receiver_conversation)
        log_info("%s%s", direction, shown);
    if (config->display_receiver_dialog && !(config->log_receiver_conversation && log_descriptor() == STDERR_FILENO))
        (void)dprintf(STDERR_FILENO, "%s%s\n", direction, shown);
}

static bool is_wanted(const struct config *config) {
    return config->log_receiver_conversation || config->display_receiver_dialog;
}

static void show_lines(const struct config *config, const char *direction, struct text lines) {
    struct text line;

    while (text_split(&lines, '\n', &line)) {
        if (line.length > 0 && line.data[line.length - 1] == '\r')
            line.length--;
        show(config, direction, line);
    }
}

void dialog_from_client(const struct config *config, struct text line) {
    if (is_wanted(config))
        show(config, " -> ", line);
}

void dialog_to_client(const struct config *config, struct text wire) {
    if (is_wanted(config))
        show_lines(config, "<-  ", wire);
}

void dialog_note(const struct config *config, const char *direction, const char *note) {
    if (is_wanted(config))
        show(config, direction, text_of(note));
}

void dialog_data(const struct config *config, struct text piece) {
    char shown[SHOWN_SIZE];
    struct text line;

    while (config->show_incoming_data && text_split(&piece, '\n', &line)) {
        if (line.length > 0 && line.data[line.length - 1] == '\r')
            line.length--;
        log_info(" -> (data) %s", text_printable(shown, sizeof shown, line));
    }
}
