/* SPDX-License-Identifier: MIT
 * Rule: whoever has logged in sends as himself. Called by rule_evaluate, confined; looks at facts only. */
#include "receiver/rules/rule.h"

enum rule_outcome rule_sender_login(const struct rule_facts *facts, struct reply *reply) {
    if (facts->sender_login == LOGIN_OK)
        return RULE_NO_MATCH;
    if (facts->sender_login == LOGIN_TEMPFAIL) {
        reply_set(reply, 451, "4.3.0", "%s error: the sender could not be looked up", facts->config->server_name);
        return RULE_TEMPFAIL;
    }
    reply_set(reply, 553, "5.7.1", "%s does not own this sender address", facts->account);
    return RULE_MATCH;
}
