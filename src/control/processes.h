/* SPDX-License-Identifier: MIT
 * The server's processes as /proc shows them to anybody: the one of the pid file and its descendants. */
#ifndef CONTROL_PROCESSES_H
#define CONTROL_PROCESSES_H
#include "config/config.h"
#include <stdint.h>
#include <sys/types.h>
#define PROCESS_NAME_SIZE 32
struct process_group { /* those of one name and user */
    char name[PROCESS_NAME_SIZE], user[PROCESS_NAME_SIZE];
    unsigned count;
    int64_t kib;    /* resident, of all together */
    double seconds; /* of CPU that those which run now have used */
};
struct processes {
    pid_t server; /* 0: none runs */
    int64_t up_seconds;
    unsigned count;
    struct process_group *groups;
    size_t group_count;
};
/* The caller frees with processes_free. */
void processes_read(const struct config *config, struct processes *processes);
void processes_free(struct processes *processes);
/* Clients connected to the ports of the listen blocks (not to Unix sockets). */
unsigned processes_sessions(const struct config *config);
#endif
