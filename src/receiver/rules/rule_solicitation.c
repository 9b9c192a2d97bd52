/* SPDX-License-Identifier: MIT
 * Rule: no mail that says of itself what no_soliciting names (RFC 3865 2.3, 2.4), with MAIL or in its header. Called by
 * rule_evaluate, confined; looks at facts only. */
#include "mail/solicitation.h"
#include "receiver/rules/rule.h"

enum rule_outcome rule_solicitation(const struct rule_facts *facts, struct reply *reply) {
    const struct config_strings *refused = &facts->config->no_soliciting;

    for (size_t i = 0; i < refused->count; i++)
        if (solicitation_names(facts->solicitation, text_of(refused->items[i]))) {
            reply_set(reply, 550, "5.7.1", "SOLICIT=%s", refused->items[i]);
            return RULE_MATCH;
        }
    return RULE_NO_MATCH;
}
