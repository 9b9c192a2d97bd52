/* SPDX-License-Identifier: MIT
 * System call filters. sandbox_prepare is called in the parent, sandbox_enter in each child once it holds everything it
 * needs. Receiver, signer and connector have a list of what is allowed; those that work with files or c-ares, whose
 * calls are their libraries' choice, a list of what is not. A forbidden call kills the process. The listener has the
 * shortest list, for its programs have it too: there a forbidden call fails. Failure ends the process. */
#include "base/sandbox.h"
#include "base/exit_status.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))
/* Of Linux 6.1, for which the lists were made; those of later kernels have the same numbers everywhere. */
#define NEWEST_CALL 450u
#define SIBLING_FLAGS (CLONE_PARENT | SIGCHLD)

static struct sock_fprog prepared[SANDBOX_PROFILES];

/* What clone has to be given, in an argument that means nothing to it: a number that no forked process knows, since in
 * those the kernel empties this page. The filter that asks for it lies beside it, for it has the number in it, too; and
 * libseccomp never hears of it, which leaves copies of what it compiles all over the heap. */
struct fork_secret {
    union {
        uint64_t token;
        uint32_t words[2]; /* in the order in which they lie in the argument */
    };
    struct sock_filter code[8];
};
static struct fork_secret *fork_secret;

/* Talking over descriptors that are open already, memory, time, ending. Nothing here opens, connects or starts. */
static const int common_calls[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(preadv),
    SCMP_SYS(pwritev),
    SCMP_SYS(fdatasync),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(close),
    SCMP_SYS(shutdown),
    SCMP_SYS(lseek),
    SCMP_SYS(fstat),
    SCMP_SYS(ftruncate),
    SCMP_SYS(sendfile),
    SCMP_SYS(copy_file_range),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(futex),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(getrandom),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sysinfo),
};

/* Large messages travel as memory files; the rest is for the nursery, whose filter receivers are born with. */
static const int receiver_calls[] = {SCMP_SYS(memfd_create), SCMP_SYS(socketpair), SCMP_SYS(close_range)};

/* The service loop. */
static const int signer_calls[] = {
    SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl),      SCMP_SYS(epoll_wait),      SCMP_SYS(epoll_pwait),
    SCMP_SYS(signalfd4),     SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
};

/* The same, and opening connections; no names, no files, no programs. */
static const int connector_calls[] = {
    SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl),      SCMP_SYS(epoll_wait),      SCMP_SYS(epoll_pwait),
    SCMP_SYS(signalfd4),     SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime), SCMP_SYS(connect),
};

/* What nobody needs who starts no programs: other programs, other processes, other rights, and those parts of the
 * kernel in which its faults have been found most often. */
static const int forbidden_calls[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(kill),
    SCMP_SYS(tkill),
    SCMP_SYS(rt_sigqueueinfo),
    SCMP_SYS(rt_tgsigqueueinfo),
    SCMP_SYS(pidfd_open),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(pidfd_send_signal),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(chroot),
    SCMP_SYS(pivot_root),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(open_tree),
    SCMP_SYS(move_mount),
    SCMP_SYS(fsopen),
    SCMP_SYS(setuid),
    SCMP_SYS(setreuid),
    SCMP_SYS(setresuid),
    SCMP_SYS(setgid),
    SCMP_SYS(setregid),
    SCMP_SYS(setresgid),
    SCMP_SYS(setgroups),
    SCMP_SYS(capset),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(personality),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(truncate), /* by its name; before version 3 Landlock does not see it */
};

/* By which its files, or their contents, would be others' too; Landlock does not see them. */
static const int giving_calls[] = {
    SCMP_SYS(chmod),     SCMP_SYS(fchmod),    SCMP_SYS(fchmodat), SCMP_SYS(chown),  SCMP_SYS(fchown),
    SCMP_SYS(lchown),    SCMP_SYS(fchownat),  SCMP_SYS(link),     SCMP_SYS(linkat), SCMP_SYS(setxattr),
    SCMP_SYS(fsetxattr), SCMP_SYS(lsetxattr), SCMP_SYS(utime),    SCMP_SYS(utimes), SCMP_SYS(utimensat),
};

/* What neither the listener nor any program that takes part in mail needs, though root has it: the kernel's own
 * workings, other processes, file systems, the clock, name spaces. */
static const int administrators_calls[] = {
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(kcmp),
    SCMP_SYS(setns),
    SCMP_SYS(pivot_root),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(open_tree),
    SCMP_SYS(move_mount),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsmount),
    SCMP_SYS(fspick),
    SCMP_SYS(mount_setattr),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(reboot),
    SCMP_SYS(acct),
    SCMP_SYS(quotactl),
    SCMP_SYS(syslog),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname),
    SCMP_SYS(vhangup),
};

/* default_action: for calls in neither common_calls (where that is to kill), calls, nor the tables of limited calls. */
static const struct profile {
    const int *calls;
    size_t count;
    uint32_t default_action;
    bool network; /* sockets */
    bool gives;   /* of those that allow by default: also giving_calls */
    bool forks;   /* sandbox_fork_sibling */
} profiles[SANDBOX_PROFILES] = {
    [SANDBOX_RECEIVER] = {receiver_calls, COUNT_OF(receiver_calls), SCMP_ACT_KILL_PROCESS, false, false, true},
    [SANDBOX_SIGNER] = {signer_calls, COUNT_OF(signer_calls), SCMP_ACT_KILL_PROCESS, false, false, false},
    [SANDBOX_CONNECTOR] = {connector_calls, COUNT_OF(connector_calls), SCMP_ACT_KILL_PROCESS, true, false, false},
    [SANDBOX_LEDGER] = {forbidden_calls, COUNT_OF(forbidden_calls), SCMP_ACT_ALLOW, false, true, false},
    [SANDBOX_FILES] = {forbidden_calls, COUNT_OF(forbidden_calls), SCMP_ACT_ALLOW, false, false, false},
    [SANDBOX_NETWORK] = {forbidden_calls, COUNT_OF(forbidden_calls), SCMP_ACT_ALLOW, true, false, false},
    [SANDBOX_LISTENER] = {.default_action = SCMP_ACT_ALLOW}, /* forbid_administration */
};

/* Calls that are allowed with certain arguments only: argument & mask == value. */
static const struct limited_call {
    int call;
    unsigned argument;
    uint64_t mask, value;
} limited_calls[] = {
    {SCMP_SYS(mmap), 2, PROT_EXEC, 0},
    {SCMP_SYS(mprotect), 2, PROT_EXEC, 0},
    /* The C library's fstat. A filter cannot see whether the path is empty, so stat stays possible with this flag: the
     * chroot is empty, and it opens nothing. */
    {SCMP_SYS(newfstatat), 3, AT_EMPTY_PATH, AT_EMPTY_PATH},
    {SCMP_SYS(prctl), 0, UINT32_MAX, PR_SET_NAME},
    /* Not F_SETOWN and F_SETSIG, which have the kernel send signals to any process of this user. */
    {SCMP_SYS(fcntl), 1, UINT32_MAX, F_GETFL},
    {SCMP_SYS(fcntl), 1, UINT32_MAX, F_SETFL},
    {SCMP_SYS(fcntl), 1, UINT32_MAX, F_GETFD},
    {SCMP_SYS(fcntl), 1, UINT32_MAX, F_SETFD},
    {SCMP_SYS(fcntl), 1, UINT32_MAX, F_ADD_SEALS},
    {SCMP_SYS(fcntl), 1, UINT32_MAX, F_GET_SEALS},
};

static _Noreturn void die_unprepared(const char *what, int reason) {
    die_fatal(EXIT_STATUS_SYSTEM, "cannot prepare the sandbox: %s: %s", what, strerror(reason));
}

static void check_rule(int result) {
    /* EDOM: a call that this architecture does not have. */
    if (result != 0 && result != -EDOM) {
        die_unprepared("a rule", -result);
    }
}

static void add_calls(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count) {
    for (size_t i = 0; i < count; i++) {
        check_rule(seccomp_rule_add(filter, action, calls[i], 0));
    }
}

static void add_limited(scmp_filter_ctx filter, uint32_t action, int call, struct scmp_arg_cmp compare) {
    check_rule(seccomp_rule_add_array(filter, action, call, 1, &compare));
}

/* Kinds of sockets that Landlock does not know as TCP, such as MPTCP, are numbered behind UDP. */
static void allow_limited_calls(scmp_filter_ctx filter, const struct profile *row) {
    for (size_t i = 0; i < COUNT_OF(limited_calls); i++) {
        const struct limited_call *limited = &limited_calls[i];
        add_limited(filter, SCMP_ACT_ALLOW, limited->call,
                    SCMP_CMP64(limited->argument, SCMP_CMP_MASKED_EQ, limited->mask, limited->value));
    }
    if (row->network) {
        add_limited(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), SCMP_CMP64(2, SCMP_CMP_LE, IPPROTO_UDP, 0));
    }
    if (row->forks) { /* forbid_forks_of_others sees to it that only this process does */
        add_limited(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), SCMP_CMP64(0, SCMP_CMP_EQ, SIBLING_FLAGS, 0));
    } else { /* abort(); forbid_foreign_signals sees to it that only this process is meant */
        add_limited(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), SCMP_CMP64(2, SCMP_CMP_MASKED_EQ, UINT32_MAX, SIGABRT));
    }
}

static void forbid_sockets(scmp_filter_ctx filter, bool network) {
    if (network) {
        add_limited(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(socket), SCMP_CMP64(2, SCMP_CMP_GT, IPPROTO_UDP, 0));
        return;
    }
    /* The C library tries a name service's socket first when it looks for a user's name, and goes on without. */
    add_limited(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), SCMP_CMP64(0, SCMP_CMP_EQ, AF_UNIX, 0));
    add_limited(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(socket), SCMP_CMP64(0, SCMP_CMP_NE, AF_UNIX, 0));
}

/* Threads are no processes. What clone3 is asked for lies in memory, where no filter can look: the C library then does
 * with clone. */
static void forbid_limited_calls(scmp_filter_ctx filter, const struct profile *row) {
    static const int clone3[] = {SCMP_SYS(clone3)};
    add_limited(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone), SCMP_CMP64(0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
    add_limited(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(prctl),
                SCMP_CMP64(0, SCMP_CMP_MASKED_EQ, UINT32_MAX, PR_SET_DUMPABLE));
    forbid_sockets(filter, row->network);
    if (!row->gives) {
        add_calls(filter, SCMP_ACT_ERRNO(EPERM), giving_calls, COUNT_OF(giving_calls)); /* SQLite tries some */
    }
    add_calls(filter, SCMP_ACT_ERRNO(ENOSYS), clone3, 1);
}

/* A program may be one of another architecture that this machine runs, and may ask whether it has what it does not get;
 * so calls fail here, and nobody is killed. */
static void forbid_administration(scmp_filter_ctx filter) {
    static const uint32_t others[] = {SCMP_ARCH_X86, SCMP_ARCH_ARM};
    static const uint32_t natives[] = {SCMP_ARCH_X86_64, SCMP_ARCH_AARCH64};
    static const int clone3[] = {SCMP_SYS(clone3)}, spaces[] = {SCMP_SYS(clone), SCMP_SYS(unshare)};
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        if (seccomp_arch_native() == natives[i] && seccomp_arch_add(filter, others[i]) != 0) {
            die_unprepared("an architecture", EIO);
        }
    }
    add_calls(filter, SCMP_ACT_ERRNO(EPERM), administrators_calls, COUNT_OF(administrators_calls));
    for (size_t i = 0; i < COUNT_OF(spaces); i++) {
        add_limited(filter, SCMP_ACT_ERRNO(EPERM), spaces[i],
                    SCMP_CMP64(0, SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER));
    }
    add_calls(filter, SCMP_ACT_ERRNO(ENOSYS), clone3, 1);
}

/* The compiled program, by way of a memory file. */
static void export_program(scmp_filter_ctx filter, struct sock_fprog *program) {
    int fd = file_memory("sandbox");
    int result = seccomp_export_bpf(filter, fd);
    int64_t size = file_size(fd);
    if (result != 0 || size <= 0 || size > (int64_t)(BPF_MAXINSNS * sizeof(struct sock_filter))) {
        die_unprepared("export", result != 0 ? -result : EIO);
    }
    program->filter = memory_new((size_t)size, 1);
    program->len = (unsigned short)((size_t)size / sizeof(struct sock_filter));
    if (!file_pread_all(fd, program->filter, (size_t)size, 0)) {
        die_unprepared("read", errno);
    }
    close(fd);
}

void sandbox_prepare(enum sandbox_profile profile) {
    if (prepared[profile].filter != NULL) {
        return;
    }
    const struct profile *row = &profiles[profile];
    scmp_filter_ctx filter = seccomp_init(row->default_action);
    if (filter == NULL || seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) != 0) {
        die_unprepared("libseccomp", EIO);
    }
    /* A binary tree: a few comparisons for each call instead of up to sixty. */
    (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (profile == SANDBOX_LISTENER) {
        forbid_administration(filter);
    } else if (row->default_action == SCMP_ACT_ALLOW) {
        add_calls(filter, SCMP_ACT_KILL_PROCESS, row->calls, row->count);
        forbid_limited_calls(filter, row);
    } else {
        add_calls(filter, SCMP_ACT_ALLOW, common_calls, COUNT_OF(common_calls));
        add_calls(filter, SCMP_ACT_ALLOW, row->calls, row->count);
        allow_limited_calls(filter, row);
    }
    export_program(filter, &prepared[profile]);
    seccomp_release(filter);
}

static void load(const struct sock_fprog *program) {
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) != 0) {
        die_fatal(EXIT_STATUS_SYSTEM, "cannot enter the sandbox: %s", strerror(errno));
    }
}

/* The process id is not known when the filter is compiled, so a second one guards tgkill: without it a receiver could
 * end the others of its user. And to calls that are newer than our lists it says what an older kernel says, which every
 * library can do with. Filters stack, the strictest answer counts. Architecture: the first filter checks it. */
static void forbid_foreign_signals_and_new_calls(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, NEWEST_CALL, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)SCMP_SYS(tgkill), 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)getpid(), 2, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = COUNT_OF(code), .filter = code};
    load(&program);
}

static void make_fork_secret(void) {
    fork_secret = mmap(NULL, sizeof *fork_secret, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fork_secret == MAP_FAILED || madvise(fork_secret, sizeof *fork_secret, MADV_WIPEONFORK) != 0) {
        die_unprepared("a page that is emptied", errno);
    }
    random_fill(&fork_secret->token, sizeof fork_secret->token);
}

/* A filter is inherited and asks everybody the same, so it asks for what only this process knows. */
static void forbid_forks_of_others(void) {
    static const struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)SCMP_SYS(clone), 0, 5),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2), /* the token's first half */
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2]) + sizeof(uint32_t)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), /* the second */
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    _Static_assert(sizeof code == sizeof fork_secret->code, "the page has room for the filter");
    make_fork_secret();
    memcpy(fork_secret->code, code, sizeof code);
    fork_secret->code[3].k = fork_secret->words[0];
    fork_secret->code[5].k = fork_secret->words[1];
    const struct sock_fprog program = {.len = COUNT_OF(code), .filter = fork_secret->code};
    load(&program);
}

void sandbox_enter(enum sandbox_profile profile) {
    if (prepared[profile].filter == NULL) {
        die_panic("sandbox_enter: the profile was not prepared");
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        die_fatal(EXIT_STATUS_SYSTEM, "cannot enter the sandbox: %s", strerror(errno));
    }
    if (profiles[profile].forks) {
        forbid_forks_of_others();
    } else if (profile != SANDBOX_LISTENER) {
        forbid_foreign_signals_and_new_calls();
    }
    load(&prepared[profile]);
}

/* Not by the C library, whose fork the filter cannot tell from an attacker's; nothing of what it does besides concerns
 * a process with one thread. */
pid_t sandbox_fork_sibling(void) {
    return (pid_t)syscall(SYS_clone, SIBLING_FLAGS, 0, fork_secret->token, 0, 0);
}

_Noreturn void sandbox_exit(int status) {
    _exit(status);
}
