/* SPDX-License-Identifier: MIT
 * The listener's heap before forks. Reading a configuration, certificates and filters leaves holes in many pages; a
 * child that allocates from them copies each of those pages. So the holes are filled here, once, with blocks that
 * nobody uses: some hundred KiB in this process, saved again in every receiver. */
#include "listener/heap.h"
#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#define LARGEST_HOLE ((size_t)128 * 1024) /* larger blocks are mapped apart */
#define SMALLEST_HOLE ((size_t)24)

struct filling {
    struct filling *next;
};
static struct filling *fillings; /* reachable, so that leak checkers know them */

/* One block of this size from a hole; false when there is none left that large. */
static bool fill_one(size_t size) {
    struct mallinfo2 before = mallinfo2();
    struct filling *filling = malloc(size);
    struct mallinfo2 after = mallinfo2();
    if (filling == NULL) {
        return false;
    }
    if (after.keepcost != before.keepcost || after.fordblks >= before.fordblks) {
        free(filling); /* it came from the heap's end, or from a cache */
        return false;
    }
    filling->next = fillings;
    fillings = filling;
    return true;
}

void heap_settle(void) {
    malloc_trim(0);
    for (size_t size = LARGEST_HOLE; size >= SMALLEST_HOLE; size = size > 1024 ? size / 2 : size - 8) {
        while (fill_one(size)) {
        }
    }
}
