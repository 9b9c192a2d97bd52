/* SPDX-License-Identifier: MIT
 * A heap before forks. Reading a configuration, certificates and filters leaves holes in many pages; a child that
 * allocates from them copies each of those pages. So the nursery fills the holes here, once, with blocks that nobody
 * uses: some hundred KiB in this process, saved again in every receiver. */
#include "base/heap.h"
#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#define LARGEST_HOLE ((size_t)128 * 1024) /* larger blocks are mapped apart */
#define SMALLEST_HOLE ((size_t)24)

/* glibc's cache of freed blocks: so many of each size, up to this size. */
#define CACHED_BLOCKS 7
#define CACHED_LARGEST ((size_t)1032)
#define CACHED_STEP ((size_t)16)

struct filling {
    struct filling *next;
};
static struct filling *fillings; /* reachable, so that leak checkers know them */

/* Fills one hole, or takes one block from the cache, into which malloc puts what else of this size it finds on its way.
 * False when the block would have been cut from the heap's end, whose pages are new: no hole is left that large. */
static bool fill_one(size_t size) {
    size_t before = mallinfo2().keepcost;
    struct filling *filling = malloc(size);
    if (filling == NULL) {
        return false;
    }
    if (mallinfo2().keepcost != before) {
        void *large = realloc(filling, CACHED_LARGEST * 4); /* grows where it is; a small one would stay in the cache */
        free(large != NULL ? large : filling);
        return false;
    }
    filling->next = fillings;
    fillings = filling;
    return true;
}

/* Blocks in the cache count as used; they lie anywhere, and children would be given them first. */
static void drain_cache(void) {
    for (size_t size = SMALLEST_HOLE; size <= CACHED_LARGEST; size += CACHED_STEP) {
        for (int i = 0; i < CACHED_BLOCKS && fill_one(size); i++) {
        }
    }
}

/* Sanitizers and valgrind put a malloc in the place of the C library's, of which mallinfo2 knows nothing: to it no hole
 * is ever filled. */
static bool is_known(void) {
    size_t before = mallinfo2().uordblks;
    void *volatile block = malloc(LARGEST_HOLE / 2);
    bool known = mallinfo2().uordblks > before;
    free(block);
    return known;
}

void heap_prepare(void) {
    mallopt(M_MMAP_THRESHOLD, (int)LARGEST_HOLE);
    /* Not back and forth with each message: what is large is given back by malloc_trim, when it is over. */
    mallopt(M_TRIM_THRESHOLD, 2 * (int)LARGEST_HOLE);
    mallopt(M_TOP_PAD, (int)LARGEST_HOLE / 2);
}

void heap_keep(size_t bytes) {
    mallopt(M_TRIM_THRESHOLD, (int)bytes);
}

void heap_keep_blocks(size_t largest) {
    mallopt(M_MMAP_THRESHOLD, (int)largest);
    mallopt(M_TRIM_THRESHOLD, 2 * (int)largest);
}

void heap_settle(void) {
    if (!is_known()) {
        return;
    }
    drain_cache();
    malloc_trim(0);
    for (size_t size = LARGEST_HOLE / 2; size >= SMALLEST_HOLE; size = size > 1024 ? size / 2 : size - 8) {
        while (fill_one(size)) {
        }
    }
}
