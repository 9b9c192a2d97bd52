/* SPDX-License-Identifier: MIT
 * The nursery: a process that does nothing but fork receivers. It has what they are born with (rights, sandbox,
 * configuration, certificates, channels to those they ask) and none of the listener's descriptors, thousands in a busy
 * time, which each fork would copy; what costs most about a receiver, dropping rights and loading filters, it has done
 * once. */
#ifndef NURSERY_NURSERY_H
#define NURSERY_NURSERY_H
#include "ipc/process.h"
/* Entry point (ipc/process.h). The listener sends HUB_CHANNEL for each service, then HUB_FORK as often as it likes; for
 * each receiver it gets a HUB_BORN, with the end of its hub or, when it cannot be had, without. Receivers are the
 * listener's own children (CLONE_PARENT). Ends when the listener closes its hub. */
_Noreturn void nursery_main(const struct process_start *start);
#endif
