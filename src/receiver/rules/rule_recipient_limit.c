/* SPDX-License-Identifier: MIT
 * Rule: a message has at most recipient_maximum recipients (RFC 5321 4.5.3.1.10: the client sends the rest in another
 * transaction). Called by rule_evaluate, confined; looks at facts only. */
#include "receiver/rules/rule.h"

enum rule_outcome rule_recipient_limit(const struct rule_facts *facts, struct reply *reply) {
    if (facts->recipient_count < (size_t)facts->config->recipient_maximum)
        return RULE_NO_MATCH;
    reply_set(reply, 452, "4.5.3", "Too many recipients: %ld at most", facts->config->recipient_maximum);
    return RULE_TEMPFAIL;
}
