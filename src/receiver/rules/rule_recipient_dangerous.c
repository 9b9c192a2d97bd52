/* SPDX-License-Identifier: MIT
 * Rule: recipients whose local part other programs might read as a path, a route or a command are refused, unless
 * dangerous_recipients allows them; what we made ourselves (SRS) may hold anything. Called by rule_evaluate, confined;
 * looks at facts only. */
#include "receiver/rules/rule.h"

enum rule_outcome rule_recipient_dangerous(const struct rule_facts *facts, struct reply *reply) {
    if (facts->config->dangerous_recipients == DANGEROUS_ALLOWED || facts->recipient_standing == STANDING_RETURN ||
        !address_is_dangerous(facts->recipient, facts->recipient_standing != STANDING_REMOTE))
        return RULE_NO_MATCH;
    reply_set(reply, 553, "5.1.3", "the recipient's local part holds characters that are refused here");
    return RULE_MATCH;
}
