/* SPDX-License-Identifier: MIT
 * The resolver process: all DNS for receivers and agents. */
#ifndef RESOLVER_RESOLVER_H
#define RESOLVER_RESOLVER_H
#include "ipc/process.h"
/* A process_main: serves DNS_ASK until the last asker is gone; never returns. */
_Noreturn void resolver_main(const struct process_start *start);
#endif
