/* SPDX-License-Identifier: MIT
 * Rule: a recipient in a domain of ours exists. Called by rule_evaluate, confined; looks at facts only. */
#include "receiver/rules/rule.h"

enum rule_outcome rule_recipient_unknown(const struct rule_facts *facts, struct reply *reply) {
    char shown[2 * ADDRESS_SIZE];

    if (facts->recipient_standing == STANDING_TEMPFAIL) {
        reply_set(reply, 451, "4.3.0", "%s error: the recipient could not be looked up", facts->config->server_name);
        return RULE_TEMPFAIL;
    }
    if (facts->recipient_standing != STANDING_UNKNOWN)
        return RULE_NO_MATCH;
    reply_set(reply, 550, "5.1.1", "<%s> is no user here", address_text(facts->recipient, shown, sizeof shown));
    return RULE_MATCH;
}
