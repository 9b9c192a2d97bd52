/* SPDX-License-Identifier: MIT
 * One report of the database as a table on standard output. Called by the subcommands that list; reading only. */
#include "control/report_show.h"
#include "control/json.h"
#include "control/table.h"
#include <stdio.h>
#include <string.h>

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

static int show_json(struct control *control, enum report_kind kind) {
    struct json_array array;
    struct database *database = control_database(control);
    if (database == NULL) {
        return EXIT_STATUS_ERROR;
    }
    json_array_begin(&array, stdout);
    bool good = report_run(database, kind, NULL, json_array_row, &array);
    json_array_end(&array);
    putchar('\n');
    int status = good ? EXIT_STATUS_OK : control_fail(EXIT_STATUS_ERROR, "%s", database_error(database));
    database_close(database);
    return status;
}

int report_show_words(struct control *control, enum report_kind kind, int count, char **arguments,
                      const char *const *titles, const char *nothing) {
    if (count == 0) {
        return report_show(control, kind, NULL, titles, nothing);
    }
    if (strcmp(arguments[0], "--json") != 0) {
        return control_fail(EXIT_STATUS_USAGE, "\"%s\" is not understood here; --json is", arguments[0]);
    }
    return show_json(control, kind);
}

bool report_show_part(struct database *database, enum report_kind kind, const char *key, const char *head,
                      const char *const *titles) {
    struct table *table = table_new(titles);
    bool good = report_run(database, kind, key, table_add_row, table);
    if (table_count(table) > 0) {
        printf("\n%s\n", head);
    }
    table_print(table, stdout);
    table_free(table);
    return good;
}
