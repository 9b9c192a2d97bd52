/* SPDX-License-Identifier: MIT
 * `parcelpost alias …`: where names lead, beside the users. Rows are read here and changed by the ledger (change.h);
 * what lookup makes of an address is asked of lookup's own code, which the program lends us. */
#include "control/change.h"
#include "control/control.h"
#include "control/names.h"
#include "control/operator.h"
#include "control/report_show.h"
#include "mail/address.h"
#include "store/users.h"
#include <stdio.h>
#include <string.h>

#define ARGUMENT_MAXIMUM 2048u

static control_explainer *explainer;

void control_set_explainer(control_explainer *function) {
    explainer = function;
}

static void warn_of_domain(struct control *control, const char *address) {
    const char *at = strrchr(address, '@');
    struct database *database = control_database(control);
    if (database != NULL && at != NULL && users_local_domain(database, text_of(at + 1)) == USERS_NO) {
        control_fail(0, "warning: %s is no domain of ours: mail to it is not taken. Add it to local_domains", at + 1);
    }
    database_close(database);
}

/* One order a target, so that the record names each. */
static int change_each(struct control *control, const char *verb, const char *address, int count, char **targets,
                       const char *owner) {
    struct buffer answer, argument;
    int64_t affected = 0;
    int status = EXIT_STATUS_ERROR;
    struct change *change = change_open(control, &status);
    if (change == NULL) {
        return status;
    }
    buffer_init(&answer, OPERATOR_ANSWER_MAXIMUM);
    buffer_init(&argument, ARGUMENT_MAXIMUM);
    status = EXIT_STATUS_OK;
    for (int i = 0; status == EXIT_STATUS_OK && i < (count > 0 ? count : 1); i++) {
        buffer_clear(&answer);
        buffer_clear(&argument);
        if (!buffer_format(&argument, "%s%s%s", address, count > 0 ? " " : "", count > 0 ? targets[i] : "")) {
            status = control_fail(EXIT_STATUS_USAGE, "that is too long for an address");
            break;
        }
        status = change_step(change, verb, buffer_string(&argument), owner, &answer, &affected);
        fprintf(status == EXIT_STATUS_OK ? stdout : stderr, "%s%s\n",
                status == EXIT_STATUS_OK ? "" : "parcelpost: ", buffer_string(&answer));
    }
    change_close(change);
    buffer_free(&answer);
    buffer_free(&argument);
    return status;
}

int control_alias_add(struct control *control, int count, char **arguments) {
    const char *owner = "";
    int targets = 0;
    for (int i = 1; i < count; i++) {
        if (strncmp(arguments[i], "owner=", strlen("owner=")) == 0) {
            owner = arguments[i] + strlen("owner=");
        } else {
            arguments[++targets] = arguments[i];
        }
    }
    if (targets == 0) {
        return control_fail(EXIT_STATUS_USAGE, "where is mail for %s to go?", arguments[0]);
    }
    int status = change_each(control, "alias add", arguments[0], targets, arguments + 1, owner);
    if (status == EXIT_STATUS_OK) {
        warn_of_domain(control, arguments[0]);
    }
    return status;
}

int control_alias_remove(struct control *control, int count, char **arguments) {
    return change_each(control, "alias remove", arguments[0], count - 1, arguments + 1, "");
}

int control_alias_list(struct control *control, int count, char **arguments) {
    static const char *const titles[] = {"ADDRESS", "LEADS TO", "OWNER", "SINCE", NULL};
    return count > 0 ? report_show(control, REPORT_ALIAS, arguments[0], titles, "That is no alias.")
                     : report_show(control, REPORT_ALIASES, NULL, titles, "There are no aliases yet.");
}

int control_alias_test(struct control *control, int count, char **arguments) {
    return explainer(control->config, arguments[0], count > 1 ? arguments[1] : "");
}
