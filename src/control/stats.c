/* SPDX-License-Identifier: MIT
 * `parcelpost stats`: how many parcels are in which state, where they wait, for how long; the last hour; who is locked
 * out. Reading only. */
#include "control/control.h"
#include "control/json.h"
#include "control/report_show.h"
#include <stdio.h>
#include <string.h>

static const char *const state_titles[] = {"STATE", "PARCELS", "OLDEST", NULL};
static const char *const age_titles[] = {"CAME", "PARCELS", NULL};
static const char *const domain_titles[] = {"DOMAIN", "PARCELS", "NEXT TRY", NULL};
static const char *const hour_titles[] = {"WHAT", "NUMBER", NULL};

static const struct {
    enum report_kind kind;
    const char *name, *head;
    const char *const *titles;
} parts[] = {
    {REPORT_STATES, "states", "Parcels by state", state_titles},
    {REPORT_AGES, "ages", "What waits, by age", age_titles},
    {REPORT_DOMAINS, "domains", "Where most wait", domain_titles},
    {REPORT_HOUR, "last_hour", "The last hour", hour_titles},
};
#define PARTS (sizeof(parts) / sizeof(parts[0]))

static bool show_tables(struct database *database) {
    bool good = true;
    for (size_t i = 0; i < PARTS && good; i++) {
        good = report_show_part(database, parts[i].kind, NULL, parts[i].head, parts[i].titles);
    }
    return good;
}

static bool show_json(struct database *database) {
    bool good = true;
    for (size_t i = 0; i < PARTS && good; i++) {
        struct json_array array;
        printf("%s\"%s\": ", i == 0 ? "{" : ",\n ", parts[i].name);
        json_array_begin(&array, stdout);
        good = report_run(database, parts[i].kind, NULL, json_array_row, &array);
        json_array_end(&array);
    }
    puts("}");
    return good;
}

int control_stats(struct control *control, int count, char **arguments) {
    if (count > 0 && strcmp(arguments[0], "--json") != 0) {
        return control_fail(EXIT_STATUS_USAGE, "\"%s\" is not understood here; --json is", arguments[0]);
    }
    struct database *database = control_database(control);
    if (database == NULL) {
        return EXIT_STATUS_ERROR;
    }
    bool good = count > 0 ? show_json(database) : show_tables(database);
    int status = good ? EXIT_STATUS_OK : control_fail(EXIT_STATUS_ERROR, "%s", database_error(database));
    control_tell_unread(control, database);
    database_close(database);
    return status;
}
