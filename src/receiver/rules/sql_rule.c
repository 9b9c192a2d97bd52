/* SPDX-License-Identifier: MIT
 * Asking the operator's rules: only facts that the stage's statements name are gathered and sent. Called behind the
 * built-in rules and by the dispatcher, confined. Lookup that is gone, or a rule that fails there, is a 451. */
#include "receiver/rules/sql_rule.h"
#include "base/log.h"
#include "mail/sql_rule.h"
#include "receiver/session.h"

#define FACTS_MAXIMUM (96u * 1024)

static void ask_stage(struct session *session, enum rule_stage stage, const struct sql_fact_set *wanted,
                      struct lookup_rule_answer *answer) {
    struct buffer facts;

    buffer_init(&facts, FACTS_MAXIMUM);
    if (sql_facts_list(session, wanted, &facts)) {
        ask_rule(session->start->lookup, stage, buffer_text(&facts), answer);
    } else {
        log_error("the facts for the rules of %s are too many bytes", rule_stage_names[stage]);
        *answer = (struct lookup_rule_answer){.outcome = RULE_ANSWER_FAILED, .rule = TEXT("sql")};
    }
    buffer_free(&facts);
}

const struct rule *sql_rule_answer(struct session *session, enum rule_stage stage, struct reply *reply) {
    const struct sql_rules *own = session->start->rules;
    struct lookup_rule_answer answer;

    if (own == NULL || !own->files[stage].named.asks)
        return NULL;
    ask_stage(session, stage, &own->files[stage].named, &answer);
    if (answer.outcome != RULE_ANSWER_FAILED)
        sql_actions_do(session, answer.actions, answer.outcome == RULE_ANSWER_REPLY && answer.code >= 400);
    if (answer.outcome == RULE_ANSWER_NONE)
        return NULL;
    (void)text_copy(session->sql_rule_name, sizeof session->sql_rule_name, answer.rule);
    session->sql_rule = (struct rule){.name = session->sql_rule_name, .stage = stage};
    if (answer.outcome == RULE_ANSWER_REPLY) {
        reply->code = answer.code;
        (void)text_copy(reply->enhanced, sizeof reply->enhanced, answer.enhanced);
        (void)text_copy(reply->text, sizeof reply->text, answer.text);
    } else {
        reply_set(reply, stage == RULE_CONNECT || stage == RULE_PROXY ? 421 : 451, "4.3.0",
                  "%s error: a rule of this server cannot be asked, try again later", session->config->server_name);
    }
    return &session->sql_rule;
}

const struct rule *sql_rule_evaluate(struct session *session, enum rule_stage stage, struct reply *reply) {
    const struct rule *rule = sql_rule_answer(session, stage, reply);

    return rule != NULL && reply->code >= 400 ? rule : NULL;
}
