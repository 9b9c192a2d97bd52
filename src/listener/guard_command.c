/* SPDX-License-Identifier: MIT
 * lock_command and unlock_command: a program of the operator's, looked for in PATH when it is no path. Called in the
 * guard (guard.c). No shell: the line is split at blanks; %i is the contact, which is the last argument where %i does
 * not occur. One runs at a time, or an unlock might overtake its lock; one that hangs is killed. What fails is logged.
 */
#include "base/buffer.h"
#include "base/command_words.h"
#include "base/log.h"
#include "base/memory.h"
#include "listener/guard.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS_MAXIMUM (COMMAND_WORDS_MAXIMUM + 1) /* the contact behind them */
#define ARGUMENT_MAXIMUM (128u * 1024)                /* what the longest request could become, were it all %i */
#define COMMAND_LIMIT_MS 10000

extern char **environ;

static char *expand(struct text word, const char *contact) {
    struct buffer argument;
    buffer_init(&argument, ARGUMENT_MAXIMUM);
    while (word.length > 0) {
        bool mark = word.length > 1 && word.data[0] == '%' && word.data[1] == 'i';
        (void)(mark ? buffer_append_string(&argument, contact) : buffer_append_byte(&argument, word.data[0]));
        word = text_from(word, mark ? 2 : 1);
    }
    char *copy = memory_string(buffer_text(&argument));
    buffer_free(&argument);
    return copy;
}

static size_t split(const char *command, const char *contact, char *arguments[ARGUMENTS_MAXIMUM + 1]) {
    size_t count = command_words_split(command, arguments);
    for (size_t i = 0; i < count; i++) {
        char *word = arguments[i];
        arguments[i] = expand(text_of(word), contact);
        free(word);
    }
    if (count > 0 && strstr(command, "%i") == NULL) {
        arguments[count++] = memory_string(text_of(contact));
    }
    arguments[count] = NULL;
    return count;
}

/* The child gets /dev/null, no descriptor of ours (all are close-on-exec), and the usual signals. */
static int start(char *const arguments[], pid_t *pid) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    int result = posix_spawnp(pid, arguments[0], &files, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return result;
}

/* It leads a session of its own: its helpers are killed with it. */
static void wait_for_end(const char *program, const char *contact, pid_t pid) {
    struct pollfd end = {.fd = pidfd_open(pid, 0), .events = POLLIN};
    int wait_status = 0, ready;
    do {
        ready = end.fd >= 0 ? poll(&end, 1, COMMAND_LIMIT_MS) : 1;
    } while (ready < 0 && errno == EINTR);
    if (ready == 0) {
        log_warn("%s for %s takes too long: killed", program, contact);
        (void)kill(-pid, SIGKILL);
    }
    while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) != 0) {
        log_warn("%s for %s ended with status %d", program, contact, WEXITSTATUS(wait_status));
    }
    if (end.fd >= 0) {
        (void)close(end.fd);
    }
}

void guard_command(const char *command, const char *contact) {
    char *arguments[ARGUMENTS_MAXIMUM + 1];
    if (command == NULL || command[0] == '\0') {
        return;
    }
    size_t count = split(command, contact, arguments);
    pid_t pid = -1;
    int result = count > 0 ? start(arguments, &pid) : 0;
    if (result != 0) {
        log_warn("%s cannot be started: %s", arguments[0], strerror(result));
    } else if (pid > 0) {
        wait_for_end(arguments[0], contact, pid);
    }
    command_words_free(arguments);
}
