/* SPDX-License-Identifier: MIT
 * Rule: a local program sends in a domain of ours; root and our own user send as anybody. Called by rule_evaluate,
 * confined; looks at facts only. */
#include "receiver/rules/rule.h"

enum rule_outcome rule_sender_local(const struct rule_facts *facts, struct reply *reply) {
    if (facts->sender_free || address_is_null(facts->sender) || facts->sender_standing != STANDING_REMOTE)
        return RULE_NO_MATCH;
    if (text_equal_nocase(text_of(facts->sender->domain), text_of(facts->config->server_name)))
        return RULE_NO_MATCH;
    reply_set(reply, 550, "5.7.1", "local programs send in a domain of this server, not in %s", facts->sender->domain);
    return RULE_MATCH;
}
