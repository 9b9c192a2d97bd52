/* SPDX-License-Identifier: MIT
 * One program at a time, with its input in a file, so that only its output has to be served and it may leave its input
 * unread; see program.h. Runs as the agent's user, outside the empty directory. Whatever fails is an enum program_end.
 */
#include "agent/program.h"
#include "agent/line_ends.h"
#include "base/clock.h"
#include "base/memory.h"
#include "config/confinement.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIPE_READS 8 /* empty a pipe of 64 KiB, whoever may still write into it */

struct run {
    const struct program *program;
    struct buffer *output;
    pid_t pid;
    int handle, pipe;
    int64_t deadline;
    enum program_end end; /* PROGRAM_ENDED as long as nothing else is known */
};

bool program_write_input(int fd, struct text top, struct delivery_content *content) {
    static struct line_ends ends; /* large */
    struct text piece;
    memset(&ends, 0, sizeof ends);
    ends.kept = content->binary;
    if (lseek(fd, 0, SEEK_SET) != 0 || ftruncate(fd, 0) != 0 || !line_ends_write(fd, &ends, top)) {
        return false;
    }
    delivery_content_rewind(content);
    do {
        if (!delivery_content_next(content, &piece) || !line_ends_write(fd, &ends, piece)) {
            return false;
        }
    } while (piece.length > 0);
    return line_ends_finish(fd, &ends) && lseek(fd, 0, SEEK_SET) == 0;
}

/* ---- in the child ---- */

static void usual_signals(void) {
    sigset_t none;
    for (int number = 1; number < NSIG; number++) {
        (void)signal(number, SIG_DFL);
    }
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool take_descriptors(const struct program *program, int output) {
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    return nowhere >= 0 && dup2(program->input, STDIN_FILENO) == STDIN_FILENO &&
           dup2(output, STDOUT_FILENO) == STDOUT_FILENO &&
           dup2(program->output_is_bounded ? nowhere : output, STDERR_FILENO) == STDERR_FILENO;
}

static bool take_limits(const struct program *program) {
    const struct rlimit memory = {program->memory_maximum, program->memory_maximum}, core = {0, 0};
    return (program->memory_maximum == 0 || setrlimit(RLIMIT_AS, &memory) == 0) && setrlimit(RLIMIT_CORE, &core) == 0;
}

/* Only errno tells the parent why it did not become the program. Every descriptor of ours is closed when it does. */
static _Noreturn void become(const struct program *program, int output, int failure) {
    usual_signals();
    (void)setsid();
    confinement_enter(CONFINED_PROGRAM, NULL, NULL);
    if (take_descriptors(program, output) && take_limits(program)) {
        if (program->directory != NULL && chdir(program->directory) != 0 && chdir("/") != 0) {
            _exit(EXIT_FAILURE);
        }
        (void)close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC);
        (void)execvpe(program->arguments[0], program->arguments, program->environment);
    }
    int problem = errno;
    (void)!write(failure, &problem, sizeof problem);
    _exit(EXIT_FAILURE);
}

/* ---- in the agent ---- */

/* 0, or the errno for which it was not started. */
static int start(struct run *run) {
    int output[2], failure[2] = {-1, -1}, problem = 0;
    if (pipe2(output, O_CLOEXEC) != 0) {
        return errno;
    }
    if (pipe2(failure, O_CLOEXEC) != 0 || (run->pid = fork()) < 0) {
        problem = errno;
    } else if (run->pid == 0) {
        become(run->program, output[1], failure[1]);
    }
    close(output[1]);
    if (failure[1] >= 0) {
        close(failure[1]);
    }
    if (problem == 0 && read(failure[0], &problem, sizeof problem) == (ssize_t)sizeof problem) {
        (void)waitpid(run->pid, NULL, 0);
    }
    if (failure[0] >= 0) {
        close(failure[0]);
    }
    if (problem == 0 && (run->handle = pidfd_open(run->pid, 0)) < 0) {
        problem = errno;
        (void)kill(-run->pid, SIGKILL);
        (void)waitpid(run->pid, NULL, 0);
    }
    if (problem != 0) {
        close(output[0]);
        return problem;
    }
    run->pipe = output[0];
    (void)fcntl(run->pipe, F_SETFL, O_NONBLOCK);
    return 0;
}

/* Some of what can be read now. False at the end of it, or when there is nothing. */
static bool take_output(struct run *run) {
    char bytes[16384];
    ssize_t got = read(run->pipe, bytes, sizeof bytes);
    size_t room = run->output->maximum - run->output->length;
    if (got > 0 && (size_t)got > room && run->program->output_is_bounded) {
        run->end = PROGRAM_OUTPUT_FULL;
    } else if (got > 0) {
        (void)buffer_append(run->output, bytes, (size_t)got < room ? (size_t)got : room);
    }
    return got > 0 || (got < 0 && errno == EINTR);
}

/* Serves its output until it has ended. A child of it that goes on, with that output still open, is not waited for. */
static void serve(struct run *run) {
    struct pollfd ready[2] = {{.fd = run->handle, .events = POLLIN}, {.fd = run->pipe, .events = POLLIN}};
    bool ended = false;
    while (!ended && run->end == PROGRAM_ENDED) {
        int count = poll(ready, 2, clock_remaining(run->deadline));
        if (count == 0) {
            run->end = PROGRAM_TIMED_OUT;
        } else if (count > 0) {
            ended = ready[0].revents != 0;
            if (ready[1].revents != 0 && !take_output(run)) {
                ready[1].fd = -1;
            }
        }
    }
    for (int rest = 0; ended && run->end == PROGRAM_ENDED && rest < PIPE_READS && take_output(run); rest++) {
    }
}

/* A child that is not yet waited for keeps its number, so that nobody else can be killed. */
static void finish(struct run *run, int *status) {
    int how = 0;
    (void)kill(-run->pid, SIGKILL);
    while (waitpid(run->pid, &how, 0) < 0 && errno == EINTR) {
    }
    close(run->handle);
    close(run->pipe);
    if (run->end == PROGRAM_ENDED && WIFSIGNALED(how)) {
        run->end = PROGRAM_KILLED;
    }
    *status = WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how);
}

enum program_end program_run(const struct program *program, struct buffer *output, int *status) {
    struct run run = {.program = program, .output = output, .handle = -1, .pipe = -1};
    run.deadline = clock_deadline(program->seconds * 1000);
    (void)signal(SIGCHLD, SIG_DFL); /* else its exit status is lost */
    *status = program->arguments[0] != NULL ? start(&run) : EINVAL;
    if (*status != 0) {
        return PROGRAM_UNSTARTED;
    }
    serve(&run);
    finish(&run, status);
    return run.end;
}
