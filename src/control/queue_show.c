/* SPDX-License-Identifier: MIT
 * `parcelpost queue show`: one message, its recipients, every attempt. Reading only. */
#include "control/control.h"
#include "control/report_show.h"
#include "control/table.h"
#include "mail/mail_id.h"
#include <stdio.h>
#include <string.h>

static int no_such_mail(const char *mail_id) {
    return control_fail(EXIT_STATUS_NO_USER, "there is no message \"%s\". Try: parcelpost queue list", mail_id);
}

struct mail_shown {
    bool found;
};

static bool show_mail(void *context, const struct report_row *row) {
    struct mail_shown *shown = context;
    shown->found = true;
    return table_print_fields(stdout, row);
}

int control_queue_show(struct control *control, int count, char **arguments) {
    static const char *const parcels[] = {"PARCEL", "TO",   "DELIVERED AS", "DELIVERY", "STATE", "TRIES",
                                          "LAST",   "NEXT", "GIVEN UP",     "ANSWER",   NULL};
    static const char *const attempts[] = {"STARTED", "TO", "ROUTE", "HOST", "ADDRESS", "TLS", "ANSWER", "MS", NULL};
    const char *mail_id = arguments[0];
    (void)count;
    if (!mail_id_is_valid(text_of(mail_id))) {
        return no_such_mail(mail_id);
    }
    struct database *database = control_database(control);
    if (database == NULL) {
        return EXIT_STATUS_ERROR;
    }
    struct mail_shown shown = {false};
    bool good = report_run(database, REPORT_MAIL, mail_id, show_mail, &shown) &&
                report_show_part(database, REPORT_MAIL_PARCELS, mail_id, "Recipients", parcels) &&
                report_show_part(database, REPORT_MAIL_ATTEMPTS, mail_id, "Attempts", attempts);
    int status = EXIT_STATUS_OK;
    if (!good) {
        status = control_fail(EXIT_STATUS_ERROR, "%s", database_error(database));
    } else if (!shown.found) {
        status = no_such_mail(mail_id);
    }
    database_close(database);
    return status;
}
