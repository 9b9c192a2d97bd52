/* SPDX-License-Identifier: MIT
 * The table, see guarded.h. No I/O; cannot fail. */
#include "config/guarded.h"
#include <string.h>

void config_guarded(const struct config *config, struct config_guarded paths[CONFIG_GUARDED]) {
    const struct config_guarded all[CONFIG_GUARDED] = {
        {"configuration", config->file},
        {"rules_directory", config->rules_directory},
        {"queue", config->queue},
        {"database", config->database},
        {"control_directory", config->control_directory},
        {"chroot_directory", config->chroot_directory},
    };
    memcpy(paths, all, sizeof all);
}
