/* SPDX-License-Identifier: MIT
 * Rule: a contact, and its network, send so many messages an hour at most. Called by rule_evaluate, confined; looks at
 * facts only. */
#include "receiver/rules/rule.h"

enum rule_outcome rule_message_rate(const struct rule_facts *facts, struct reply *reply) {
    if (facts->message_rate == CONTACT_WITHIN)
        return RULE_NO_MATCH;
    reply_set(reply, 450, "4.7.1", "too many messages from %s, try again later",
              facts->message_rate == CONTACT_OVER ? "you" : "your network");
    return RULE_TEMPFAIL;
}
