/* SPDX-License-Identifier: MIT
 * Allocation that cannot fail: running out of memory is fatal in this one place. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H
#include "base/text.h"
#include <stddef.h>
/* Zeroed memory, owned by the caller, released with free(). */
void *memory_new(size_t count, size_t size);
/* Like realloc; new bytes are not zeroed. */
void *memory_resize(void *memory, size_t count, size_t size);
/* A NUL-terminated copy, owned by the caller. */
char *memory_string(struct text text);
#endif
