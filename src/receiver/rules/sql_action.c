/* SPDX-License-Identifier: MIT
 * What the operator's rules do besides replying, one small function an action. Called by sql_rule.c when a stage's
 * rules have been asked, confined. The table of their names is in mail/sql_action.c, and lookup has checked the values:
 * what cannot be done all the same is logged and left undone. */
#include "mail/sql_action.h"
#include "base/log.h"
#include "base/memory.h"
#include "ipc/list.h"
#include "receiver/change.h"
#include "receiver/rules/sql_rule.h"
#include "receiver/session.h"
#include <stdlib.h>

typedef void action_function(struct session *session, const char *rule, struct text value);

static void do_log(struct session *session, const char *rule, struct text value) {
    char shown[SQL_ACTION_VALUE_MAXIMUM];

    (void)session;
    log_info("rule %s: %s", rule, text_printable(shown, sizeof shown, value));
}

static void do_delay(struct session *session, const char *rule, struct text value) {
    uint64_t milliseconds = 0;

    (void)text_number(value, UINT32_MAX, &milliseconds);
    log_debug("rule %s: the reply waits %llu ms", rule, (unsigned long long)milliseconds);
    session_delay(session, milliseconds);
}

static void keep(char **kept, struct text value) {
    free(*kept);
    *kept = memory_string(value);
}

static void do_banner(struct session *session, const char *rule, struct text value) {
    (void)rule;
    keep(&session->banner, value);
}

static void do_ehlo(struct session *session, const char *rule, struct text value) {
    (void)rule;
    keep(&session->ehlo_text, value);
}

static void do_recipient(struct session *session, const char *rule, struct text value) {
    char shown[2 * ADDRESS_SIZE];

    log_info("rule %s: another recipient: <%s>", rule, text_printable(shown, sizeof shown, value));
    keep(&session->other_recipient, value);
}

static void do_sender(struct session *session, const char *rule, struct text value) {
    log_info("rule %s: another sender", rule);
    (void)change_sender(session, value, TEXT_NONE);
}

/* What a client wrote may be in it: one line of printable ASCII, whatever that was. */
static void do_header(struct session *session, const char *rule, struct text field) {
    char harmless[SQL_ACTION_VALUE_MAXIMUM];
    struct text name, value;

    (void)rule;
    if (!sql_action_split_header(field, &name, &value))
        return;
    (void)text_copy(harmless, sizeof harmless, value);
    for (char *at = harmless; *at != '\0'; at++)
        *at = *at < ' ' || *at > '~' ? '?' : *at;
    if (!change_has_header(session, name, text_of(harmless)))
        (void)change_add_header(session, name, text_of(harmless));
}

static void do_hold(struct session *session, const char *rule, struct text value) {
    (void)rule;
    change_hold(session, value);
}

static action_function *const functions[SQL_ACTIONS] = {
    [SQL_ACTION_LOG] = do_log,       [SQL_ACTION_DELAY] = do_delay,   [SQL_ACTION_BANNER] = do_banner,
    [SQL_ACTION_EHLO] = do_ehlo,     [SQL_ACTION_SENDER] = do_sender, [SQL_ACTION_RECIPIENT] = do_recipient,
    [SQL_ACTION_HEADER] = do_header, [SQL_ACTION_HOLD] = do_hold,
};

void sql_actions_do(struct session *session, struct text list, bool refused) {
    char rule[SQL_RULE_NAME_SIZE];
    struct action_item item;
    bool bad = false;

    while (list_next_action(&list, &item, &bad)) {
        (void)text_copy(rule, sizeof rule, item.rule);
        if (!refused || sql_actions[item.action].refused)
            functions[item.action](session, rule, item.value);
    }
    if (bad)
        log_error("lookup said of the operator's rules what cannot be read");
}
