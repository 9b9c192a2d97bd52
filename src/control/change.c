/* SPDX-License-Identifier: MIT
 * Changes: asked of the ledger over its socket, which knows the caller's uid; done in change_offline.c while nobody
 * listens there. */
#include "control/change.h"
#include "base/memory.h"
#include "control/change_offline.h"
#include "control/operator.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct change {
    int fd; /* -1: offline */
    struct change_offline *offline;
};

struct change *change_open(struct control *control, int *status) {
    struct change change = {.fd = -1};
    switch (operator_connect(control->config, "ledger.sock", &change.fd)) {
    case OPERATOR_REFUSED:
        *status = control_fail(EXIT_STATUS_NO_PERMISSION, "%s/ledger.sock: not permitted; be root or %s",
                               control->config->control_directory, control->config->user_name);
        return NULL;
    case OPERATOR_NOBODY:
    case OPERATOR_LOST:
        change.fd = -1;
        change.offline = change_offline_open(control->config, status);
        if (change.offline == NULL) {
            return NULL;
        }
        break;
    case OPERATOR_ANSWERED:
        break;
    }
    struct change *opened = memory_new(1, sizeof(*opened));
    *opened = change;
    return opened;
}

int change_step(struct change *change, const char *verb, const char *argument, const char *detail,
                struct buffer *answer, int64_t *affected) {
    int status = EXIT_STATUS_ERROR;
    if (change->offline != NULL) {
        return change_offline_step(change->offline, verb, argument, detail, answer, affected);
    }
    if (operator_ask_over(change->fd, verb, argument, detail, answer, &status, affected) != OPERATOR_ANSWERED) {
        buffer_clear(answer);
        buffer_append_string(answer, "the server ended before it answered");
        return EXIT_STATUS_TEMPFAIL;
    }
    return status;
}

void change_close(struct change *change) {
    if (change->fd >= 0) {
        close(change->fd);
    }
    change_offline_close(change->offline);
    free(change);
}

int change_ask(struct control *control, const char *verb, const char *argument, const char *detail) {
    struct buffer answer;
    int64_t affected = 0;
    int status = EXIT_STATUS_ERROR;
    struct change *change = change_open(control, &status);
    if (change == NULL) {
        return status;
    }
    buffer_init(&answer, OPERATOR_ANSWER_MAXIMUM);
    status = change_step(change, verb, argument, detail, &answer, &affected);
    if (status != EXIT_STATUS_OK) {
        control_fail(status, "%s", buffer_string(&answer));
    } else if (answer.length > 0) {
        printf("%s\n", buffer_string(&answer));
    }
    change_close(change);
    buffer_free(&answer);
    return status;
}

void change_note(struct control *control, const char *verb, const char *argument) {
    struct buffer answer;
    int64_t affected = 0;
    int status = EXIT_STATUS_OK;
    if (access(control->config->database, F_OK) != 0) {
        return;
    }
    struct change *change = change_open(control, &status);
    if (change == NULL) {
        control_fail(0, "the change is made, but not on record");
        return;
    }
    buffer_init(&answer, OPERATOR_ANSWER_MAXIMUM);
    if (change_step(change, verb, argument, "", &answer, &affected) != EXIT_STATUS_OK) {
        control_fail(0, "the change is made, but not on record: %s", buffer_string(&answer));
    }
    change_close(change);
    buffer_free(&answer);
}
