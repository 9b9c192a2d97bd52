/* SPDX-License-Identifier: MIT
 * Running local_filter; see filter.h. No shell: the line is split at blanks. Runs as the agent's user, outside the
 * empty directory, with the message in a memory file as standard input, so that only one side has to be served. The
 * program is a session of its own, and what is left of it when it ends or its time is over is killed. */
#include "agent/filter.h"
#include "agent/line_ends.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "mail/header.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS_MAXIMUM 32
#define OUTPUT_SLACK (64u * 1024) /* beyond twice the message */

extern char **environ;

struct filter {
    pid_t pid;
    int output; /* its standard output */
    int64_t deadline;
    char problem[160]; /* "" as long as there is none */
};

static bool write_input(int fd, struct delivery_content *content) {
    static struct line_ends ends; /* large */
    struct text piece;
    memset(&ends, 0, sizeof ends);
    delivery_content_rewind(content);
    do {
        if (!delivery_content_next(content, &piece) || !line_ends_write(fd, &ends, piece)) {
            return false;
        }
    } while (piece.length > 0);
    return line_ends_finish(fd, &ends) && lseek(fd, 0, SEEK_SET) == 0;
}

static size_t split(const char *command, char *arguments[ARGUMENTS_MAXIMUM + 1]) {
    struct text rest = text_of(command), word;
    size_t count = 0;
    while (count < ARGUMENTS_MAXIMUM && text_split(&rest, ' ', &word)) {
        if (word.length > 0) {
            arguments[count++] = memory_string(word);
        }
    }
    arguments[count] = NULL;
    return count;
}

/* It gets no descriptor of ours but these two (all are close-on-exec), and the usual signals. 0 or an errno. */
static int spawn(struct filter *filter, char *const arguments[], int input, int output) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    int result = posix_spawnp(&filter->pid, arguments[0], &files, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return result;
}

static bool start(struct filter *filter, const char *command, int input) {
    char *arguments[ARGUMENTS_MAXIMUM + 1];
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        snprintf(filter->problem, sizeof filter->problem, "no pipe: %s", strerror(errno));
        return false;
    }
    size_t count = split(command, arguments);
    int result = count > 0 ? spawn(filter, arguments, input, ends[1]) : EINVAL;
    for (size_t i = 0; i < count; i++) {
        free(arguments[i]);
    }
    close(ends[1]);
    filter->output = ends[0];
    if (result != 0) {
        snprintf(filter->problem, sizeof filter->problem, "cannot be started: %s", strerror(result));
        close(filter->output);
    }
    return result == 0;
}

/* Waits until something can be read, or it has ended. False, with a problem, when its time is over. */
static bool wait_ready(struct filter *filter, int fd) {
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    int count;
    do {
        count = poll(&ready, 1, clock_remaining(filter->deadline));
    } while (count < 0 && errno == EINTR);
    if (count <= 0) {
        snprintf(filter->problem, sizeof filter->problem, "takes longer than local_filter_timeout");
    }
    return count > 0;
}

static void read_output(struct filter *filter, struct buffer *output) {
    char bytes[16384];
    ssize_t got;
    do {
        if (!wait_ready(filter, filter->output)) {
            return;
        }
        do {
            got = read(filter->output, bytes, sizeof bytes);
        } while (got < 0 && errno == EINTR);
        if (got > 0 && !buffer_append(output, bytes, (size_t)got)) {
            snprintf(filter->problem, sizeof filter->problem, "wrote more than twice the message");
            return;
        }
    } while (got > 0);
    if (got < 0) {
        snprintf(filter->problem, sizeof filter->problem, "cannot be read: %s", strerror(errno));
    }
}

static void note_end(struct filter *filter, int status) {
    if (filter->problem[0] != '\0') {
        return;
    }
    if (WIFSIGNALED(status)) {
        snprintf(filter->problem, sizeof filter->problem, "was ended by signal %d", WTERMSIG(status));
    } else if (WEXITSTATUS(status) != 0) {
        snprintf(filter->problem, sizeof filter->problem, "ended with status %d", WEXITSTATUS(status));
    }
}

/* Waits for its end as long as nothing is wrong, then kills what is left of its session: a child that is not yet waited
 * for keeps its number, so that nobody else can be meant. */
static void finish(struct filter *filter) {
    int status = 0, handle = pidfd_open(filter->pid, 0);
    close(filter->output);
    if (filter->problem[0] == '\0' && handle >= 0) {
        (void)wait_ready(filter, handle);
    }
    if (handle >= 0) {
        close(handle);
    }
    kill(-filter->pid, SIGKILL);
    while (waitpid(filter->pid, &status, 0) < 0 && errno == EINTR) {
    }
    note_end(filter, status);
}

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

static void take_output(struct filter *filter, struct text output, struct buffer *message) {
    if (output.length == 0) {
        snprintf(filter->problem, sizeof filter->problem, "wrote nothing");
    } else if (!convert(output, message)) {
        snprintf(filter->problem, sizeof filter->problem, "wrote a CR that ends no line");
    } else if (header_section_length(buffer_text(message)) == 0) {
        snprintf(filter->problem, sizeof filter->problem, "wrote no message header");
    }
}

/* Leaves the filtered message in message, or a problem. */
static void run(struct filter *filter, const struct config *config, int input, size_t size, struct buffer *message) {
    struct buffer output;
    filter->deadline = clock_deadline(config->local_filter_timeout * 1000);
    if (!start(filter, config->local_filter, input)) {
        return;
    }
    buffer_init(&output, 2 * size + OUTPUT_SLACK);
    read_output(filter, &output);
    finish(filter);
    if (filter->problem[0] == '\0') {
        take_output(filter, buffer_text(&output), message);
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
    struct filter filter = {.output = -1};
    struct buffer message;
    size_t size = (size_t)delivery_content_size(content);
    int input = file_memory("message");
    buffer_init(&message, 2 * (2 * size + OUTPUT_SLACK) + 2);
    signal(SIGCHLD, SIG_DFL); /* else its exit status is lost */
    if (write_input(input, content)) {
        run(&filter, config, input, size, &message);
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
