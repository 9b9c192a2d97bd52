/* SPDX-License-Identifier: MIT
 * Files and directories of the configuration that decide what the server does, so that not everybody may write them
 * (file_is_guarded): one table for the start, a reload, and `parcelpost check`. */
#ifndef CONFIG_GUARDED_H
#define CONFIG_GUARDED_H
#include "config/config.h"
#include <stddef.h>

#define CONFIG_GUARDED 6
struct config_guarded {
    const char *key, *path; /* borrowed from the configuration */
};
void config_guarded(const struct config *config, struct config_guarded paths[CONFIG_GUARDED]);
#endif
