/* SPDX-License-Identifier: MIT
 * Rule: a member's recipient elsewhere has a mail server, so that a typing error is told at once. Called by
 * rule_evaluate, confined; looks at facts only. */
#include "receiver/rules/rule.h"

enum rule_outcome rule_recipient_domain(const struct rule_facts *facts, struct reply *reply) {
    switch (facts->recipient_domain) {
    case DOMAIN_NULL_MX:
        reply_set(reply, 556, "5.1.10", "the domain %s takes no mail (null MX)", facts->recipient->domain);
        return RULE_MATCH;
    case DOMAIN_MISSING:
    case DOMAIN_NO_SERVER:
        reply_set(reply, 550, "5.1.2", "the domain %s has no mail server in the DNS system", facts->recipient->domain);
        return RULE_MATCH;
    case DOMAIN_TEMPFAIL:
        reply_set(reply, 451, "4.4.3", "the domain %s could not be looked up in the DNS system",
                  facts->recipient->domain);
        return RULE_TEMPFAIL;
    case DOMAIN_NOT_ASKED:
    case DOMAIN_TAKES_MAIL:
        break;
    }
    return RULE_NO_MATCH;
}
