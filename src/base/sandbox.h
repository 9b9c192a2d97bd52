/* SPDX-License-Identifier: MIT
 * System call filters (seccomp). A filter is compiled once with libseccomp before the fork and loaded raw in the
 * child; a forbidden call kills the process with SIGSYS. Which process has which is the table in config/confinement.c.
 * Sanitizer builds link sandbox_empty.c instead. */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H
#include <sys/types.h>
enum sandbox_profile {
    SANDBOX_RECEIVER, /* the nursery's, which its receivers are born with */
    SANDBOX_SIGNER,
    SANDBOX_CONNECTOR,
    SANDBOX_LEDGER,   /* files, threads, no sockets, no programs */
    SANDBOX_FILES,    /* lookup, runner, agents for folders: as the ledger, and nothing is given to others */
    SANDBOX_NETWORK,  /* resolver, agents for other servers: files and sockets, no programs */
    SANDBOX_LISTENER, /* what nobody needs, programs of the operator's neither; a forbidden call fails with EPERM */
    SANDBOX_PROFILES
};
/* Compiles the profile's filter; called once in the parent. Dies on failure. */
void sandbox_prepare(enum sandbox_profile profile);
/* Loads a prepared filter into this process; there is no way back. Dies on failure. */
void sandbox_enter(enum sandbox_profile profile);
/* As fork(2), but the new process is a child of this one's parent, and its sandbox is the one that this process is in
 * already: SANDBOX_RECEIVER lets only who has entered it do so, not those who were forked. -1 with errno. */
pid_t sandbox_fork_sibling(void);
/* Ends a process that was forked to serve, without the exit handlers of libraries: they would touch, and so copy, a
 * hundred pages that it shares with its parent. In builds for sanitizers with them, for that is where leaks are told.
 */
_Noreturn void sandbox_exit(int status);
#endif
