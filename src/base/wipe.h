/* SPDX-License-Identifier: MIT
 * Clearing what a secret leaves where no variable names it. */
#ifndef BASE_WIPE_H
#define BASE_WIPE_H
#include <stddef.h>
#define WIPED_STACK ((size_t)16 * 1024) /* bytes; crypt(3) takes 4 KiB */
/* Zeroes the stack below its caller, so far as WIPED_STACK (but for the words of its own frame), and the processor's
 * vector registers: those that copied or compared a secret hold it until something else needs them, and whatever saves
 * registers (the dynamic linker does, when a library calls a function for the first time) writes it to the stack. Call
 * it from the function that has called everything that touched the secret, when what is named has been cleared. Costs
 * less than a microsecond. Registers are cleared on x86-64 alone. */
void wipe_traces(void);
#endif
