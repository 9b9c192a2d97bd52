/* SPDX-License-Identifier: MIT
 * The queue runner's entry point (ipc/process.h): what is due, when, to whom. */
#ifndef RUNNER_RUNNER_H
#define RUNNER_RUNNER_H
#include "ipc/process.h"
_Noreturn void runner_main(const struct process_start *start);
#endif
