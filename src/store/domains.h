/* SPDX-License-Identifier: MIT
 * The domains table: what the configuration names, beside what was added by hand. */
#ifndef STORE_DOMAINS_H
#define STORE_DOMAINS_H
#include "store/database.h"
#include <stddef.h>
/* Has the table name these as configured, and no others: rows added by hand stay. Within the caller's transaction;
 * false on a database error. */
bool domains_configure(struct database *database, const char *const *names, size_t count);
#endif
