/* SPDX-License-Identifier: MIT
 * What operators have put into parcelpost.db that no journal knows: domains, aliases, vacations, hold rules. */
#ifndef STORE_SETTINGS_H
#define STORE_SETTINGS_H
#include "store/database.h"
/* Copies it from the database at `former` into a new one. What cannot be read is told in the report, and left out. */
void settings_keep(struct database *database, const char *former, struct buffer *report);
#endif
