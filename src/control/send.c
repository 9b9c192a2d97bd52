/* SPDX-License-Identifier: MIT
 * `parcelpost send`: a short message to a user, from the postmaster; for alerts from scripts. Goes the way of sendmail.
 */
#include "base/clock.h"
#include "base/file.h"
#include "control/control.h"
#include "control/submission.h"
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define TEXT_MAXIMUM (1u << 20)

/* The text with CRLF line ends. */
static bool append_lines(struct buffer *message, struct text rest) {
    struct text line;
    bool good = true;
    while (good && text_split(&rest, '\n', &line)) {
        if (line.length > 0 && line.data[line.length - 1] == '\r') {
            line.length--;
        }
        good = buffer_append_text(message, line) && buffer_append_string(message, "\r\n");
    }
    return good;
}

static bool build(struct buffer *message, const struct config *config, char **arguments, struct text text) {
    char date[CLOCK_MAIL_SIZE];
    clock_mail_date(time(NULL), date);
    return buffer_format(
               message,
               "From: %s <%s>\r\nTo: <%s>\r\nSubject: %s\r\nDate: %s\r\nAuto-Submitted: auto-generated\r\n"
               "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
               "\r\n",
               config->server_title, config->postmaster, arguments[0], arguments[1], date) &&
           append_lines(message, text);
}

static bool has_line_break(const char *word) {
    struct text text = text_of(word);
    return text_find(text, '\n') < text.length || text_find(text, '\r') < text.length;
}

int control_send(struct control *control, int count, char **arguments) {
    struct buffer input, message;
    if (has_line_break(arguments[0]) || has_line_break(arguments[1])) {
        return control_fail(EXIT_STATUS_USAGE, "an address and a subject are one line each");
    }
    buffer_init(&input, TEXT_MAXIMUM);
    buffer_init(&message, TEXT_MAXIMUM * 2);
    if (count > 2) {
        buffer_append_string(&input, arguments[2]);
    } else if (!file_read_into(STDIN_FILENO, &input)) {
        buffer_free(&input);
        return control_fail(EXIT_STATUS_IO, "the text cannot be read from standard input, or has more than %u bytes",
                            TEXT_MAXIMUM);
    }
    int status = EXIT_STATUS_USAGE;
    if (build(&message, control->config, arguments, buffer_text(&input))) {
        const struct submission submission = {
            .config = control->config,
            .program = "parcelpost",
            .from = control->config->postmaster,
            .recipients = arguments,
            .count = 1,
            .message = buffer_text(&message),
        };
        status = submission_send(&submission);
    } else {
        control_fail(status, "the text is too long");
    }
    buffer_free(&input);
    buffer_free(&message);
    return status;
}
