/* SPDX-License-Identifier: MIT
 * Rule: submission is authenticated, which is only possible when it is encrypted; the internal port also trusts
 * networks that the operator names, never a sender's claim. Called by rule_evaluate, confined; looks at facts only. */
#include "receiver/rules/rule.h"

enum rule_outcome rule_authentication(const struct rule_facts *facts, struct reply *reply) {
    if (facts->account[0] != '\0' || (facts->trusted && facts->role != ROLE_SUBMISSION))
        return RULE_NO_MATCH;
    if (facts->encrypted)
        reply_set(reply, 530, "5.7.0", "Traffic on port %lu must be authenticated (i.e., %s client)", facts->port,
                  facts->config->server_title);
    else
        reply_set(reply, 530, "5.7.0",
                  "Traffic on port %lu must be authenticated (i.e., %s client)\nTraffic on port %lu must be encrypted",
                  facts->port, facts->config->server_title, facts->port);
    return RULE_MATCH;
}
