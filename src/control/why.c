/* SPDX-License-Identifier: MIT
 * `parcelpost why` and `stats`: what the tables say about a message, an address or a contact. Reading only. */
#include "control/control.h"
#include "control/table.h"
#include "mail/mail_id.h"
#include "store/report.h"
#include <stdio.h>
#include <string.h>

static int show_report(struct control *control, enum report_kind kind, const char *key, const char *const *titles,
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

int control_why(struct control *control, int count, char **arguments) {
    static const char *const titles[] = {"TIME", "MAIL ID", "FROM", "TO", "STATE", "TRIES", "ANSWER", NULL};
    const char *word = arguments[0];
    if (mail_id_is_valid(text_of(word))) {
        return control_queue_show(control, count, arguments);
    }
    if (strchr(word, '@') != NULL) {
        return show_report(control, REPORT_ADDRESS, word, titles, "Nothing is known of mail from or to that address.");
    }
    return control_contacts_show(control, count, arguments);
}

int control_stats(struct control *control, int count, char **arguments) {
    static const char *const titles[] = {"STATE", "PARCELS", "OLDEST", NULL};
    (void)count;
    (void)arguments;
    return show_report(control, REPORT_STATES, NULL, titles, "No mail has passed yet.");
}
