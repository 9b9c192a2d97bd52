/* SPDX-License-Identifier: MIT
 * Programs of the operator's that sessions talk to: each the leader of a session of its own, without a shell, with a
 * socket as its standard input and output and nothing else of ours. Called by connector.c, as outside_user. What one
 * writes to standard error becomes log lines. When who asked closes the socket or is gone, it has a moment to end and
 * is killed then, with all of its process group. */
#include "base/command_words.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/confinement.h"
#include "connector/connector_private.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_FOR_PROGRAMS "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define GRACE_MS 2000  /* from the end of its input to SIGKILL */
#define START_MS 10000 /* until it runs */
#define MEMORY_MAXIMUM (1u << 30)
#define DESCRIPTORS_MAXIMUM 256
#define COMPLAINTS_MAXIMUM 8192 /* bytes of its standard error that are logged */

struct program {
    struct connector *connector;
    struct asker *asker;
    pid_t pid;
    char name[128];
    int end, errors; /* its socket, to see when the other end is closed; its standard error */
    size_t complained;
    struct loop_watch *end_watch, *errors_watch;
    struct loop_timer *timer;
    struct attempt *attempt; /* until it runs */
    int failure, given;      /* until it runs: an errno comes here; the asker's end of the socket */
    struct loop_watch *failure_watch;
    struct program *next;
};

/* ---- in the child ---- */

static void usual_signals(void) {
    sigset_t none;
    for (int number = 1; number < NSIG; number++) {
        (void)signal(number, SIG_DFL);
    }
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool take_limits(void) {
    const struct rlimit memory = {MEMORY_MAXIMUM, MEMORY_MAXIMUM}, core = {0, 0},
                        descriptors = {DESCRIPTORS_MAXIMUM, DESCRIPTORS_MAXIMUM};
    return setrlimit(RLIMIT_AS, &memory) == 0 && setrlimit(RLIMIT_CORE, &core) == 0 &&
           setrlimit(RLIMIT_NOFILE, &descriptors) == 0;
}

/* Only errno tells the parent why it did not become the program. */
static _Noreturn void become(char *const *arguments, int end, int errors, int failure) {
    static char path[] = PATH_FOR_PROGRAMS;
    static char *environment[] = {path, NULL};
    usual_signals();
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    environ = environment;
    confinement_enter(CONFINED_PROGRAM, NULL, NULL);
    if (setsid() >= 0 && chdir("/") == 0 && dup2(end, STDIN_FILENO) >= 0 && dup2(end, STDOUT_FILENO) >= 0 &&
        dup2(errors, STDERR_FILENO) >= 0 && take_limits()) {
        (void)close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC);
        (void)execvp(arguments[0], arguments);
    }
    int problem = errno;
    (void)!write(failure, &problem, sizeof problem);
    _exit(EXIT_FAILURE);
}

/* ---- its end ---- */

static void close_watched(struct loop_watch **watch, int *fd) {
    loop_unwatch(*watch);
    *watch = NULL;
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

/* It is still to be waited for, so its number is nobody else's. */
static void kill_program(struct program *program) {
    (void)kill(-program->pid, SIGKILL);
    (void)kill(program->pid, SIGKILL); /* before its setsid */
}

static void time_is_up(void *context) {
    struct program *program = context;
    program->timer = NULL;
    log_debug("%s[%ld] is killed", program->name, (long)program->pid);
    kill_program(program);
}

/* The asker has closed its end, or is gone. */
static void input_has_ended(void *context, int fd, uint32_t events) {
    struct program *program = context;
    (void)fd;
    (void)events;
    close_watched(&program->end_watch, &program->end);
    if (program->timer == NULL) {
        program->timer = loop_after(service_loop(program->connector->service), GRACE_MS, time_is_up, program);
    }
}

static void complaint(void *context, int fd, uint32_t events) {
    struct program *program = context;
    char bytes[1024], shown[1200];
    (void)events;
    ssize_t got = read(fd, bytes, sizeof bytes);
    if (got <= 0) {
        close_watched(&program->errors_watch, &program->errors);
        return;
    }
    struct text rest = {bytes, (size_t)got}, line;
    while (program->complained < COMPLAINTS_MAXIMUM && text_split(&rest, '\n', &line)) {
        program->complained += line.length + 1;
        log_warn("%s[%ld] says: %s", program->name, (long)program->pid, text_printable(shown, sizeof shown, line));
    }
}

static struct program **place_of(struct connector *connector, pid_t pid) {
    struct program **place = &connector->programs;
    while (*place != NULL && (*place)->pid != pid) {
        place = &(*place)->next;
    }
    return place;
}

static void tell_started(struct program *program, const char *why) {
    struct attempt *attempt = program->attempt;
    int given = program->given;
    program->attempt = NULL;
    program->given = -1;
    loop_cancel(program->timer);
    program->timer = NULL;
    close_watched(&program->failure_watch, &program->failure);
    if (why != NULL && given >= 0) {
        close(given);
    }
    attempt_end(attempt, why == NULL ? given : -1, why);
}

static void ended(struct program *program, int status) {
    if (program->attempt != NULL) {
        tell_started(program, "ended at once");
    }
    if (WIFSIGNALED(status) && program->end_watch != NULL) {
        log_warn("%s[%ld] ended with signal %d", program->name, (long)program->pid, WTERMSIG(status));
    } else if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
        log_warn("%s[%ld] ended with status %d", program->name, (long)program->pid, WEXITSTATUS(status));
    }
    loop_cancel(program->timer);
    if (program->errors_watch != NULL) {
        complaint(program, program->errors, 0);
    }
    close_watched(&program->errors_watch, &program->errors);
    close_watched(&program->end_watch, &program->end);
    program->asker->programs--;
    asker_release(program->asker);
    free(program);
}

void programs_reap(struct connector *connector) {
    siginfo_t info = {.si_pid = 0};
    int status;
    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid > 0) {
        (void)kill(-info.si_pid, SIGKILL); /* what it left behind; before its number is free */
        if (waitpid(info.si_pid, &status, WNOHANG) == info.si_pid) {
            struct program **place = place_of(connector, info.si_pid), *program = *place;
            if (program != NULL) {
                *place = program->next;
                ended(program, status);
            }
        }
        info.si_pid = 0;
    }
}

void programs_kill(struct connector *connector, const struct asker *asker) {
    for (struct program *program = connector->programs; program != NULL; program = program->next) {
        if (program->asker == asker && program->end_watch != NULL) {
            input_has_ended(program, -1, 0);
        }
    }
}

/* ---- its start ---- */

/* The end of what failed: it was closed by becoming the program. */
static void start_is_known(void *context, int fd, uint32_t events) {
    struct program *program = context;
    struct loop *loop = service_loop(program->connector->service);
    int problem;
    (void)events;
    if (read(fd, &problem, sizeof problem) == (ssize_t)sizeof problem) {
        tell_started(program, strerror(problem));
        return;
    }
    program->end_watch = loop_watch(loop, program->end, EPOLLRDHUP, input_has_ended, program);
    log_debug("%s[%ld] runs", program->name, (long)program->pid);
    tell_started(program, NULL);
}

static void start_takes_too_long(void *context) {
    struct program *program = context;
    program->timer = NULL;
    kill_program(program);
    tell_started(program, "does not start");
}

static void watch_start(struct attempt *attempt, pid_t pid, int ends[2], int errors, int failure) {
    struct connector *connector = attempt->connector;
    struct loop *loop = service_loop(connector->service);
    struct program *program = memory_new(1, sizeof *program);
    *program = (struct program){.connector = connector,
                                .asker = attempt->asker,
                                .pid = pid,
                                .end = ends[1],
                                .given = ends[0],
                                .errors = errors,
                                .failure = failure,
                                .attempt = attempt,
                                .next = connector->programs};
    (void)snprintf(program->name, sizeof program->name, "%s \"%s\"", attempt->outside.sort, attempt->outside.name);
    attempt->asker->programs++;
    connector->programs = program;
    (void)file_set_nonblocking(ends[0], true);
    (void)file_set_nonblocking(errors, true);
    program->errors_watch = loop_watch(loop, errors, EPOLLIN, complaint, program);
    program->failure_watch = loop_watch(loop, failure, EPOLLIN, start_is_known, program);
    program->timer = loop_after(loop, START_MS, start_takes_too_long, program);
}

static void close_all(const int *fds, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
}

void program_begin(struct attempt *attempt) {
    char *words[COMMAND_WORDS_MAXIMUM + 1];
    int fds[6] = {-1, -1, -1, -1, -1, -1}; /* socket: asker's, program's; errors: ours, its; failure: ours, its */
    size_t count = command_words_split(attempt->outside.endpoint + 1, words);
    pid_t pid = -1;
    if (count > 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0 && pipe2(fds + 2, O_CLOEXEC) == 0 &&
        pipe2(fds + 4, O_CLOEXEC) == 0 && (pid = fork()) == 0) {
        become(words, fds[1], fds[3], fds[5]);
    }
    int problem = errno;
    command_words_free(words);
    if (pid < 0) {
        close_all(fds, sizeof fds / sizeof fds[0]);
        attempt_end(attempt, -1, strerror(problem));
        return;
    }
    close(fds[3]);
    close(fds[5]);
    watch_start(attempt, pid, fds, fds[2], fds[4]);
}
