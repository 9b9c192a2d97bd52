/* SPDX-License-Identifier: MIT
 * The table of an operator's verbs, and what all of them share: the record and the log line. See order.h. */
#include "orders/order.h"
#include "base/log.h"
#include "store/operator_changes.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

#define WHAT_SIZE 512

static enum exit_status ping(struct order *order) {
    buffer_format(order->answer, "the ledger is there");
    return EXIT_STATUS_OK;
}

/* users.db is not the ledger's: `parcelpost` has changed it, and here it is recorded. */
static enum exit_status done_already(struct order *order) {
    order->affected = 1;
    buffer_format(order->answer, "recorded");
    return EXIT_STATUS_OK;
}

// clang-format off: one row a verb
static const struct {
    const char *verb;
    order_verb *run;
    bool recorded;
} verbs[] = {
    {"queue retry", order_queue_retry, true},
    {"queue hold", order_queue_hold, true},
    {"queue release", order_queue_release, true},
    {"queue bounce", order_queue_bounce, true},
    {"queue remove", order_queue_remove, true},
    {"hold-rule add", order_hold_rule_add, true},
    {"hold-rule remove", order_hold_rule_remove, true},
    {"contacts lock", order_contacts_lock, true},
    {"contacts forgive", order_contacts_forgive, true},
    {"tls forgive", order_tls_forgive, true},
    {"alias add", order_alias_add, true},
    {"alias remove", order_alias_remove, true},
    {"vacation set", order_vacation_set, true},
    {"vacation off", order_vacation_off, true},
    {"user add", done_already, true},
    {"user passwd", done_already, true},
    {"user remove", done_already, true},
    {"ping", ping, false},
};
// clang-format on

enum exit_status order_failed(struct order *order) {
    log_error("an operator's %s: %s", order->verb, database_error(spool_database(order->spool)));
    buffer_format(order->answer, "that could not be written: see the log");
    return EXIT_STATUS_ERROR;
}

enum exit_status order_settle(struct order *order, enum exit_status status, bool written) {
    char argument[WHAT_SIZE];
    if (order->affected == 0 || (written && database_flush(spool_database(order->spool)))) {
        return status;
    }
    log_error("an operator's %s %s could not be flushed and may not last", order->verb,
              text_printable(argument, sizeof argument, text_of(order->argument)));
    buffer_clear(order->answer);
    buffer_format(order->answer, "that could not be written, or may not last: see the log");
    order->affected = 0;
    return EXIT_STATUS_ERROR;
}

static void record(struct order *order) {
    char what[WHAT_SIZE];
    (void)snprintf(what, sizeof what, "%s %s", order->verb, order->argument);
    if (!operator_change_record(spool_database(order->spool), order->uid, what, order->affected, (int64_t)time(NULL),
                                order->record)) {
        log_warn("an operator's change could not be recorded: %s: %s", what,
                 database_error(spool_database(order->spool)));
    }
}

enum exit_status order_run(struct order *order) {
    char argument[WHAT_SIZE];
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verbs[i].verb, order->verb) != 0) {
            continue;
        }
        enum exit_status status = verbs[i].run(order);
        if (status == EXIT_STATUS_OK && verbs[i].recorded) {
            record(order);
        }
        log_info("operator (uid %u): %s %s: %s", order->uid, order->verb,
                 text_printable(argument, sizeof argument, text_of(order->argument)), buffer_string(order->answer));
        return status;
    }
    buffer_format(order->answer, "the ledger knows no \"%s\"", order->verb);
    return EXIT_STATUS_ERROR;
}
