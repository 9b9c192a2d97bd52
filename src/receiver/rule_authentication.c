/* SPDX-License-Identifier: MIT
 * Rule: submission is authenticated, which is only possible when it is encrypted; the internal port also trusts
 * networks that the operator names, never a sender's claim. On any port whose block says so a login is required.
 * Called by rule_evaluate, confined; looks at facts only. */
#include "receiver/rule.h"

static bool is_free(const struct rule_facts *facts) {
    if (facts->account[0] != '\0')
        return true;
    if (facts->role == ROLE_SUBMISSION || facts->auth == LISTEN_AUTH_REQUIRED)
        return false;
    return facts->trusted || facts->role != ROLE_INTERNAL;
}

enum rule_outcome rule_authentication(const struct rule_facts *facts, struct reply *reply) {
    if (is_free(facts))
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
