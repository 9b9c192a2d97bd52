/* SPDX-License-Identifier: MIT
 * Asking policy servers at the stages of a session, and doing what they say. Called behind the built-in and the
 * operator's rules, confined. One that is down is passed over or a 451, as the operator chose; an answer that is not
 * understood is a 451. */
#include "receiver/joiners/policy.h"
#include "base/log.h"
#include "base/memory.h"
#include "receiver/session.h"
#include "smtp/policy_action.h"
#include <stdio.h>
#include <stdlib.h>

static void take_name(struct policies *policies, const struct session *session, uint32_t index, enum rule_stage stage) {
    (void)snprintf(policies->rule_name, sizeof policies->rule_name, "policy:%s", session->config->policies[index].name);
    policies->rule = (struct rule){.name = policies->rule_name, .stage = stage};
}

static struct policies *policies_of(struct session *session) {
    if (session->policies == NULL) {
        session->policies = memory_new(1, sizeof *session->policies);
        session->policies->links = memory_new(session->config->policy_count, sizeof *session->policies->links);
    }
    return session->policies;
}

void policy_free(struct session *session) {
    if (session->policies == NULL)
        return;
    for (size_t i = 0; i < session->config->policy_count; i++)
        policy_link_close(&session->policies->links[i]);
    policy_change_free(session->policies);
    free(session->policies->links);
    free(session->policies);
    session->policies = NULL;
}

/* ---- DEFER_IF_… ---- */

/* What a stage before RCPT puts off is said to each RCPT, as Postfix does with smtpd_delay_reject. */
static enum policy_place place_of(enum rule_stage stage) {
    switch (stage) {
    case RULE_PROXY:
    case RULE_CONNECT:
        return PLACE_CONNECTION;
    case RULE_EHLO:
        return PLACE_EHLO;
    case RULE_MAIL:
        return PLACE_MAIL;
    default:
        return PLACE_NOW;
    }
}

static void forget_deferrals(struct policies *policies, enum policy_place place) {
    if (place != PLACE_CONNECTION)
        policies->if_permit[place].set = policies->if_reject[place].set = false;
}

/* The first one counts. */
static void defer(struct policy_deferral *deferral, const struct policies *policies, const struct reply *reply) {
    if (deferral->set)
        return;
    deferral->set = true;
    deferral->reply = *reply;
    (void)text_copy(deferral->rule, sizeof deferral->rule, text_of(policies->rule_name));
}

static const struct policy_deferral *first_of(const struct policy_deferral deferrals[PLACES + 1], bool all) {
    for (size_t place = all ? 0 : PLACE_NOW; place <= PLACE_NOW; place++)
        if (deferrals[place].set)
            return &deferrals[place];
    return NULL;
}

static const struct rule *say_deferral(struct policies *policies, const struct policy_deferral *deferral,
                                       struct reply *reply) {
    *reply = deferral->reply;
    (void)text_copy(policies->rule_name, sizeof policies->rule_name, text_of(deferral->rule));
    return &policies->rule;
}

/* ---- answers ---- */

static const struct rule *say_unasked(struct session *session, enum rule_stage stage, struct reply *reply) {
    bool first = stage == RULE_CONNECT || stage == RULE_PROXY;

    reply_set(reply, first ? 421 : 451, "4.3.5", "%s error: a policy of this server cannot be asked, try again later",
              session->config->server_name);
    return &session->policies->rule;
}

static void log_action(const struct session *session, enum rule_stage stage, struct text action, bool warn) {
    char shown[512];

    (void)text_printable(shown, sizeof shown, action);
    if (warn)
        log_warn("%s at %s: %s", session->policies->rule_name, rule_stage_names[stage], shown);
    else
        log_info("%s at %s: %s", session->policies->rule_name, rule_stage_names[stage], shown);
}

/* The rule that speaks, or NULL. done: nobody else is asked at this stage. */
static const struct rule *act(struct session *session, enum rule_stage stage, struct text value, struct reply *reply,
                              bool *done) {
    struct policies *policies = session->policies;
    struct policy_action action;

    policy_action_parse(value, &action);
    if (action.verdict != POLICY_DUNNO)
        log_action(session, stage, value, action.verdict == POLICY_WARN);
    switch (action.verdict) {
    case POLICY_DUNNO:
    case POLICY_WARN:
    case POLICY_INFO:
        return NULL;
    case POLICY_OK:
        *done = true;
        return NULL;
    case POLICY_REPLY:
        *reply = action.reply;
        const struct policy_deferral *deferral = first_of(policies->if_reject, true);
        return reply->code >= 500 && deferral != NULL ? say_deferral(policies, deferral, reply) : &policies->rule;
    case POLICY_DEFER_IF_PERMIT:
        defer(&policies->if_permit[place_of(stage)], policies, &action.reply);
        return NULL;
    case POLICY_DEFER_IF_REJECT:
        defer(&policies->if_reject[place_of(stage)], policies, &action.reply);
        return NULL;
    default:
        if (policy_change(session, stage, &action))
            return NULL;
        log_error("%s: that action is not known or not possible here", policies->rule_name);
        return say_unasked(session, stage, reply);
    }
}

static const struct rule *ask_one(struct session *session, uint32_t index, enum rule_stage stage, struct text request,
                                  struct reply *reply, bool *done) {
    const struct config_policy *policy = &session->config->policies[index];
    struct policies *policies = session->policies;
    struct text action;

    take_name(policies, session, index, stage);
    if (policy_ask(session, &policies->links[index], index, request, &action))
        return act(session, stage, action, reply, done);
    return policy->when_down == WHEN_DOWN_ACCEPT ? NULL : say_unasked(session, stage, reply);
}

static const struct rule *ask_all(struct session *session, enum rule_stage stage, uint32_t due, struct reply *reply) {
    const struct rule *rule = NULL;
    struct buffer request;
    bool done = false;

    buffer_init(&request, POLICY_REQUEST_MAXIMUM);
    if (!policy_format_request(session, stage, &request))
        die_panic("a policy request of %zu bytes", request.length);
    for (uint32_t i = 0; i < session->config->policy_count && rule == NULL && !done; i++)
        if (due & 1u << i)
            rule = ask_one(session, i, stage, buffer_text(&request), reply, &done);
    buffer_free(&request);
    return rule;
}

static uint32_t due_at(const struct session *session, enum rule_stage stage) {
    uint32_t due = 0;

    for (size_t i = 0; i < session->config->policy_count; i++)
        if (session->config->policies[i].stage_bits & 1u << stage)
            due |= 1u << i;
    return due & session->client.listens->policy_bits;
}

const struct rule *policy_evaluate(struct session *session, enum rule_stage stage, struct reply *reply) {
    if (session->client.listens->policy_bits == 0)
        return NULL;
    struct policies *policies = policies_of(session);
    uint32_t due = due_at(session, stage);
    forget_deferrals(policies, place_of(stage));
    policy_change_again(session, stage);
    if (stage == RULE_MAIL)
        policy_change_begin(session);
    const struct rule *rule = due != 0 ? ask_all(session, stage, due, reply) : NULL;
    const struct policy_deferral *deferral = first_of(policies->if_permit, stage == RULE_RCPT);
    forget_deferrals(policies, PLACE_NOW);
    if (rule == NULL && deferral == NULL && !policy_change_recipients(session, stage))
        rule = say_unasked(session, stage, reply);
    return rule == NULL && deferral != NULL ? say_deferral(policies, deferral, reply) : rule;
}

const struct rule *policy_settle(struct session *session, enum rule_stage stage, struct reply *reply) {
    bool done = session->policies == NULL || policy_change_recipients(session, stage);

    return done ? NULL : say_unasked(session, stage, reply);
}
