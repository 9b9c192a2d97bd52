/* SPDX-License-Identifier: MIT
 * Readying the listener's heap for the processes that are forked from it. */
#ifndef LISTENER_HEAP_H
#define LISTENER_HEAP_H
/* Before anything else, for this process and all that are forked from it: large blocks are mapped apart and given back
 * when they are freed. By itself the C library would keep them in the heap from the second one on, so that a process
 * that has once had a large message holds its memory to its end. */
void heap_prepare(void);
/* Gives free memory at the heap's end back and fills the holes within it, so that what a child allocates lies together
 * in new pages and does not make private copies of many shared ones. Call it once the heap has its lasting shape. */
void heap_settle(void);
/* Takes the filling out again: call it before the heap gets another shape, and heap_settle when it has that. Without it
 * every new configuration would need new pages, while the holes of those before stay filled. */
void heap_loosen(void);
#endif
