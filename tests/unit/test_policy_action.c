/* SPDX-License-Identifier: MIT
 * What a policy server's action means, row by row. */
#include "base/log.h"
#include "smtp/policy_action.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void each_action_means_what_access_5_says(void **state) {
    static const struct {
        const char *value;
        enum policy_verdict verdict;
        const char *line; /* of the reply, or the text */
    } rows[] = {
        {"DUNNO", POLICY_DUNNO, ""},
        {"dunno", POLICY_DUNNO, ""},
        {"OK", POLICY_OK, ""},
        {"OK and a reason", POLICY_OK, "and a reason"},
        {"permit", POLICY_OK, ""},
        {"1700000000", POLICY_OK, ""},
        {"550", POLICY_OK, ""},
        {"REJECT", POLICY_REPLY, "554 5.7.1 Access denied"},
        {"reject  not here ", POLICY_REPLY, "554 5.7.1 not here"},
        {"REJECT 5.1.1 no such user", POLICY_REPLY, "554 5.1.1 no such user"},
        {"REJECT 4.2.0 later", POLICY_REPLY, "554 5.2.0 later"},
        {"REJECT 5.1.1", POLICY_REPLY, "554 5.1.1 Access denied"},
        {"DEFER", POLICY_REPLY, "450 4.7.1 Access denied, try again later"},
        {"DEFER\t4.2.0 Greylisted", POLICY_REPLY, "450 4.2.0 Greylisted"},
        {"DEFER_IF_PERMIT Greylisted, see http://postgrey.schweikert.ch/help/x.html", POLICY_DEFER_IF_PERMIT,
         "450 4.7.1 Greylisted, see http://postgrey.schweikert.ch/help/x.html"},
        {"defer_if_reject 4.2.0 x", POLICY_DEFER_IF_REJECT, "450 4.2.0 x"},
        {"421 4.3.2 going down", POLICY_REPLY, "421 4.3.2 going down"},
        {"451 text alone", POLICY_REPLY, "451 4.7.1 text alone"},
        {"550 5.7.1 two\001\x80 bytes", POLICY_REPLY, "550 5.7.1 two?? bytes"},
        {"554 text", POLICY_REPLY, "554 5.7.1 text"},
        {"250 text", POLICY_WRONG, "text"},
        {"600 text", POLICY_WRONG, "text"},
        {"4500 text", POLICY_WRONG, "text"},
        {"PREPEND X-Policy: yes", POLICY_PREPEND, "X-Policy: yes"},
        {"PREPEND", POLICY_WRONG, ""},
        {"HOLD", POLICY_HOLD, "held by a policy server"},
        {"HOLD why", POLICY_HOLD, "why"},
        {"DISCARD", POLICY_DISCARD, "discarded by a policy server"},
        {"REDIRECT other@example.test", POLICY_REDIRECT, "other@example.test"},
        {"REDIRECT", POLICY_WRONG, ""},
        {"BCC other@example.test", POLICY_BCC, "other@example.test"},
        {"BCC", POLICY_WRONG, ""},
        {"WARN look at this", POLICY_WARN, "look at this"},
        {"INFO look at this", POLICY_INFO, "look at this"},
        {"FILTER smtp:[127.0.0.1]:10025", POLICY_WRONG, "smtp:[127.0.0.1]:10025"},
        {"reject_unverified_sender", POLICY_WRONG, ""},
        {"OKAY", POLICY_WRONG, ""},
        {"", POLICY_WRONG, ""},
        {" ", POLICY_WRONG, ""},
    };
    struct policy_action action;
    char line[256];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        policy_action_parse(text_of(rows[i].value), &action);
        if (action.reply.code != 0)
            (void)reply_line(&action.reply, line, sizeof line);
        else
            (void)text_copy(line, sizeof line, action.text);
        if (action.verdict != rows[i].verdict || strcmp(line, rows[i].line) != 0)
            fail_msg("\"%s\": %d, \"%s\"", rows[i].value, action.verdict, line);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_action_means_what_access_5_says)};
    log_start(STDERR_FILENO, "test_policy_action", LOG_LEVEL_FATAL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
