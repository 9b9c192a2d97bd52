/* SPDX-License-Identifier: MIT
 * Changes: asked of the ledger over its socket, which knows the caller's uid; done in change_offline.c while nobody
 * listens there. */
#include "control/change.h"
#include "control/change_offline.h"
#include "control/operator.h"
#include <stdio.h>

int change_ask(struct control *control, const char *verb, const char *argument, const char *detail) {
    struct buffer answer;
    int status = EXIT_STATUS_ERROR;
    buffer_init(&answer, OPERATOR_ANSWER_MAXIMUM);
    switch (operator_ask(control->config, "ledger.sock", verb, argument, detail, &answer, &status)) {
    case OPERATOR_ANSWERED:
        if (answer.length > 0) {
            fprintf(status == EXIT_STATUS_OK ? stdout : stderr, "%s\n", buffer_string(&answer));
        }
        break;
    case OPERATOR_REFUSED:
        status = control_fail(EXIT_STATUS_NO_PERMISSION, "%s/ledger.sock: not permitted; be root or %s",
                              control->config->control_directory, control->config->user_name);
        break;
    case OPERATOR_LOST:
        status = control_fail(EXIT_STATUS_TEMPFAIL, "the server ended before it answered");
        break;
    case OPERATOR_NOBODY:
        status = change_offline(control, verb, argument, detail);
        break;
    }
    buffer_free(&answer);
    return status;
}
