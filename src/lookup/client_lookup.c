/* SPDX-License-Identifier: MIT
 * Asking where an address leads. Called while names are followed, as parcelpost-auth, with addresses of strangers.
 * Without a client_lookup.sql the table aliases is the answer; a statement that fails is a temporary failure. */
#include "lookup/client_lookup.h"
#include "base/log.h"
#include "lookup/rules.h"

static enum aliases_found ask_operator(struct lookup *lookup, struct text key, struct buffer *rows) {
    if (lookup->rules == NULL || !rules_have(lookup->rules, RULE_CLIENT_LOOKUP)) {
        return ALIASES_NO;
    }
    switch (rules_places(lookup->rules, key, rows)) {
    case SQL_SILENT:
        return ALIASES_NO;
    case SQL_SPOKE:
        return ALIASES_YES;
    case SQL_FAILED:
        break;
    }
    return ALIASES_ERROR;
}

enum aliases_found client_lookup(struct lookup *lookup, struct text key, unsigned limit, struct buffer *rows) {
    enum aliases_found found = ask_operator(lookup, key, rows);
    if (found != ALIASES_NO) {
        return found;
    }
    found = aliases_targets(lookup->main.database, key, limit, rows);
    if (found == ALIASES_ERROR) {
        log_error("the aliases of %.*s cannot be read: %s", TEXT_ARGS(key), database_error(lookup->main.database));
    }
    return found;
}
