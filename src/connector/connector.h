/* SPDX-License-Identifier: MIT
 * The connector process: the only one that opens connections for receivers, and runs programs that they ask. */
#ifndef CONNECTOR_CONNECTOR_H
#define CONNECTOR_CONNECTOR_H
#include "ipc/process.h"
/* A process_main: becomes outside_user, serves CONNECT_ASK until the last asker and the last program are gone; never
 * returns. */
_Noreturn void connector_main(const struct process_start *start);
#endif
