/* SPDX-License-Identifier: MIT
 * Allocation that cannot fail. Called everywhere, any privilege; running out of memory or an impossible size ends
 * the process through die_out_of_memory. */
#include "base/memory.h"
#include "base/log.h"
#include <stdlib.h>
#include <string.h>

void *memory_new(size_t count, size_t size) {
    void *memory = calloc(count > 0 ? count : 1, size > 0 ? size : 1);
    if (memory == NULL) {
        die_out_of_memory();
    }
    return memory;
}

void *memory_resize(void *memory, size_t count, size_t size) {
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) {
        die_out_of_memory();
    }
    void *resized = realloc(memory, total > 0 ? total : 1);
    if (resized == NULL) {
        die_out_of_memory();
    }
    return resized;
}

char *memory_string(struct text text) {
    char *string = memory_resize(NULL, text.length + 1, 1); /* calloc knows no cache of freed blocks */
    if (text.length > 0) {
        memcpy(string, text.data, text.length);
    }
    string[text.length] = '\0';
    return string;
}
