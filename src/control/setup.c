/* SPDX-License-Identifier: MIT
 * Finding and reading the configuration, for every program. A wrong one is told line by line; nothing starts then. */
#include "control/setup.h"
#include <stdio.h>
#include <unistd.h>

#define CHECKOUT_FILE "etc/parcelpost.conf"
#define INSTALLED_FILE "/etc/parcelpost/parcelpost.conf"
#define ERRORS_MAXIMUM (64u * 1024)

struct config *setup_configuration(const char *program, const char *file) {
    struct buffer errors;
    if (file == NULL) {
        file = access(CHECKOUT_FILE, R_OK) == 0 ? CHECKOUT_FILE : INSTALLED_FILE;
    }
    buffer_init(&errors, ERRORS_MAXIMUM);
    struct config *config = config_read(file, NULL, &errors);
    struct text rest = buffer_text(&errors), line;
    while (text_split(&rest, '\n', &line)) {
        fprintf(stderr, "%s: %.*s\n", program, TEXT_ARGS(line));
    }
    buffer_free(&errors);
    return config;
}
