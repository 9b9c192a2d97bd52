/* SPDX-License-Identifier: MIT
 * Rule: the client is on none of the DNS block lists, or on an allow list too. Called by rule_evaluate, confined; looks
 * at facts only. A list that does not answer lists nobody. */
#include "receiver/rule.h"

enum rule_outcome rule_listed(const struct rule_facts *facts, struct reply *reply) {
    if (facts->listed_in[0] == '\0' || facts->allow_listed)
        return RULE_NO_MATCH;
    reply_set(reply, 550, "5.7.1", "%s is listed in %s", facts->peer_ip, facts->listed_in);
    return RULE_MATCH;
}
