/* SPDX-License-Identifier: MIT
 * Rule: a stranger's sender domain takes mail, so that a notice could be sent (RFC 7505 4.2 for the null MX). Called by
 * rule_evaluate, confined; looks at facts only. */
#include "receiver/rules/rule.h"

enum rule_outcome rule_sender_domain(const struct rule_facts *facts, struct reply *reply) {
    switch (facts->sender_domain) {
    case DOMAIN_NULL_MX:
        reply_set(reply, 550, "5.7.27", "the sender's domain %s takes no mail (null MX)", facts->sender->domain);
        return RULE_MATCH;
    case DOMAIN_MISSING:
    case DOMAIN_NO_SERVER:
        reply_set(reply, 550, "5.1.8", "the sender's domain %s has no mail server in the DNS system",
                  facts->sender->domain);
        return RULE_MATCH;
    case DOMAIN_TEMPFAIL:
        reply_set(reply, 451, "4.4.3", "the sender's domain %s could not be looked up in the DNS system",
                  facts->sender->domain);
        return RULE_TEMPFAIL;
    case DOMAIN_NOT_ASKED:
    case DOMAIN_TAKES_MAIL:
        break;
    }
    return RULE_NO_MATCH;
}
