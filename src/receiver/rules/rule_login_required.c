/* SPDX-License-Identifier: MIT
 * Rule: where the listen block requires a login there is no mail without one, whoever the client is. Called by
 * rule_evaluate, confined; looks at facts only. */
#include "receiver/rules/rule.h"

enum rule_outcome rule_login_required(const struct rule_facts *facts, struct reply *reply) {
    if (!facts->login_first || facts->account[0] != '\0')
        return RULE_NO_MATCH;
    reply_set(reply, 530, "5.7.0", "Authentication required");
    return RULE_MATCH;
}
