/* SPDX-License-Identifier: MIT
 * The ledger's entry point (ipc/process.h): the only writer of parcelpost.db and of queue/. */
#ifndef LEDGER_LEDGER_H
#define LEDGER_LEDGER_H
#include "ipc/process.h"
_Noreturn void ledger_main(const struct process_start *start);
#endif
