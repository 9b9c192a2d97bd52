/* SPDX-License-Identifier: MIT
 * Rule: only members send to the world; on the ports for strangers and for LMTP nobody does. Called by rule_evaluate,
 * confined; looks at facts only. */
#include "receiver/rules/rule.h"

enum rule_outcome rule_relay(const struct rule_facts *facts, struct reply *reply) {
    if (facts->recipient_standing != STANDING_REMOTE)
        return RULE_NO_MATCH;
    if (facts->role != ROLE_MX && facts->role != ROLE_LMTP && (facts->account[0] != '\0' || facts->trusted))
        return RULE_NO_MATCH;
    reply_set(reply, 550, "5.7.1", "This server does not support relaying");
    return RULE_MATCH;
}
