/* SPDX-License-Identifier: MIT
 * Rows of destinations: see destinations.h. Errors are returned. */
#include "store/destinations.h"
#include "store/statements.h"
#include <string.h>

static const char *const tls_names[] = {
    [DESTINATIONS_TLS_NONE] = "",
    [DESTINATIONS_TLS_OFFERED] = "offered",
    [DESTINATIONS_TLS_VERIFIED] = "verified",
};
#define TLS_NAMES (sizeof tls_names / sizeof tls_names[0])

static uint32_t tls_of(const char *name) {
    uint32_t tls = DESTINATIONS_TLS_NONE;
    for (uint32_t i = 0; i < TLS_NAMES; i++) {
        tls = strcmp(tls_names[i], name) == 0 ? i : tls;
    }
    return tls;
}

enum destinations_found destinations_find(struct database *database, struct text name, struct destinations_row *row) {
    struct sqlite3_stmt *statement = statement_query(database, STATEMENT_DESTINATION_FIND, BINDS(bind_text(name)));
    enum statement_result result = statement_step(statement);
    if (result == STATEMENT_ROW) {
        *row = (struct destinations_row){.failures = (uint32_t)column_integer(statement, 0),
                                         .retry_at = column_time(statement, 1),
                                         .tls = tls_of(column_string(statement, 3)),
                                         .tls_at = column_time(statement, 4)};
        text_copy(row->reason, sizeof row->reason, text_of(column_string(statement, 2)));
    }
    statement_end(statement);
    return result == STATEMENT_ROW ? DESTINATIONS_YES : result == STATEMENT_DONE ? DESTINATIONS_NO : DESTINATIONS_ERROR;
}

bool destinations_failed(struct database *database, struct text name, int64_t retry_at, struct text reason,
                         int64_t now) {
    return statement_run(database, STATEMENT_DESTINATION_FAILED,
                         BINDS(bind_text(name), bind_time(retry_at), bind_text(reason), bind_time(now)));
}

bool destinations_answered(struct database *database, struct text name, uint32_t tls, int64_t now) {
    if (tls == DESTINATIONS_TLS_NONE || tls >= TLS_NAMES) {
        return statement_run(database, STATEMENT_DESTINATION_ANSWERED, BINDS(bind_text(name), bind_time(now)));
    }
    return statement_run(database, STATEMENT_DESTINATION_SHOWED,
                         BINDS(bind_text(name), bind_string(tls_names[tls]), bind_time(now)));
}

bool destinations_allow(struct database *database, const char *mail_id, int64_t now) {
    return statement_run(database, STATEMENT_DESTINATIONS_ALLOW, BINDS(bind_string(mail_id), bind_time(now)));
}
