/* SPDX-License-Identifier: MIT
 * Rule: a login sends so many messages, and names so many recipients, an hour at most; asked last, so that what is
 * refused anyhow does not count. Called by rule_evaluate, confined; looks at facts only. */
#include "receiver/rules/rule.h"

enum rule_outcome rule_account_rate(const struct rule_facts *facts, struct reply *reply) {
    if (!facts->account_is_over)
        return RULE_NO_MATCH;
    reply_set(reply, 450, "4.7.1", "%s has sent as much as it may for now, try again later", facts->account);
    return RULE_TEMPFAIL;
}
