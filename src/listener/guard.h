/* SPDX-License-Identifier: MIT
 * The guard: a process that runs lock_command and unlock_command with the rights the server was started with, since a
 * firewall takes no orders from anybody less. It reads nothing but what the listener sends, and ends with it. */
#ifndef LISTENER_GUARD_H
#define LISTENER_GUARD_H
#include "base/text.h"
#include <stdbool.h>
/* Forks the guard; to be called before the listener gives its capabilities up. detach: its standard streams become
 * /dev/null. Returns the channel to it, -1 when there is none (logged). */
int guard_start(bool detach);
/* Has the guard run this command for this contact; never waits. An empty command is none. */
void guard_run(int guard, const char *command, struct text contact);
/* In the guard: starts the command, detached. */
void guard_command(const char *command, const char *contact);
#endif
