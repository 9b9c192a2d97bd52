/* SPDX-License-Identifier: MIT
 * Unpredictable numbers from getrandom(2). Failure is fatal. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H
#include <stddef.h>
#include <stdint.h>
void random_fill(void *destination, size_t length);
/* Uniform in 0 … bound-1; bound > 0. */
uint64_t random_below(uint64_t bound);
#endif
