/* SPDX-License-Identifier: MIT
 * Running local_filter; see filter.h. Runs as the agent's user, outside the empty directory; what the program may do
 * and how it ends is program.c's. */
#include "agent/filter.h"
#include "agent/program.h"
#include "base/command_words.h"
#include "base/file.h"
#include "base/log.h"
#include "mail/header.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OUTPUT_SLACK (64u * 1024) /* beyond twice the message */

extern char **environ;

struct filter {
    char problem[160]; /* "" as long as there is none */
};

/* LF back to CRLF. False for a CR that ends no line: no mail may hold it (RFC 5321 2.3.8). */
static bool convert(struct text output, struct buffer *message) {
    bool good = true;
    for (size_t i = 0; i < output.length && good; i++) {
        bool after_cr = i > 0 && output.data[i - 1] == '\r';
        if (output.data[i] == '\n' && !after_cr) {
            good = buffer_append(message, "\r\n", 2);
        } else {
            good = after_cr == (output.data[i] == '\n') && buffer_append_byte(message, output.data[i]);
        }
    }
    if (good && output.length > 0 && output.data[output.length - 1] != '\n') {
        good = output.data[output.length - 1] != '\r' && buffer_append(message, "\r\n", 2);
    }
    return good;
}

static void take_output(struct filter *filter, struct text output, bool binary, struct buffer *message) {
    if (output.length == 0) {
        snprintf(filter->problem, sizeof filter->problem, "wrote nothing");
    } else if (!(binary ? buffer_append_text(message, output) : convert(output, message))) {
        snprintf(filter->problem, sizeof filter->problem, "wrote a CR that ends no line");
    } else if (header_section_length(buffer_text(message)) == 0) {
        snprintf(filter->problem, sizeof filter->problem, "wrote no message header");
    }
}

static void note_end(struct filter *filter, enum program_end end, int status) {
    char *problem = filter->problem;
    size_t size = sizeof filter->problem;
    switch (end) {
    case PROGRAM_ENDED:
        if (status != 0) {
            snprintf(problem, size, "ended with status %d", status);
        }
        break;
    case PROGRAM_KILLED:
        snprintf(problem, size, "was ended by signal %d", status);
        break;
    case PROGRAM_UNSTARTED:
        snprintf(problem, size, "cannot be started: %s", strerror(status));
        break;
    case PROGRAM_TIMED_OUT:
        snprintf(problem, size, "takes longer than local_filter_timeout");
        break;
    case PROGRAM_OUTPUT_FULL:
        snprintf(problem, size, "wrote more than twice the message");
        break;
    }
}

/* Leaves the filtered message in message, or a problem. */
static void run(struct filter *filter, const struct config *config, int input, size_t size, bool binary,
                struct buffer *message) {
    char *arguments[COMMAND_WORDS_MAXIMUM + 1];
    struct buffer output;
    int status;
    const struct program program = {
        .arguments = arguments,
        .environment = environ,
        .input = input,
        .seconds = config->local_filter_timeout,
        .output_is_bounded = true,
    };
    buffer_init(&output, 2 * size + OUTPUT_SLACK);
    command_words_split(config->local_filter, arguments);
    enum program_end end = program_run(&program, &output, &status);
    note_end(filter, end, status);
    command_words_free(arguments);
    if (filter->problem[0] == '\0') {
        take_output(filter, buffer_text(&output), binary, message);
    }
    buffer_free(&output);
}

static void replace(struct delivery_content *content, struct buffer *message) {
    if (content->fd >= 0) {
        close(content->fd);
    }
    buffer_free(&content->cargo);
    content->fd = -1;
    content->cargo = *message;
    content->offset = content->headers_length = 0;
    content->message_length = message->length;
}

bool filter_apply(const struct config *config, struct delivery_content *content) {
    struct filter filter = {.problem = ""};
    struct buffer message;
    size_t size = (size_t)delivery_content_size(content);
    int input = file_memory("message");
    buffer_init(&message, 2 * (2 * size + OUTPUT_SLACK) + 2);
    if (program_write_input(input, TEXT_NONE, content)) {
        run(&filter, config, input, size, content->binary, &message);
    } else {
        snprintf(filter.problem, sizeof filter.problem, "cannot be given the message: %s", strerror(errno));
    }
    close(input);
    if (filter.problem[0] == '\0') {
        replace(content, &message);
    } else {
        log_warn("local_filter %s: %s; the message is delivered unfiltered", config->local_filter, filter.problem);
        buffer_free(&message);
    }
    delivery_content_rewind(content);
    return filter.problem[0] == '\0';
}
