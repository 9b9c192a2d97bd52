/* SPDX-License-Identifier: MIT
 * The delivery agent's entry point (ipc/process.h): one process, one destination, the messages it is handed. */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H
#include "ipc/process.h"
_Noreturn void agent_main(const struct process_start *start);
#endif
