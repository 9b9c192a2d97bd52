/* SPDX-License-Identifier: MIT
 * Blocks of one size in pages of their own, away from the heap: what a process has many of while it forks others would
 * leave holes all over the heap, and each child that allocates would make private copies of the pages they lie in. */
#ifndef BASE_POOL_H
#define BASE_POOL_H
#include <stddef.h>
/* Initialised by POOL(type); lasts as long as the process, and keeps the pages it once had. */
struct pool {
    size_t size;
    struct pool_block *free; /* given back */
    char *fresh;             /* never taken */
    size_t left;             /* bytes there */
};
#define POOL(type)                                                                                                     \
    { .size = sizeof(type) }

/* A zeroed block of the pool's size, to be given back with pool_give. Running out of memory is fatal. */
void *pool_take(struct pool *pool);
/* NULL does nothing. */
void pool_give(struct pool *pool, void *block);
#endif
