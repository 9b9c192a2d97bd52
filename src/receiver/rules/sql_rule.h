/* SPDX-License-Identifier: MIT
 * The operator's rules, asked of the lookup process behind the built-in ones: the facts that are sent, and what is done
 * of what comes back. */
#ifndef RECEIVER_SQL_RULE_H
#define RECEIVER_SQL_RULE_H
#include "base/buffer.h"
#include "receiver/rules/rule.h"
/* Asks the rules of this stage; a stage without rules costs nothing. NULL: none objects. Else the rule and its reply, a
 * 4xx or 5xx, or 451 where the rules could not be asked; the row lasts until the session asks again. */
const struct rule *sql_rule_evaluate(struct session *session, enum rule_stage stage, struct reply *reply);
/* The same for rule_answer: also a 2xx is returned. */
const struct rule *sql_rule_answer(struct session *session, enum rule_stage stage, struct reply *reply);

/* ---- sql_fact.c ---- */
/* Lists those of `wanted` that this process knows. False: they are too many bytes. */
bool sql_facts_list(struct session *session, const struct sql_fact_set *wanted, struct buffer *list);
/* ---- sql_action.c ---- */
/* Does what a list of struct action_item says, or, when the stage was refused, what is done even so. */
void sql_actions_do(struct session *session, struct text list, bool refused);
#endif
