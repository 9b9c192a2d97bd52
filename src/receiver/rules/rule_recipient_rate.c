/* SPDX-License-Identifier: MIT
 * Rule: a contact, and its network, name so many recipients an hour at most. Called by rule_evaluate, confined; looks
 * at facts only. */
#include "receiver/rules/rule.h"

enum rule_outcome rule_recipient_rate(const struct rule_facts *facts, struct reply *reply) {
    if (facts->recipient_rate == CONTACT_WITHIN)
        return RULE_NO_MATCH;
    reply_set(reply, 450, "4.7.1", "too many recipients from %s, try again later",
              facts->recipient_rate == CONTACT_OVER ? "you" : "your network");
    return RULE_TEMPFAIL;
}
