/* SPDX-License-Identifier: MIT
 * Rule: the members' ports are for members; the null reverse-path of their notices is not looked at. Called by
 * rule_evaluate, confined; looks at facts only. */
#include "receiver/rules/rule.h"

enum rule_outcome rule_stranger_on_submission(const struct rule_facts *facts, struct reply *reply) {
    if (address_is_null(facts->sender) || facts->sender_standing == STANDING_MEMBER)
        return RULE_NO_MATCH;
    if (facts->sender_standing == STANDING_TEMPFAIL) {
        reply_set(reply, 451, "4.3.0", "%s error: the sender could not be looked up", facts->config->server_name);
        return RULE_TEMPFAIL;
    }
    reply_set(reply, 550, "5.7.1", "Non %s members must use port %ld to send mail", facts->config->server_title,
              facts->config->standard_mail_port);
    return RULE_MATCH;
}
