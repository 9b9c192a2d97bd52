/* SPDX-License-Identifier: MIT
 * What the fuzz targets share: taking numbers and pieces off the input, which is copied so that the smallest step past
 * an end is seen, and a check that ends the run. A target is one file with fuzz_start (once) and fuzz_one (an input).
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H
#include "base/buffer.h"
#include "base/log.h"
#include "base/memory.h"
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void fuzz_start(void);
static void fuzz_one(struct text input);

#define FUZZ_CHECK(condition)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            (void)fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                            \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    log_start(open("/dev/null", O_WRONLY | O_CLOEXEC), "fuzz", LOG_LEVEL_FATAL);
    fuzz_start();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    char *copy = memory_new(size + 1, 1);

    if (size > 0)
        memcpy(copy, bytes, size);
    char *exact = realloc(copy, size > 0 ? size : 1);
    fuzz_one((struct text){exact, size});
    free(exact);
    return 0;
}

/* The next byte of the input; 0 behind its end. */
static inline uint8_t fuzz_byte(struct text *input) {
    uint8_t byte = input->length > 0 ? (uint8_t)input->data[0] : 0;

    *input = text_from(*input, 1);
    return byte;
}

/* The next piece: as long as the byte before it says. */
static inline struct text fuzz_piece(struct text *input) {
    struct text piece = text_first(text_from(*input, 1), fuzz_byte(&(struct text){input->data, input->length}));

    *input = text_from(*input, 1 + piece.length);
    return piece;
}

/* The piece as a string, cut at its first NUL, in a block of its own; free(3) it. */
__attribute__((unused)) static char *fuzz_string(struct text *input) {
    struct text piece = fuzz_piece(input);

    return memory_string(text_first(piece, text_find(piece, '\0')));
}
#endif
