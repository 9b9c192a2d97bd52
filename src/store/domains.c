/* SPDX-License-Identifier: MIT
 * Rows of domains, see domains.h. Called by the spool in the ledger, inside its transactions. */
#include "store/domains.h"
#include "store/statements.h"

static bool is_named(const char *const *names, size_t count, struct text domain) {
    for (size_t i = 0; i < count; i++) {
        if (text_equal_nocase(domain, text_of(names[i]))) {
            return true;
        }
    }
    return false;
}

/* The first that is configured no longer; "" when there is none. */
static void find_unwanted(struct database *database, const char *const *names, size_t count, char *unwanted,
                          size_t size) {
    struct sqlite3_stmt *rows = statement_query(database, STATEMENT_DOMAINS_CONFIGURED, BINDS_NONE);
    unwanted[0] = '\0';
    while (unwanted[0] == '\0' && statement_step(rows) == STATEMENT_ROW) {
        struct text domain = text_of(column_string(rows, 0));
        if (!is_named(names, count, domain)) {
            (void)text_copy(unwanted, size, domain);
        }
    }
    statement_end(rows);
}

bool domains_configure(struct database *database, const char *const *names, size_t count) {
    bool good = true;
    for (size_t i = 0; good && i < count; i++) {
        good = statement_run(database, STATEMENT_DOMAIN_ADD, BINDS(bind_string(names[i])));
    }
    for (bool again = true; good && again;) {
        char unwanted[512];
        find_unwanted(database, names, count, unwanted, sizeof unwanted);
        again = unwanted[0] != '\0';
        good = !again || (statement_run(database, STATEMENT_DOMAIN_REMOVE, BINDS(bind_string(unwanted))) &&
                          statement_changes(database) > 0);
    }
    return good;
}
