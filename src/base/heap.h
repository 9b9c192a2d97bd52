/* SPDX-License-Identifier: MIT
 * Readying a process's heap for those that are forked from it. */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H
#include <stddef.h>
/* Before anything else, for this process and all that are forked from it: large blocks are mapped apart and given back
 * when they are freed. By itself the C library would keep them in the heap from the second one on, so that a process
 * that has once had a large message holds its memory to its end. */
void heap_prepare(void);
/* For a process that has much in hand for a moment again and again: so many bytes that are free at the heap's end stay
 * with it, instead of going to the system and coming from it each time, with the faults of each page. */
void heap_keep(size_t bytes);
/* For one that takes and frees blocks of up to this size all the time, and calls malloc_trim when it rests: they come
 * from the heap, and twice as much that is free at its end stays. */
void heap_keep_blocks(size_t largest);
/* Gives free memory at the heap's end back and fills the holes within it, so that what a child allocates lies together
 * in new pages and does not make private copies of many shared ones. Call it once the heap has its lasting shape. */
void heap_settle(void);
#endif
