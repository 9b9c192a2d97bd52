/* SPDX-License-Identifier: MIT
 * Settings carried over into a database that is made anew. Called by spool_rebuild, offline, as the spool's user: the
 * former database may be damaged, so each table is read for itself and a failure is only told. */
#include "store/settings.h"
#include "store/statements.h"
#include <unistd.h>

#define COLUMNS_MAXIMUM 8

static const struct {
    const char *what;
    enum statement_name read, write;
} tables[] = {
    {"domains", STATEMENT_KEEP_DOMAINS, STATEMENT_PUT_DOMAIN},
    {"aliases", STATEMENT_KEEP_ALIASES, STATEMENT_PUT_ALIAS},
    {"vacations", STATEMENT_KEEP_VACATIONS, STATEMENT_PUT_VACATION},
    {"hold rules", STATEMENT_KEEP_HOLD_RULES, STATEMENT_PUT_HOLD_RULE},
};

/* An empty text where there was none: the statement knows which columns may be NULL. */
static bool copy_row(struct database *database, enum statement_name write, struct sqlite3_stmt *row) {
    struct bind binds[COLUMNS_MAXIMUM];
    size_t count = (size_t)column_count(row);
    for (size_t i = 0; i < count && i < COLUMNS_MAXIMUM; i++) {
        binds[i] = bind_string(column_string(row, (int)i));
    }
    return statement_run(database, write, binds, count);
}

static void copy_table(struct database *database, struct database *former, size_t table, struct buffer *report) {
    struct sqlite3_stmt *rows = statement_query(former, tables[table].read, BINDS_NONE);
    enum statement_result result;
    long long count = 0;
    while ((result = statement_step(rows)) == STATEMENT_ROW && copy_row(database, tables[table].write, rows)) {
        count++;
    }
    statement_end(rows);
    if (result != STATEMENT_DONE) {
        buffer_format(report, "%s: not all could be kept: %s\n", tables[table].what,
                      database_error(result == STATEMENT_ERROR ? former : database));
    } else if (count > 0) {
        buffer_format(report, "%lld %s kept\n", count, tables[table].what);
    }
}

void settings_keep(struct database *database, const char *former, struct buffer *report) {
    struct buffer error;
    if (access(former, F_OK) != 0) {
        return;
    }
    buffer_init(&error, 4096);
    struct database *read = database_open(former, DATABASE_MAIN, DATABASE_READ, &error);
    if (read == NULL) {
        buffer_format(report, "aliases, vacations, hold rules and domains of the former database are lost: %s\n",
                      buffer_string(&error));
    }
    for (size_t i = 0; read != NULL && i < sizeof tables / sizeof tables[0]; i++) {
        copy_table(database, read, i, report);
    }
    database_close(read);
    buffer_free(&error);
}
