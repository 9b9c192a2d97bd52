/* SPDX-License-Identifier: MIT
 * Readying the listener's heap for the processes that are forked from it. */
#ifndef LISTENER_HEAP_H
#define LISTENER_HEAP_H
/* Gives free memory at the heap's end back and fills the holes within it, so that what a child allocates lies together
 * in new pages and does not make private copies of many shared ones. Call it once the heap has its lasting shape. */
void heap_settle(void);
#endif
