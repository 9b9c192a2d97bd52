/* SPDX-License-Identifier: MIT
 * Rule: whoever has logged in writes in his own name, which is the one that readers see. Called by rule_evaluate,
 * confined; looks at facts only. */
#include "receiver/rules/rule.h"

enum rule_outcome rule_header_from(const struct rule_facts *facts, struct reply *reply) {
    if (facts->header_from == LOGIN_OK)
        return RULE_NO_MATCH;
    if (facts->header_from == LOGIN_TEMPFAIL) {
        reply_set(reply, 451, "4.3.0", "%s error: the From field could not be checked", facts->config->server_name);
        return RULE_TEMPFAIL;
    }
    if (facts->header_from_shown[0] == '\0')
        reply_set(reply, 550, "5.7.1", "the From field cannot be read, so nobody knows whether it is %s",
                  facts->account);
    else
        reply_set(reply, 550, "5.7.1", "%s does not own the address %s of the From field", facts->account,
                  facts->header_from_shown);
    return RULE_MATCH;
}
