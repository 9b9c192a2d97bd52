/* SPDX-License-Identifier: MIT
 * The built-in rules in the order of the dialogue, and their evaluation, behind which the joiners are asked: the
 * operator's rules and programs outside. Called at every stage of a session that has rules, confined. A new rule is a
 * file rule_x.c and a row here. */
#include "receiver/rules/rule.h"
#include "base/log.h"
#include "receiver/facts/facts.h"
#include "receiver/joiners/milter.h"
#include "receiver/joiners/policy.h"
#include "receiver/rules/sql_rule.h"
#include "receiver/session.h"

#define MX (1u << ROLE_MX)
#define MEMBERS (1u << ROLE_INTERNAL | 1u << ROLE_SUBMISSION)
#define LOCAL (1u << ROLE_SENDMAIL)
#define LMTP (1u << ROLE_LMTP)
#define ALL (MX | MEMBERS | LOCAL | LMTP)

const struct rule rules[] = {
    {.name = "ehlo-domain", .stage = RULE_EHLO, .roles = MX, .needs = FACT_EHLO_DOMAIN, .judge = rule_ehlo_domain},

    {.name = "login-required", .stage = RULE_MAIL, .roles = ALL, .judge = rule_login_required},
    {.name = "message-rate", .stage = RULE_MAIL, .roles = MX, .needs = FACT_MESSAGE_RATE, .judge = rule_message_rate},
    {.name = "reverse", .stage = RULE_MAIL, .roles = MX, .needs = FACT_LISTINGS, .judge = rule_reverse},
    {.name = "listed",
     .stage = RULE_MAIL,
     .roles = MX,
     .needs = FACT_LISTINGS | FACT_DOMAIN_LISTINGS,
     .judge = rule_listed},
    {.name = "member-on-mx",
     .stage = RULE_MAIL,
     .roles = MX,
     .needs = FACT_SENDER_STANDING,
     .judge = rule_member_on_mx},
    {.name = "stranger-on-submission",
     .stage = RULE_MAIL,
     .roles = MEMBERS,
     .needs = FACT_SENDER_STANDING,
     .judge = rule_stranger_on_submission},
    {.name = "authentication", .stage = RULE_MAIL, .roles = MEMBERS, .judge = rule_authentication},
    {.name = "sender-login",
     .stage = RULE_MAIL,
     .roles = MEMBERS,
     .needs = FACT_SENDER_LOGIN,
     .judge = rule_sender_login},
    {.name = "account-message-rate",
     .stage = RULE_MAIL,
     .roles = MEMBERS,
     .needs = FACT_ACCOUNT_MESSAGE,
     .judge = rule_account_rate},
    {.name = "sender-local",
     .stage = RULE_MAIL,
     .roles = LOCAL,
     .needs = FACT_SENDER_STANDING,
     .judge = rule_sender_local},
    {.name = "sender-domain",
     .stage = RULE_MAIL,
     .roles = MX,
     .needs = FACT_SENDER_DOMAIN,
     .judge = rule_sender_domain},

    {.name = "solicitation", .stage = RULE_MAIL, .roles = MX | MEMBERS | LMTP, .judge = rule_solicitation},

    {.name = "recipient-limit", .stage = RULE_RCPT, .roles = ALL, .judge = rule_recipient_limit},
    {.name = "recipient-rate",
     .stage = RULE_RCPT,
     .roles = MX,
     .needs = FACT_RECIPIENT_RATE,
     .judge = rule_recipient_rate},
    {.name = "relay", .stage = RULE_RCPT, .roles = ALL, .needs = FACT_RECIPIENT_STANDING, .judge = rule_relay},
    {.name = "recipient-dangerous",
     .stage = RULE_RCPT,
     .roles = ALL,
     .needs = FACT_RECIPIENT_STANDING,
     .judge = rule_recipient_dangerous},
    {.name = "recipient-budget",
     .stage = RULE_RCPT,
     .roles = MX,
     .needs = FACT_RECIPIENT_STANDING | FACT_UNKNOWN_BUDGET,
     .judge = rule_recipient_budget,
     .mercy = VIOLATION_ALWAYS},
    {.name = "recipient-unknown",
     .stage = RULE_RCPT,
     .roles = ALL,
     .needs = FACT_RECIPIENT_STANDING,
     .judge = rule_recipient_unknown,
     .mercy = VIOLATION_UNKNOWN_RECIPIENT},
    {.name = "recipient-domain",
     .stage = RULE_RCPT,
     .roles = MEMBERS,
     .needs = FACT_RECIPIENT_DOMAIN,
     .judge = rule_recipient_domain},
    {.name = "account-recipient-rate",
     .stage = RULE_RCPT,
     .roles = MEMBERS,
     .needs = FACT_ACCOUNT_RECIPIENT,
     .judge = rule_account_rate},
    {.name = "greylist", .stage = RULE_RCPT, .roles = MX, .needs = FACT_GREYLIST, .judge = rule_greylist},

    {.name = "solicitation-header", .stage = RULE_HEADERS, .roles = MX | MEMBERS | LMTP, .judge = rule_solicitation},

    {.name = "header-from",
     .stage = RULE_MESSAGE,
     .roles = MEMBERS,
     .needs = FACT_HEADER_FROM,
     .judge = rule_header_from},
};
const size_t rule_count = sizeof rules / sizeof rules[0];

/* A port for strangers where one must log in, or has, is like one for submission. */
static enum listen_role judged_role(const struct session *session) {
    bool member = session->account[0] != '\0' || session->facts.login_first;

    return session->client.role == ROLE_MX && member ? ROLE_SUBMISSION : session->client.role;
}

const struct rule *rule_judge(struct session *session, enum rule_stage stage, struct reply *reply) {
    session->facts.role = judged_role(session);
    for (size_t i = 0; i < rule_count; i++) {
        const struct rule *rule = &rules[i];
        if (rule->stage != stage || !(rule->roles & 1u << session->facts.role))
            continue;
        facts_gather(session, rule->needs);
        if (rule->judge(&session->facts, reply) != RULE_NO_MATCH)
            return rule;
    }
    return NULL;
}

const struct rule *rule_evaluate(struct session *session, enum rule_stage stage, struct reply *reply) {
    const struct rule *rule = rule_judge(session, stage, reply);

    return rule != NULL ? rule : rule_join(session, stage, reply);
}

/* Those who may speak behind the built-in rules, in this order. One that is not configured costs a comparison. */
static joiner_function *const joiners[] = {
    sql_rule_evaluate,
    policy_evaluate,
    milter_evaluate,
};

static const struct rule *ask_joiners(struct session *session, enum rule_stage stage, struct reply *reply,
                                      size_t first) {
    const struct rule *rule = NULL;

    for (size_t i = first; i < sizeof joiners / sizeof joiners[0] && rule == NULL; i++)
        rule = joiners[i](session, stage, reply);
    return rule;
}

const struct rule *rule_join(struct session *session, enum rule_stage stage, struct reply *reply) {
    return ask_joiners(session, stage, reply, 0);
}

const struct rule *rule_join_answer(struct session *session, enum rule_stage stage, struct reply *reply) {
    const struct rule *rule = sql_rule_answer(session, stage, reply);

    return rule != NULL ? rule : ask_joiners(session, stage, reply, 1);
}
