/* SPDX-License-Identifier: MIT
 * One report of the database as a table on standard output. Called by the subcommands that list; reading only. */
#include "control/report_show.h"
#include "control/table.h"
#include <stdio.h>

int report_show(struct control *control, enum report_kind kind, const char *key, const char *const *titles,
                const char *nothing) {
    struct database *database = control_database(control);
    if (database == NULL) {
        return EXIT_STATUS_ERROR;
    }
    struct table *table = table_new(titles);
    int status = EXIT_STATUS_OK;
    if (!report_run(database, kind, key, table_add_row, table)) {
        status = control_fail(EXIT_STATUS_ERROR, "%s", database_error(database));
    } else if (table_count(table) == 0) {
        puts(nothing);
        status = key != NULL ? EXIT_STATUS_NO_USER : EXIT_STATUS_OK;
    }
    table_print(table, stdout);
    table_free(table);
    database_close(database);
    return status;
}
