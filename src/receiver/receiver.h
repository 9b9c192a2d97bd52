/* SPDX-License-Identifier: MIT
 * The receiver: one client's SMTP session at a time, in a process that holds nothing but that client's connection and
 * its channels to ledger, lookup, resolver and signer. */
#ifndef RECEIVER_RECEIVER_H
#define RECEIVER_RECEIVER_H
#include "ipc/process.h"
/* Entry point (ipc/process.h), called by the nursery in each process that it forks: serves receiver_sessions clients
 * that the hub sends, then ends. */
_Noreturn void receiver_main(const struct process_start *start);
#endif
