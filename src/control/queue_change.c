/* SPDX-License-Identifier: MIT
 * `parcelpost queue hold`, `release`, `retry`, `bounce`, `remove`: what they are about is read from the database here,
 * and ordered in steps whose size follows how long the ledger takes, so that a hundred thousand parcels hold up
 * nobody's mail. Changes are the ledger's (change.h). */
#include "base/clock.h"
#include "base/memory.h"
#include "control/change.h"
#include "control/control.h"
#include "control/filter.h"
#include "control/operator.h"
#include "mail/mail_id.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STEP_FIRST 16 /* mails */
#define STEP_LARGEST 512
#define STEP_MILLISECONDS 50 /* that one step should take the ledger */
#define STEP_BYTES (48u * 1024)
#define BOUNCE_WORDS "given up by the postmaster"

struct verb {
    const char *name, *states, *done;
};
struct chosen {
    char mail_id[MAIL_ID_SIZE];
    uint32_t recipient;
};
struct selection {
    struct chosen *items;
    size_t count, capacity;
};

static size_t column(const struct report_row *row, const char *name) {
    size_t i = 0;
    while (i + 1 < row->count && strcmp(row->names[i], name) != 0) {
        i++;
    }
    return i;
}

static bool choose(void *context, const struct report_row *row) {
    struct selection *selection = context;
    uint64_t recipient;
    if (!text_number(text_of(row->values[column(row, "recipient")]), UINT32_MAX, &recipient)) {
        return true; /* a refused one: never in the spool */
    }
    if (selection->count == selection->capacity) {
        selection->capacity = selection->capacity == 0 ? 256 : selection->capacity * 2;
        selection->items = memory_resize(selection->items, selection->capacity, sizeof(*selection->items));
    }
    struct chosen *chosen = &selection->items[selection->count++];
    text_copy(chosen->mail_id, sizeof(chosen->mail_id), text_of(row->values[column(row, "mail_id")]));
    chosen->recipient = (uint32_t)recipient;
    return true;
}

static int compare(const void *left, const void *right) {
    return strcmp(((const struct chosen *)left)->mail_id, ((const struct chosen *)right)->mail_id);
}

static int select_parcels(struct control *control, const struct filter *filter, const struct verb *verb,
                          struct selection *selection) {
    struct report_filter report = filter->report;
    report.states = report.states != NULL ? report.states : verb->states;
    struct database *database = control_database(control);
    if (database == NULL) {
        return EXIT_STATUS_ERROR;
    }
    bool good = report_parcels(database, &report, (int64_t)time(NULL), choose, selection);
    int status = good ? EXIT_STATUS_OK : control_fail(EXIT_STATUS_ERROR, "%s", database_error(database));
    database_close(database);
    if (selection->count > 0) {
        qsort(selection->items, selection->count, sizeof(*selection->items), compare);
    }
    return status;
}

/* A line a mail behind the line of words; the place of the first that is left. */
static size_t fill_step(const struct selection *selection, size_t next, size_t mails, const char *words,
                        struct buffer *detail) {
    const char *last = "";
    buffer_clear(detail);
    buffer_format(detail, "%s", words);
    for (; next < selection->count; next++) {
        const struct chosen *chosen = &selection->items[next];
        bool new_line = strcmp(last, chosen->mail_id) != 0;
        if ((new_line && mails-- == 0) || detail->length + MAIL_ID_SIZE + 16 > STEP_BYTES) {
            break;
        }
        if (new_line) {
            buffer_format(detail, "\n%s", chosen->mail_id);
        }
        buffer_format(detail, " %u", chosen->recipient);
        last = chosen->mail_id;
    }
    return next;
}

static size_t next_step(size_t mails, int64_t milliseconds) {
    if (milliseconds < STEP_MILLISECONDS / 2 && mails < STEP_LARGEST) {
        return mails * 2;
    }
    return milliseconds > STEP_MILLISECONDS * 2 && mails > 1 ? mails / 2 : mails;
}

static int order_steps(struct change *change, const char *verb, const char *about, const char *words,
                       const struct selection *selection, int64_t *total) {
    struct buffer detail, answer;
    size_t next = 0, mails = STEP_FIRST;
    int status = EXIT_STATUS_OK;
    buffer_init(&detail, STEP_BYTES);
    buffer_init(&answer, OPERATOR_ANSWER_MAXIMUM);
    while (next < selection->count && status == EXIT_STATUS_OK) {
        int64_t affected = 0, began = clock_now_ms();
        next = fill_step(selection, next, mails, words, &detail);
        buffer_clear(&answer);
        status = change_step(change, verb, about, buffer_string(&detail), &answer, &affected);
        *total += affected;
        mails = next_step(mails, clock_now_ms() - began);
        status = status == EXIT_STATUS_NO_USER ? EXIT_STATUS_OK : status; /* ended since they were chosen */
    }
    if (status != EXIT_STATUS_OK) {
        control_fail(status, "%s", buffer_string(&answer));
    }
    buffer_free(&detail);
    buffer_free(&answer);
    return status;
}

static int change_selected(struct control *control, const struct verb *verb, const struct filter *filter,
                           const char *words) {
    char name[32];
    struct selection selection = {0};
    int64_t total = 0;
    int status = EXIT_STATUS_OK;
    /* First: where no server runs, this writes the rows of what one that was killed had answered. */
    struct change *change = change_open(control, &status);
    if (change == NULL) {
        return status;
    }
    status = select_parcels(control, filter, verb, &selection);
    if (status == EXIT_STATUS_OK && selection.count > 0) {
        snprintf(name, sizeof(name), "queue %s", verb->name);
        status = order_steps(change, name, filter->words, words, &selection, &total);
    }
    change_close(change);
    free(selection.items);
    if (status == EXIT_STATUS_OK) {
        printf("%lld parcel%s %s\n", (long long)total, total == 1 ? "" : "s", verb->done);
    }
    return status == EXIT_STATUS_OK && total == 0 && !filter->all ? EXIT_STATUS_NO_USER : status;
}

/* One order a message: each is about all of its parcels that wait. */
static int change_mails(struct control *control, const struct verb *verb, const struct filter *filter,
                        const char *words) {
    char name[32], detail[512];
    int status = EXIT_STATUS_OK;
    snprintf(name, sizeof(name), "queue %s", verb->name);
    for (int i = 0; i < filter->mail_id_count; i++) {
        snprintf(detail, sizeof(detail), "%s\n%s", words, filter->mail_ids[i]);
        int one = change_ask(control, name, filter->mail_ids[i], detail);
        status = one != EXIT_STATUS_OK ? one : status;
    }
    return status;
}

static int change_queue(struct control *control, const struct verb *verb, int count, char **arguments) {
    struct filter filter;
    char words[400];
    if (!filter_parse(&filter, count, arguments)) {
        return EXIT_STATUS_USAGE;
    }
    if (filter.json || (filter.text != NULL && strcmp(verb->name, "bounce") != 0)) {
        return control_fail(EXIT_STATUS_USAGE, "%s is not for \"queue %s\"", filter.json ? "--json" : "--message",
                            verb->name);
    }
    if (!filter_names_something(&filter)) {
        return control_fail(EXIT_STATUS_USAGE, "\"queue %s\" wants messages' ids, filters, or \"all\"", verb->name);
    }
    char said[300];
    text_printable(said, sizeof(said), text_of(filter.text != NULL ? filter.text : BOUNCE_WORDS));
    words[0] = '\0';
    if (strcmp(verb->name, "bounce") == 0) {
        snprintf(words, sizeof(words), "550 5.7.0 %s", said);
    }
    return filter.mail_id_count > 0 ? change_mails(control, verb, &filter, words)
                                    : change_selected(control, verb, &filter, words);
}

int control_queue_hold(struct control *control, int count, char **arguments) {
    return change_queue(control, &(struct verb){"hold", ",queued,deferred,", "held"}, count, arguments);
}

int control_queue_release(struct control *control, int count, char **arguments) {
    return change_queue(control, &(struct verb){"release", ",held,", "released"}, count, arguments);
}

int control_queue_retry(struct control *control, int count, char **arguments) {
    return change_queue(control, &(struct verb){"retry", ",queued,deferred,", "due now"}, count, arguments);
}

int control_queue_bounce(struct control *control, int count, char **arguments) {
    return change_queue(control, &(struct verb){"bounce", REPORT_WAITING, "on the way back to the sender"}, count,
                        arguments);
}

int control_queue_remove(struct control *control, int count, char **arguments) {
    return change_queue(control, &(struct verb){"remove", REPORT_WAITING, "removed"}, count, arguments);
}

int control_queue_rebuild(struct control *control, int count, char **arguments) {
    (void)count;
    (void)arguments;
    return change_rebuild(control);
}
