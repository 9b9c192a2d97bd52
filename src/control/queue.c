/* SPDX-License-Identifier: MIT
 * `parcelpost queue list`: parcels by filters, as a table or JSON. Reading only. */
#include "control/control.h"
#include "control/filter.h"
#include "control/json.h"
#include "control/table.h"
#include <stdio.h>
#include <time.h>

#define TABLE_ROWS 1000 /* shown without limit= */

static const char *const titles[] = {"ID",    "STATE", "BYTES", "RECEIVED",    "NEXT TRY",
                                     "TRIES", "FROM",  "TO",    "LAST ANSWER", NULL};

static bool list_json(struct database *database, const struct filter *filter) {
    struct json_array array;
    json_array_begin(&array, stdout);
    bool good = report_parcels(database, &filter->report, (int64_t)time(NULL), json_array_row, &array);
    json_array_end(&array);
    putchar('\n');
    return good;
}

struct shown {
    struct table *table;
    size_t maximum;
    bool more;
};

static bool show_row(void *context, const struct report_row *row) {
    struct shown *shown = context;
    shown->more = shown->maximum > 0 && table_count(shown->table) == shown->maximum;
    return !shown->more && table_add_row(shown->table, row);
}

static bool list_table(struct database *database, const struct filter *filter) {
    struct shown shown = {.table = table_new(titles),
                          .maximum = filter->limited ? (size_t)filter->report.limit : TABLE_ROWS};
    struct report_filter report = filter->report;
    report.limit = 0;
    bool good = report_parcels(database, &report, (int64_t)time(NULL), show_row, &shown);
    if (good && table_count(shown.table) == 0) {
        puts(filter_names_something(filter) ? "Nothing in the queue is like that." : "The queue is empty.");
    }
    table_print(shown.table, stdout);
    if (shown.more) {
        printf("There is more; limit=0 shows all.\n");
    }
    table_free(shown.table);
    return good;
}

int control_queue_list(struct control *control, int count, char **arguments) {
    struct filter filter;
    if (!filter_parse(&filter, count, arguments)) {
        return EXIT_STATUS_USAGE;
    }
    if (filter.mail_id_count > 1) {
        return control_fail(EXIT_STATUS_USAGE, "one message's id, or filters");
    }
    if (filter.mail_id_count == 1) {
        filter.report.mail_id = filter.mail_ids[0];
    }
    struct database *database = control_database(control);
    if (database == NULL) {
        return EXIT_STATUS_ERROR;
    }
    bool good = filter.json ? list_json(database, &filter) : list_table(database, &filter);
    int status = good ? EXIT_STATUS_OK : control_fail(EXIT_STATUS_ERROR, "%s", database_error(database));
    control_tell_unread(control, database);
    database_close(database);
    return status;
}
