/* SPDX-License-Identifier: MIT
 * Fuzz target: configuration files. Each is refused with words, or accepted, printed, and accepted again. */
#include "base/file.h"
#include "config/config.h"
#include "fuzz.h"

static void fuzz_start(void) {
}

static struct config *read_text(const char *bytes, size_t length, struct buffer *errors) {
    int fd = file_memory("config");
    FILE *file = fdopen(fd, "r+");

    FUZZ_CHECK(file != NULL && file_write_all(fd, bytes, length));
    struct config *config = config_read_stream(file, "FILE", errors);
    (void)fclose(file);
    return config;
}

static void fuzz_one(struct text input) {
    struct buffer errors;
    char *printed = NULL;
    size_t length = 0;

    if (input.length == 0 ||
        memmem(input.data, input.length, "include", 7) != NULL) /* libconfuse's own: reads other files */
        return;
    buffer_init(&errors, 1u << 20);
    struct config *config = read_text(input.data, input.length, &errors);
    FUZZ_CHECK(config != NULL || errors.length > 0);
    if (config != NULL) {
        FILE *out = open_memstream(&printed, &length);
        FUZZ_CHECK(config_print(config, out) && fclose(out) == 0);
        config_free(config);
        config = read_text(printed, length, &errors);
        FUZZ_CHECK(config != NULL);
        config_free(config);
        free(printed);
    }
    buffer_free(&errors);
}
