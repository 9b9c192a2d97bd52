/* SPDX-License-Identifier: MIT
 * Forgetting what destinations have shown of TLS (table destinations), when an operator says that its absence is right.
 * Used by orders/tls.c; false on a database error, with the reason in database_error. */
#ifndef STORE_TLS_MEMORY_H
#define STORE_TLS_MEMORY_H
#include "store/database.h"
#include <stdint.h>
/* Of one destination, or of all with NULL; it may be tried again at once. *changed: how many. */
bool tls_memory_forgive(struct database *database, const char *destination, int64_t now, int64_t *changed);
#endif
