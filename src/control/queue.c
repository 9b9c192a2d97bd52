/* SPDX-License-Identifier: MIT
 * `parcelpost queue …`: what waits, and changes to it. Reading is done here, changes by the ledger (change.h). */
#include "control/change.h"
#include "control/control.h"
#include "control/report_show.h"
#include "control/table.h"
#include "mail/mail_id.h"
#include <stdio.h>
#include <string.h>

static int no_such_mail(const char *mail_id) {
    return control_fail(EXIT_STATUS_NO_USER, "there is no message \"%s\". Try: parcelpost queue list", mail_id);
}

int control_queue_list(struct control *control, int count, char **arguments) {
    static const char *const titles[] = {"ID",    "STATE", "BYTES", "RECEIVED",    "NEXT TRY",
                                         "TRIES", "FROM",  "TO",    "LAST ANSWER", NULL};
    (void)count;
    (void)arguments;
    return report_show(control, REPORT_QUEUE, NULL, titles, "The queue is empty.");
}

struct mail_shown {
    bool found;
};

static void show_mail(void *context, const struct report_row *row) {
    struct mail_shown *shown = context;
    shown->found = true;
    table_print_fields(stdout, row);
}

static bool show_table(struct database *database, enum report_kind kind, const char *mail_id, const char *head,
                       const char *const *titles) {
    struct table *table = table_new(titles);
    bool good = report_run(database, kind, mail_id, table_add_row, table);
    if (table_count(table) > 0) {
        printf("\n%s\n", head);
    }
    table_print(table, stdout);
    table_free(table);
    return good;
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
                show_table(database, REPORT_MAIL_PARCELS, mail_id, "Recipients", parcels) &&
                show_table(database, REPORT_MAIL_ATTEMPTS, mail_id, "Attempts", attempts);
    int status = EXIT_STATUS_OK;
    if (!good) {
        status = control_fail(EXIT_STATUS_ERROR, "%s", database_error(database));
    } else if (!shown.found) {
        status = no_such_mail(mail_id);
    }
    database_close(database);
    return status;
}

static int change_mail(struct control *control, const char *verb, const char *mail_id, bool all_allowed) {
    bool all = all_allowed && strcmp(mail_id, "all") == 0;
    if (!all && !mail_id_is_valid(text_of(mail_id))) {
        return no_such_mail(mail_id);
    }
    return change_ask(control, verb, mail_id, "");
}

int control_queue_hold(struct control *control, int count, char **arguments) {
    (void)count;
    return change_mail(control, "queue hold", arguments[0], false);
}

int control_queue_release(struct control *control, int count, char **arguments) {
    (void)count;
    return change_mail(control, "queue release", arguments[0], false);
}

int control_queue_retry(struct control *control, int count, char **arguments) {
    (void)count;
    return change_mail(control, "queue retry", arguments[0], true);
}

int control_queue_remove(struct control *control, int count, char **arguments) {
    (void)count;
    return change_mail(control, "queue remove", arguments[0], false);
}

int control_queue_rebuild(struct control *control, int count, char **arguments) {
    (void)count;
    (void)arguments;
    return change_rebuild(control);
}
