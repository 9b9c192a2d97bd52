/* SPDX-License-Identifier: MIT
 * Rule: nobody claims to be one of our members on the port for strangers. Called by rule_evaluate, confined; looks at
 * facts only. */
#include "receiver/rules/rule.h"

enum rule_outcome rule_member_on_mx(const struct rule_facts *facts, struct reply *reply) {
    if (facts->sender_standing == STANDING_TEMPFAIL) {
        reply_set(reply, 451, "4.3.0", "%s error: the sender could not be looked up", facts->config->server_name);
        return RULE_TEMPFAIL;
    }
    if (facts->sender_standing != STANDING_MEMBER)
        return RULE_NO_MATCH;
    reply_set(reply, 550, "5.7.1", "%s members must use port %ld or %ld to send mail", facts->config->server_title,
              facts->config->internal_submit_port, facts->config->submission_port);
    return RULE_MATCH;
}
