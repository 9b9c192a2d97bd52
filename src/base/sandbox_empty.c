/* SPDX-License-Identifier: MIT
 * No sandbox: sanitizers need system calls that the filters forbid, and files that Landlock does. Linked in place of
 * sandbox.c and landlock.c by SANITIZE=1 alone; says so in the log, so that nobody runs such a build by mistake. */
#include "base/landlock.h"
#include "base/log.h"
#include "base/sandbox.h"
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

void sandbox_prepare(enum sandbox_profile profile) {
    (void)profile;
}

void sandbox_enter(enum sandbox_profile profile) {
    log_debug("profile %d: this build has no sandbox", (int)profile);
}

pid_t sandbox_fork_sibling(void) {
    return (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
}

_Noreturn void sandbox_exit(int status) {
    exit(status);
}

int landlock_version(void) {
    return 0;
}

void landlock_enter(const struct landlock_rules *rules) {
    (void)rules;
}
