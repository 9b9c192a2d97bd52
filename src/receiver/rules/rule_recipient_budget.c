/* SPDX-License-Identifier: MIT
 * Rule: a contact names so many recipients a day at most that do not exist; who goes on is searching for addresses.
 * Called by rule_evaluate, confined; looks at facts only. Its 421 counts as a violation (VIOLATION_ALWAYS). */
#include "receiver/rules/rule.h"

enum rule_outcome rule_recipient_budget(const struct rule_facts *facts, struct reply *reply) {
    if (facts->recipient_standing != STANDING_UNKNOWN || facts->unknown_budget == CONTACT_WITHIN)
        return RULE_NO_MATCH;
    reply_set(reply, 421, "4.7.1", "%s too many unknown recipients, try again later", facts->config->server_name);
    return RULE_TEMPFAIL;
}
