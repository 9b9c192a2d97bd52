/* SPDX-License-Identifier: MIT
 * The lookup process: who is local, who may log in. */
#ifndef LOOKUP_LOOKUP_H
#define LOOKUP_LOOKUP_H
#include "ipc/process.h"
/* A process_main: serves LOOKUP_* until the last asker is gone; never returns. */
_Noreturn void lookup_main(const struct process_start *start);
#endif
