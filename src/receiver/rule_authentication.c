/* SPDX-License-Identifier: MIT
 * Rule: submission is authenticated, which is only possible when it is encrypted; the internal port also trusts
 * networks that the operator names, never a sender's claim. Called by rule_evaluate, confined; looks at facts only. */
#include "receiver/rule.h"

enum rule_outcome rule_authentication(const struct rule_facts *facts, struct reply *reply) {
    bool submission = facts->role == ROLE_SUBMISSION;
    long port = submission ? facts->config->submission_port : facts->config->internal_submit_port;

    if (facts->account[0] != '\0' || (facts->trusted && !submission))
        return RULE_NO_MATCH;
    if (facts->encrypted)
        reply_set(reply, 530, "5.7.0", "Traffic on port %ld must be authenticated (i.e., %s client)", port,
                  facts->config->server_title);
    else
        reply_set(reply, 530, "5.7.0",
                  "Traffic on port %ld must be authenticated (i.e., %s client)\nTraffic on port %ld must be encrypted",
                  port, facts->config->server_title, port);
    return RULE_MATCH;
}
