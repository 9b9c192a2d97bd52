/* SPDX-License-Identifier: MIT
 * `parcelpost hold-rule …`: which mail is held when it comes. Changes are the ledger's (change.h). */
#include "control/change.h"
#include "control/control.h"
#include "control/report_show.h"
#include <stdio.h>

#define RULE_SIZE 1024

static int order(struct control *control, const char *verb, char **arguments, const char *reason) {
    char rule[RULE_SIZE];
    if (snprintf(rule, sizeof(rule), "%s %s", arguments[0], arguments[1]) >= (int)sizeof(rule)) {
        return control_fail(EXIT_STATUS_USAGE, "the pattern is too long");
    }
    return change_ask(control, verb, rule, reason);
}

int control_hold_rule_add(struct control *control, int count, char **arguments) {
    return order(control, "hold-rule add", arguments, count > 2 ? arguments[2] : "");
}

int control_hold_rule_remove(struct control *control, int count, char **arguments) {
    (void)count;
    return order(control, "hold-rule remove", arguments, "");
}

int control_hold_rule_list(struct control *control, int count, char **arguments) {
    static const char *const titles[] = {"KIND", "PATTERN", "REASON", "SINCE", NULL};
    return report_show_words(control, REPORT_HOLD_RULES, count, arguments, titles, "No mail is held by a rule.");
}
