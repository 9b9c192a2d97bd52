/* SPDX-License-Identifier: MIT
 * Blocks of one size in pages of their own. Called by the event loop and the listener, in every process; running out of
 * memory ends it. */
#include "base/pool.h"
#include "base/log.h"
#include <stdalign.h>
#include <string.h>
#include <sys/mman.h>

#define BYTES_AT_ONCE ((size_t)64 * 1024)

struct pool_block {
    struct pool_block *next;
};

static size_t step_of(const struct pool *pool) {
    size_t size = pool->size < sizeof(struct pool_block) ? sizeof(struct pool_block) : pool->size;
    return (size + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
}

/* Pages that are not taken from are not touched. */
static void grow(struct pool *pool) {
    pool->fresh = mmap(NULL, BYTES_AT_ONCE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pool->fresh == MAP_FAILED) {
        die_out_of_memory();
    }
    pool->left = BYTES_AT_ONCE;
}

void *pool_take(struct pool *pool) {
    struct pool_block *block = pool->free;
    if (block != NULL) {
        pool->free = block->next;
        return memset(block, 0, pool->size);
    }
    if (pool->left < step_of(pool)) {
        grow(pool);
    }
    void *fresh = pool->fresh;
    pool->fresh += step_of(pool);
    pool->left -= step_of(pool);
    return fresh;
}

void pool_give(struct pool *pool, void *memory) {
    struct pool_block *block = memory;
    if (block != NULL) {
        block->next = pool->free;
        pool->free = block;
    }
}
