/* SPDX-License-Identifier: MIT
 * The table of actions, see sql_action.h. A new action is a row here and its function in receiver/rules/sql_action.c; a
 * test compares this table with man/parcelpost-rules.5. */
#include "mail/sql_action.h"
#include "mail/address.h"

#define AT(stage) (1u << (stage))
#define ANY ((1u << RULE_STAGES) - 1)
#define IN_TRANSACTION (AT(RULE_MAIL) | AT(RULE_RCPT) | AT(RULE_DATA) | AT(RULE_HEADERS) | AT(RULE_MESSAGE))

static bool is_text(struct text value) {
    return value.length > 0;
}

static bool is_number(struct text value) {
    uint64_t number;
    return text_number(value, UINT32_MAX, &number);
}

static bool is_recipient(struct text value) {
    struct address address;
    return address_parse(value, true, &address) == ADDRESS_OK && !address_is_null(&address);
}

static bool is_sender(struct text value) {
    return value.length == 0 || is_recipient(value);
}

bool sql_action_split_header(struct text field, struct text *name, struct text *value) {
    size_t colon = text_find(field, ':');
    *name = text_first(field, colon);
    *value = text_trim(text_from(field, colon + 1));
    return colon > 0 && colon < field.length && text_is_printable(*name) && text_find(*name, ' ') == name->length;
}

static bool is_header(struct text value) {
    struct text name, rest;
    return sql_action_split_header(value, &name, &rest);
}

/* clang-format off */
const struct sql_action_row sql_actions[SQL_ACTIONS] = {
    [SQL_ACTION_LOG] = {"log", ANY, true, is_text, "a text",
        "A line of the log, where no client ever reads it."},
    [SQL_ACTION_DELAY] = {"delay", ANY & ~AT(RULE_DISCONNECT), true, is_number, "a number of milliseconds",
        "Milliseconds by which the reply comes later, 30000 at most: this client waits, nobody else does."},
    [SQL_ACTION_BANNER] = {"banner", AT(RULE_CONNECT), false, is_text, "a text",
        "What stands in the greeting behind the server's name, in place of our name and the date."},
    [SQL_ACTION_EHLO] = {"ehlo", AT(RULE_EHLO), false, is_text, "a text",
        "What stands in the first line of the reply to EHLO behind the server's name."},
    [SQL_ACTION_SENDER] = {"sender", AT(RULE_MAIL), false, is_sender, "an address, or nothing for <>",
        "Another envelope sender."},
    [SQL_ACTION_RECIPIENT] = {"recipient", AT(RULE_RCPT), false, is_recipient, "an address",
        "Another recipient in place of this one; the server's own rules are asked about it."},
    [SQL_ACTION_HEADER] = {"header", IN_TRANSACTION, false, is_header, "Name: value",
        "A header field to be added, Name: value; several rows add several, the same one is added once."},
    [SQL_ACTION_HOLD] = {"hold", IN_TRANSACTION, false, is_text, "a text",
        "Why the message is to wait for an operator, who sees it in parcelpost queue list; the client reads 250."},
};
/* clang-format on */

enum sql_action sql_action_find(struct text name) {
    size_t action = 0;
    while (action < SQL_ACTIONS && !text_equal_nocase(name, text_of(sql_actions[action].name)))
        action++;
    return (enum sql_action)action;
}

bool sql_rule_may_give(unsigned code) {
    static const unsigned short codes[] = {421, 432, 450, 451, 452, 454, 500, 501, 502, 503,
                                           504, 521, 530, 534, 535, 538, 550, 552, 553, 554};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i] == code)
            return true;
    return code / 100 == 2;
}
