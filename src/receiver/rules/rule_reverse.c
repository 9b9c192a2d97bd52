/* SPDX-License-Identifier: MIT
 * Rule: the client's address has a name in the DNS, or one that leads back to it (RFC 7372 3.3 has the code). Called by
 * rule_evaluate, confined; looks at facts only. */
#include "receiver/rules/rule.h"

enum rule_outcome rule_reverse(const struct rule_facts *facts, struct reply *reply) {
    bool confirmed = facts->config->reverse_required == REVERSE_CONFIRMED_NAME;

    if (facts->config->reverse_required == REVERSE_NOT_REQUIRED || facts->allowed)
        return RULE_NO_MATCH;
    switch (facts->reverse) {
    case REVERSE_NOT_ASKED:
    case REVERSE_CONFIRMED:
        return RULE_NO_MATCH;
    case REVERSE_MISSING:
        reply_set(reply, 550, "5.7.25", "%s has no name in the DNS system", facts->peer_ip);
        return RULE_MATCH;
    case REVERSE_UNCONFIRMED:
        if (!confirmed)
            return RULE_NO_MATCH;
        reply_set(reply, 550, "5.7.25", "the name of %s in the DNS system does not lead back to it", facts->peer_ip);
        return RULE_MATCH;
    case REVERSE_UNVERIFIED:
        if (!confirmed)
            return RULE_NO_MATCH;
        break;
    case REVERSE_TEMPFAIL:
        break;
    }
    reply_set(reply, 450, "4.7.25", "the name of %s could not be looked up in the DNS system", facts->peer_ip);
    return RULE_TEMPFAIL;
}
