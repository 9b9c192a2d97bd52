/* SPDX-License-Identifier: MIT
 * The system call filters: what they let pass, and that anything else ends the process. Skipped in sanitizer builds,
 * which have none. */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/random.h"
#include "base/sandbox.h"
#include "base/stream.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

#ifndef __has_feature
#define __has_feature(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define BUILD_HAS_NO_SANDBOX true
#else
#define BUILD_HAS_NO_SANDBOX false
#endif

static pid_t parent;
static int log_fd;

static void try_open(void) {
    (void)!open("/etc/passwd", O_RDONLY);
}
static void try_socket(void) {
    (void)socket(AF_INET, SOCK_STREAM, 0);
}
static void try_connect(void) {
    struct sockaddr address = {.sa_family = AF_UNIX};
    (void)connect(0, &address, sizeof address);
}
static void try_execute(void) {
    char *arguments[] = {NULL};
    execve("/bin/true", arguments, arguments);
}
static void try_fork(void) {
    (void)!fork();
}
static void try_kill(void) {
    (void)kill(parent, 0);
}
static void try_foreign_abort(void) {
    (void)syscall(SYS_tgkill, parent, parent, SIGABRT);
}
static void try_own_kill(void) {
    (void)syscall(SYS_tgkill, getpid(), gettid(), SIGTERM);
}
static void try_trace(void) {
    (void)ptrace(PTRACE_ATTACH, parent, NULL, NULL);
}
static void try_executable_memory(void) {
    (void)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
static void try_making_memory_executable(void) {
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)mprotect(page, 4096, PROT_READ | PROT_EXEC);
}
static void try_stat(void) {
    struct stat status;
    (void)stat("/etc/passwd", &status);
}
static void try_setuid(void) {
    (void)!setuid(0);
}
static void try_dumpable(void) {
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}
static void try_epoll(void) {
    loop_free(loop_new());
}
static void try_name_spaces(void) {
    (void)unshare(CLONE_NEWUSER);
}
static void try_process_descriptor(void) {
    (void)!syscall(SYS_pidfd_open, parent, 0);
}
static void try_rings(void) {
    (void)syscall(SYS_io_uring_setup, 1, NULL);
}
static void try_programs_in_the_kernel(void) {
    (void)syscall(SYS_bpf, 0, NULL, 0);
}
static void try_a_socket_that_landlock_does_not_know(void) {
    (void)socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
}
static void try_truncating_by_name(void) {
    (void)!truncate("/nonexistent/file", 0);
}
static void try_forking_a_sibling(void) {
    (void)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
}
static void try_memory_file(void) {
    close(file_memory("x"));
}

static void do_what_a_session_needs(void) {
    static char large[300000];
    int pair[2] = {3, 4};
    struct buffer buffer;
    struct stream stream;
    struct text line;
    char date[CLOCK_MAIL_SIZE];
    uint64_t number;
    buffer_init(&buffer, 1u << 24);
    for (int i = 0; i < 10; i++) {
        (void)buffer_append(&buffer, large, sizeof large);
    }
    buffer_free(&buffer);
    random_fill(&number, sizeof number);
    clock_mail_date(time(NULL), date);
    log_set_program("sandboxed");
    log_info("a line");
    stream_init(&stream, pair[0], 4096, 64);
    (void)!write(pair[1], "NOOP\r\n", 6);
    if (stream_read_line(&stream, 512, clock_deadline(1000), &line) != STREAM_OK ||
        stream_fill(&stream, clock_deadline(10)) != STREAM_TIMEOUT) {
        _exit(1);
    }
    stream_close(&stream);
    if (file_size(pair[1]) != 0) { /* fstat */
        _exit(2);
    }
}

static void do_what_a_receiver_needs(void) {
    int fd = file_memory("message");
    do_what_a_session_needs();
    if (!file_write_all(fd, "x", 1) || !file_seal(fd) || !file_is_sealed(fd)) {
        _exit(3);
    }
}

static void do_panic(void) {
    die_panic("on purpose");
}

static void do_what_the_signer_needs(void) {
    struct loop *loop = loop_new();
    loop_round(loop, 1);
    loop_free(loop);
    do_what_a_session_needs();
}

/* Runs it in a sandboxed child; its wait status. */
static int run(enum sandbox_profile profile, void (*act)(void)) {
    int status, pair[2];
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        log_set_descriptor(dup2(log_fd, 9));
        (void)socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
        dup2(pair[0], 3);
        dup2(pair[1], 4);
        sandbox_enter(profile);
        act();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void allowed_work_goes_on(void **state) {
    (void)state;
    assert_int_equal(run(SANDBOX_RECEIVER, do_what_a_receiver_needs), 0);
    assert_int_equal(run(SANDBOX_SIGNER, do_what_the_signer_needs), 0);
    assert_int_equal(run(SANDBOX_CONNECTOR, do_what_the_signer_needs), 0);
    assert_int_equal(run(SANDBOX_CONNECTOR, try_socket), 0);
    assert_int_equal(run(SANDBOX_CONNECTOR, try_connect), 0);
}

#define SIGNER (1u << SANDBOX_SIGNER)
#define CONNECTOR (1u << SANDBOX_CONNECTOR)
#define NETWORK (1u << SANDBOX_NETWORK)
#define WITHOUT_NETWORK (1u << SANDBOX_FILES | 1u << SANDBOX_LEDGER)
#define BOTH (WITHOUT_NETWORK | NETWORK)

static void *work_of_a_thread(void *unused) {
    return unused;
}

static void use_files_and_threads(void) {
    pthread_t thread;
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0 || pthread_create(&thread, NULL, work_of_a_thread, NULL) != 0 || pthread_join(thread, NULL) != 0) {
        _exit(4);
    }
    do_what_the_signer_needs();
}

static void files_threads_and_the_network_are_for_those_who_need_them(void **state) {
    (void)state;
    assert_int_equal(run(SANDBOX_FILES, use_files_and_threads), 0);
    assert_int_equal(run(SANDBOX_LEDGER, use_files_and_threads), 0);
    assert_int_equal(run(SANDBOX_NETWORK, use_files_and_threads), 0);
    assert_int_equal(run(SANDBOX_NETWORK, try_socket), 0);
}

static void anything_else_ends_the_process(void **state) {
    static const struct {
        const char *sentence;
        void (*act)(void);
        unsigned allowed; /* bits of 1 << the profiles that may */
    } rows[] = {
        {"opening a file", try_open, BOTH},
        {"making a socket", try_socket, CONNECTOR | NETWORK},
        {"connecting", try_connect, CONNECTOR | BOTH},
        {"executing", try_execute, 0},
        {"forking", try_fork, 0},
        {"forking a sibling", try_forking_a_sibling, 0},
        {"sending a signal", try_kill, 0},
        {"aborting another process", try_foreign_abort, 0},
        {"signalling itself otherwise than by abort", try_own_kill, BOTH},
        {"tracing", try_trace, 0},
        {"mapping executable memory", try_executable_memory, BOTH},
        {"making memory executable", try_making_memory_executable, BOTH},
        {"looking at a path", try_stat, BOTH},
        {"changing its user", try_setuid, 0},
        {"becoming dumpable", try_dumpable, 0},
        {"making name spaces", try_name_spaces, 0},
        {"taking hold of a process", try_process_descriptor, 0},
        {"making rings", try_rings, 0},
        {"loading programs into the kernel", try_programs_in_the_kernel, 0},
        {"a socket that Landlock does not know", try_a_socket_that_landlock_does_not_know, 0},
        {"truncating by name", try_truncating_by_name, 0},
        {"an event loop in a receiver", try_epoll, CONNECTOR | SIGNER | BOTH},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (int profile = 0; profile < SANDBOX_LISTENER; profile++) {
            if (rows[i].allowed & 1u << profile) {
                continue;
            }
            print_message("%s, profile %d\n", rows[i].sentence, profile);
            int status = run((enum sandbox_profile)profile, rows[i].act);
            assert_true(WIFSIGNALED(status));
            assert_int_equal(WTERMSIG(status), SIGSYS);
        }
    }
    assert_int_equal(WTERMSIG(run(SANDBOX_SIGNER, try_memory_file)), SIGSYS);
}

/* A nursery: its children are ours. Each writes its number, or that it is one. */
static _Noreturn void be_a_nursery(int report) {
    sandbox_enter(SANDBOX_RECEIVER);
    for (int i = 0; i < 2; i++) {
        pid_t pid = sandbox_fork_sibling();
        (void)!write(report, &pid, sizeof pid);
        if (pid == 0) {
            (void)sandbox_fork_sibling();
            (void)!write(report, &pid, sizeof pid); /* which it does not live to do */
            _exit(0);
        }
    }
    _exit(0);
}

static void the_nursery_forks_siblings_and_they_fork_nobody(void **state) {
    int status, nursery_report[2];
    pid_t numbers[8], born[2], nursery;
    (void)state;
    assert_int_equal(pipe(nursery_report), 0);
    if ((nursery = fork()) == 0) {
        be_a_nursery(nursery_report[1]);
    }
    assert_int_equal(waitpid(nursery, &status, 0), nursery);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    for (int i = 0; i < 2; i++) {
        born[i] = waitpid(-1, &status, 0); /* ours, without its having been our child */
        assert_true(born[i] > 0 && WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSYS);
    }
    close(nursery_report[1]);
    assert_int_equal(read(nursery_report[0], numbers, sizeof numbers), 4 * sizeof numbers[0]);
    int zeros = 0;
    for (int i = 0; i < 4; i++) {
        zeros += numbers[i] == 0;
        assert_true(numbers[i] == 0 || numbers[i] == born[0] || numbers[i] == born[1]);
    }
    assert_int_equal(zeros, 2);
    close(nursery_report[0]);
}

/* The exit status of each is the errno. */
static void try_giving_a_file(void) {
    int fd = file_memory("file");
    _exit(fchmod(fd, 0666) == 0 ? 0 : errno);
}
static void try_giving_a_path(void) {
    _exit(chmod("/nonexistent/file", 0666) == 0 ? 0 : errno);
}
static void try_unix_socket(void) {
    _exit(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0 ? 0 : errno);
}
static void try_a_call_newer_than_the_lists(void) {
    _exit(syscall(452, AT_FDCWD, "/nonexistent/file", 0666, 0) == 0 ? 0 : errno); /* fchmodat2 */
}
static void try_a_name_space(void) {
    _exit(unshare(CLONE_NEWUSER) == 0 ? 0 : errno);
}
static void try_a_child_in_a_name_space(void) {
    _exit(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL) >= 0 ? 0 : errno);
}
static void try_tracing(void) {
    _exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : errno);
}
static void try_reading_anothers_memory(void) {
    _exit(syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0) == 0 ? 0 : errno);
}
static void try_a_ring(void) {
    _exit(syscall(SYS_io_uring_setup, 0, NULL) == 0 ? 0 : errno);
}
static void start_a_program(void) {
    int status = 1;
    pid_t child = fork();
    if (child == 0) {
        (void)execl("/bin/true", "true", NULL);
        _exit(EXIT_FAILURE);
    }
    _exit(child > 0 && kill(child, 0) == 0 && waitpid(child, &status, 0) == child ? status : EXIT_FAILURE);
}

static void what_libraries_try_or_programs_ask_for_fails_and_kills_nobody(void **state) {
    static const struct {
        const char *sentence;
        enum sandbox_profile profile;
        void (*act)(void);
        int problem;
    } rows[] = {
        {"the ledger gives its log the database's mode", SANDBOX_LEDGER, try_giving_a_file, 0},
        {"nobody else gives a file", SANDBOX_FILES, try_giving_a_file, EPERM},
        {"nor by its name", SANDBOX_FILES, try_giving_a_path, EPERM},
        {"nor with a network", SANDBOX_NETWORK, try_giving_a_path, EPERM},
        {"the ledger has no socket", SANDBOX_LEDGER, try_unix_socket, EACCES},
        {"nor have others with files", SANDBOX_FILES, try_unix_socket, EACCES},
        {"Unix sockets are network", SANDBOX_NETWORK, try_unix_socket, 0},
        {"a new call, for the ledger", SANDBOX_LEDGER, try_a_call_newer_than_the_lists, ENOSYS},
        {"a new call, with files", SANDBOX_FILES, try_a_call_newer_than_the_lists, ENOSYS},
        {"a new call, with a network", SANDBOX_NETWORK, try_a_call_newer_than_the_lists, ENOSYS},
        {"the listener starts and signals programs", SANDBOX_LISTENER, start_a_program, 0},
        {"makes no user name space", SANDBOX_LISTENER, try_a_name_space, EPERM},
        {"nor for a child", SANDBOX_LISTENER, try_a_child_in_a_name_space, EPERM},
        {"traces nobody", SANDBOX_LISTENER, try_tracing, EPERM},
        {"reads nobody's memory", SANDBOX_LISTENER, try_reading_anothers_memory, EPERM},
        {"makes no rings", SANDBOX_LISTENER, try_a_ring, EPERM},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        print_message("%s\n", rows[i].sentence);
        int status = run(rows[i].profile, rows[i].act);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), rows[i].problem);
    }
}

/* A receiver's filter, which all share, cannot tell its own process from others: no signal at all, not even this. */
static void a_panic_ends_the_process_by_a_signal(void **state) {
    (void)state;
    int status = run(SANDBOX_SIGNER, do_panic);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_int_equal(WTERMSIG(run(SANDBOX_FILES, do_panic)), SIGABRT);
    assert_int_equal(WTERMSIG(run(SANDBOX_RECEIVER, do_panic)), SIGSYS);
}

static bool is_under_valgrind(void) {
    const char *preloaded = getenv("LD_PRELOAD");
    return preloaded != NULL && strstr(preloaded, "vgpreload") != NULL;
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nursery_forks_siblings_and_they_fork_nobody), /* first: it waits for any child */
        cmocka_unit_test(allowed_work_goes_on),
        cmocka_unit_test(files_threads_and_the_network_are_for_those_who_need_them),
        cmocka_unit_test(anything_else_ends_the_process),
        cmocka_unit_test(what_libraries_try_or_programs_ask_for_fails_and_kills_nobody),
        cmocka_unit_test(a_panic_ends_the_process_by_a_signal),
    };
    if (BUILD_HAS_NO_SANDBOX || is_under_valgrind()) {
        print_message("skipped: no sandbox in a sanitizer build, nor under valgrind, which needs calls of its own\n");
        return 0;
    }
    parent = getpid();
    log_fd = file_memory("log");
    log_start(log_fd, "tester", LOG_LEVEL_INFO);
    sandbox_prepare(SANDBOX_RECEIVER);
    sandbox_prepare(SANDBOX_SIGNER);
    sandbox_prepare(SANDBOX_SIGNER); /* a second time does nothing */
    sandbox_prepare(SANDBOX_CONNECTOR);
    sandbox_prepare(SANDBOX_FILES);
    sandbox_prepare(SANDBOX_NETWORK);
    sandbox_prepare(SANDBOX_LEDGER);
    sandbox_prepare(SANDBOX_LISTENER);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
