/* SPDX-License-Identifier: MIT
 * Rule: a stranger's first try of a sender and recipient waits (RFC 6647). Called by rule_evaluate, confined; looks at
 * facts only. */
#include "receiver/rules/rule.h"

enum rule_outcome rule_greylist(const struct rule_facts *facts, struct reply *reply) {
    if (facts->greylist_wait <= 0)
        return RULE_NO_MATCH;
    reply_set(reply, 451, "4.7.1", "Greylisted: try again in %lld seconds", (long long)facts->greylist_wait);
    return RULE_TEMPFAIL;
}
