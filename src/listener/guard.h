/* SPDX-License-Identifier: MIT
 * The guard: a process that runs lock_command and unlock_command with the rights the server was started with, since a
 * firewall takes no orders from anybody less. It reads nothing but what the listener sends, runs one command after the
 * other, and ends with the listener. */
#ifndef LISTENER_GUARD_H
#define LISTENER_GUARD_H
#include "base/loop.h"
#include "base/text.h"
#include <stdbool.h>
#include <sys/types.h>
struct guard;
/* A command has ended, whatever its status. */
typedef void guard_done(void *context, const char *command, struct text contact);
/* Forks the guard; to be called before the listener gives its capabilities up. detach: its standard streams become
 * /dev/null. NULL when there is none (logged). */
struct guard *guard_start(struct loop *loop, bool detach, guard_done *done, void *context);
/* Whether it is this process; NULL is nobody. */
bool guard_is(const struct guard *guard, pid_t pid);
/* Has the guard run this command for this contact, after all that were asked for before; never waits: what the guard
 * cannot take yet is kept. An empty command is none. */
void guard_run(struct guard *guard, const char *command, struct text contact);
/* Hands over what is kept and waits until the guard has ended, both for a few seconds at most. NULL is ignored. */
void guard_free(struct guard *guard);
/* In the guard: runs the command and waits for its end; one that takes too long is killed. */
void guard_command(const char *command, const char *contact);
#endif
