/* SPDX-License-Identifier: MIT
 * Milters: programs of the operator's that are told what happens in a session, may answer in our place, and may change,
 * hold or discard its messages. A listener without milters costs a comparison. */
#ifndef RECEIVER_MILTER_H
#define RECEIVER_MILTER_H
#include "receiver/rules/rule.h"
#include "receiver/transaction.h"

struct milters;
/* Tells each of them, in their order, of this stage; the last of the joiners. What one changes the next one sees. */
joiner_function milter_evaluate;
/* Tells those that want to know of a recipient that others refuse: by this rule. Where it is a milter's, that one and
 * those before it know already. */
void milter_tell_refused(struct session *session, const struct recipient *recipient, const struct rule *rule,
                         const struct reply *reply);
/* The transaction ends without a message. */
void milter_abort(struct session *session);
/* The session ends. */
void milter_close(struct session *session);
#endif
