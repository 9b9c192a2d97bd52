/* SPDX-License-Identifier: MIT
 * The listener: binds the ports, accepts, forks and supervises every other process; parcelpost-queue without a daemon
 * is the same without ports. Called by src/programs. Never parses network bytes. */
#ifndef LISTENER_LISTENER_H
#define LISTENER_LISTENER_H
#include "config/config.h"
#include <stdbool.h>
struct listener_options {
    int log_level;               /* enum log_level, or -1: what the configuration says */
    bool daemonize;              /* detach once everything runs */
    bool queue_run;              /* parcelpost-queue: no ports, one run of the queue */
    const char *const *mail_ids; /* queue_run: only these; NULL-terminated, or NULL for all that is due */
};
/* Runs until it is told to stop. config is owned from now on (a reload replaces it). Returns the exit status. */
int listener_main(struct config *config, const struct listener_options *options);
#endif
