/* SPDX-License-Identifier: MIT
 * SANITIZED: this program's memory is AddressSanitizer's. is_watched: or valgrind's. For tests that measure memory, or
 * look at what nobody wrote to. */
#ifndef SANITIZED_H
#define SANITIZED_H
#include <stdbool.h>
#include <stdlib.h>
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif
static inline bool is_watched(void) {
    return SANITIZED || getenv("PARCELPOST_VALGRIND") != NULL;
}
#endif
