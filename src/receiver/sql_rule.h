/* SPDX-License-Identifier: MIT
 * The operator's rules, asked of the lookup process behind the built-in ones. */
#ifndef RECEIVER_SQL_RULE_H
#define RECEIVER_SQL_RULE_H
#include "receiver/rule.h"
/* Asks the rules of this stage; a stage without rules costs nothing. NULL: none objects. Else the rule and its reply, a
 * 4xx or 5xx, or 451 where the rules could not be asked; the row lasts until the session asks again. */
const struct rule *sql_rule_evaluate(struct session *session, enum rule_stage stage, struct reply *reply);
/* The same for rule_answer: also a 2xx is returned. */
const struct rule *sql_rule_answer(struct session *session, enum rule_stage stage, struct reply *reply);
#endif
