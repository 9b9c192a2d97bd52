/* SPDX-License-Identifier: MIT
 * `parcelpost queue show`: one message, its recipients, every attempt; its headers or all of it (content.h). Reading
 * only. */
#include "control/content.h"
#include "control/control.h"
#include "control/json.h"
#include "control/report_show.h"
#include "control/table.h"
#include "mail/mail_id.h"
#include <stdio.h>
#include <string.h>

static int no_such_mail(const char *mail_id) {
    return control_fail(EXIT_STATUS_NO_USER, "there is no message \"%s\". Try: parcelpost queue list", mail_id);
}

static bool show_mail(void *context, const struct report_row *row) {
    bool *found = context;
    *found = true;
    return table_print_fields(stdout, row);
}

static bool show_words(struct database *database, const char *mail_id, bool *found) {
    static const char *const parcels[] = {"PARCEL", "TO",   "DELIVERED AS", "DELIVERY", "STATE", "TRIES",
                                          "LAST",   "NEXT", "GIVEN UP",     "ANSWER",   NULL};
    static const char *const attempts[] = {"STARTED", "TO", "ROUTE", "HOST", "ADDRESS", "TLS", "ANSWER", "MS", NULL};
    return report_run(database, REPORT_MAIL, mail_id, show_mail, found) &&
           report_show_part(database, REPORT_MAIL_PARCELS, mail_id, "Recipients", parcels) &&
           report_show_part(database, REPORT_MAIL_ATTEMPTS, mail_id, "Attempts", attempts);
}

/* ---- --json ---- */

static bool count_mail(void *context, const struct report_row *row) {
    bool *found = context;
    *found = true;
    fputs("{\"mail\": ", stdout);
    json_row(stdout, row);
    return true;
}

static bool show_array(struct database *database, enum report_kind kind, const char *mail_id, const char *name) {
    struct json_array array;
    printf(",\n\"%s\": ", name);
    json_array_begin(&array, stdout);
    bool good = report_run(database, kind, mail_id, json_array_row, &array);
    json_array_end(&array);
    return good;
}

static bool show_json(struct database *database, const char *mail_id, bool *found) {
    if (!report_run(database, REPORT_MAIL, mail_id, count_mail, found) || !*found) {
        return !*found;
    }
    bool good = show_array(database, REPORT_MAIL_PARCELS, mail_id, "parcels") &&
                show_array(database, REPORT_MAIL_ATTEMPTS, mail_id, "attempts");
    puts("}");
    return good;
}

/* ---- */

static int show(struct control *control, const char *mail_id,
                bool (*how)(struct database *database, const char *mail_id, bool *found)) {
    struct database *database = control_database(control);
    bool found = false;
    if (database == NULL) {
        return EXIT_STATUS_ERROR;
    }
    bool good = how(database, mail_id, &found);
    int status = EXIT_STATUS_OK;
    if (!good) {
        status = control_fail(EXIT_STATUS_ERROR, "%s", database_error(database));
    } else if (!found) {
        status = no_such_mail(mail_id);
    }
    database_close(database);
    return status;
}

int control_queue_show(struct control *control, int count, char **arguments) {
    const char *mail_id = arguments[0], *how = count > 1 ? arguments[1] : "";
    if (!mail_id_is_valid(text_of(mail_id))) {
        return no_such_mail(mail_id);
    }
    if (strcmp(how, "--headers") == 0) {
        return content_show(control, mail_id, CONTENT_HEADERS);
    }
    if (strcmp(how, "--message") == 0) {
        return content_show(control, mail_id, CONTENT_ALL);
    }
    if (how[0] != '\0' && strcmp(how, "--json") != 0) {
        return control_fail(EXIT_STATUS_USAGE, "\"%s\" is not understood; --headers, --message or --json are", how);
    }
    return show(control, mail_id, how[0] == '\0' ? show_words : show_json);
}
