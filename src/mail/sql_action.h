/* SPDX-License-Identifier: MIT
 * What a rule of the operator's may do besides replying: further columns of its SELECT, known by their names. As
 * values; no I/O. */
#ifndef MAIL_SQL_ACTION_H
#define MAIL_SQL_ACTION_H
#include "mail/sql_rule.h"

enum sql_action {
    SQL_ACTION_LOG,
    SQL_ACTION_DELAY,
    SQL_ACTION_BANNER,
    SQL_ACTION_EHLO,
    SQL_ACTION_SENDER,
    SQL_ACTION_RECIPIENT,
    SQL_ACTION_HEADER,
    SQL_ACTION_HOLD,
    SQL_ACTIONS
};
struct sql_action_row {
    const char *name; /* of the column */
    unsigned stages;  /* bits of 1 << enum rule_stage at which it can be done */
    bool refused;     /* done also when a rule of the same stage objects */
    bool (*takes)(struct text value);
    const char *wants; /* what a value has to be, for errors */
    const char *help;  /* one sentence */
};
#define SQL_ACTION_VALUE_MAXIMUM 2000 /* bytes; what is longer is cut */
extern const struct sql_action_row sql_actions[SQL_ACTIONS];
/* SQL_ACTIONS when there is none of this name. */
enum sql_action sql_action_find(struct text name);
/* True for a code that a rule may give: every 2xx, and the 4xx and 5xx that clients know what to make of. */
bool sql_rule_may_give(unsigned code);
#define SQL_RULE_CODES "2xx, 421, 432, 450, 451, 452, 454, 500 to 504, 521, 530, 534, 535, 538, 550, 552, 553, 554"
/* Splits "Name: value". False: the name is none (RFC 5322 2.2). */
bool sql_action_split_header(struct text field, struct text *name, struct text *value);
#endif
