/* SPDX-License-Identifier: MIT
 * One update; see tls_memory.h. Runs in the ledger, or in `parcelpost` while none runs. */
#include "store/tls_memory.h"
#include "store/statements.h"

bool tls_memory_forgive(struct database *database, const char *destination, int64_t now, int64_t *changed) {
    bool good = destination != NULL
                    ? statement_run(database, STATEMENT_TLS_FORGIVE, BINDS(bind_time(now), bind_string(destination)))
                    : statement_run(database, STATEMENT_TLS_FORGIVE_ALL, BINDS(bind_time(now)));
    *changed = good ? statement_changes(database) : 0;
    return good;
}
