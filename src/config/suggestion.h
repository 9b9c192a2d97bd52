/* SPDX-License-Identifier: MIT
 * Private to config/: the known key that a wrong one was probably meant to be. */
#ifndef CONFIG_SUGGESTION_H
#define CONFIG_SUGGESTION_H
#include "config/keys.h"
/* block: NULL outside blocks. NULL when nothing is near. */
const char *suggestion_for(const struct config_block *block, const char *name);
#endif
