/* SPDX-License-Identifier: MIT
 * Asking the operator's rules for a receiver. Called by lookup.c, as parcelpost-auth. The statements were checked by
 * the listener and are prepared here on the first question, and anew when a database file takes the other's place. An
 * error is logged with file and line, and is a temporary failure: nothing gets in because a rule is broken. */
#include "lookup/rules.h"
#include "base/log.h"
#include <sys/stat.h>

#define ERROR_MAXIMUM 1024u

void rules_close(struct rules *rules) {
    sql_engine_close(rules->engine);
    rules->engine = NULL;
}

static struct rules_file file_at(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 ? (struct rules_file){status.st_dev, status.st_ino} : (struct rules_file){0, 0};
}

/* Makes sure that what is open is what has the paths now. */
static bool is_open(struct rules *rules) {
    const struct rules_file now[2] = {file_at(rules->config->database), file_at(rules->config->users_database)};
    struct buffer error;
    bool same = now[0].inode == rules->opened[0].inode && now[0].device == rules->opened[0].device &&
                now[1].inode == rules->opened[1].inode && now[1].device == rules->opened[1].device;
    if (rules->engine != NULL && same) {
        return true;
    }
    rules_close(rules);
    buffer_init(&error, ERROR_MAXIMUM);
    rules->engine = sql_engine_open(rules->config->database, rules->config->users_database, rules->rules, &error);
    if (rules->engine == NULL && !rules->complained) {
        log_error("the operator's rules cannot be asked: %s", buffer_string(&error));
    }
    rules->complained = rules->engine == NULL;
    rules->opened[0] = now[0];
    rules->opened[1] = now[1];
    buffer_free(&error);
    return rules->engine != NULL;
}

static bool take_facts(struct text list, struct text values[SQL_FACTS]) {
    struct fact_item item;
    bool bad = false;
    for (size_t i = 0; i < SQL_FACTS; i++) {
        values[i] = (struct text){NULL, 0};
    }
    while (list_next_fact(&list, &item, &bad)) {
        values[item.fact] = item.value;
    }
    return !bad;
}

static void take_action(void *context, const char *rule, enum sql_action action, struct text value) {
    const struct action_item item = {.action = action, .rule = text_of(rule), .value = value};
    if (!list_add_action(context, &item)) {
        log_error("rule %s: %s is left out: so much can no rule ask for", rule, sql_actions[action].name);
    }
}

static enum sql_outcome ask(struct rules *rules, struct sql_question *question, struct reply *reply,
                            char rule[SQL_RULE_NAME_SIZE]) {
    long most = 900 * rules->config->lookup_timeout; /* at the end of which the whole process is ended */
    struct buffer error;
    buffer_init(&error, ERROR_MAXIMUM);
    question->milliseconds = rules->config->rules_timeout_ms < most ? rules->config->rules_timeout_ms : most;
    enum sql_outcome outcome = sql_engine_ask(rules->engine, question, reply, rule, &error);
    if (outcome == SQL_FAILED) {
        log_error("rule %s failed: %s", rule, buffer_string(&error));
        rules_close(rules); /* prepared anew: what it lacked may come back */
    }
    buffer_free(&error);
    return outcome;
}

bool rules_have(const struct rules *rules, enum rule_stage stage) {
    return rules->rules != NULL && rules->rules->files[stage].named.asks;
}

enum sql_outcome rules_places(struct rules *rules, struct text key, struct buffer *rows) {
    struct sql_question question = {.stage = RULE_CLIENT_LOOKUP, .places = rows};
    struct reply reply;
    char rule[SQL_RULE_NAME_SIZE];
    question.values[SQL_FACT_ADDRESS] = key;
    return is_open(rules) ? ask(rules, &question, &reply, rule) : SQL_FAILED;
}

bool rules_answer(struct rules *rules, const struct lookup_rule *question, struct rules_said *said) {
    static const enum rule_answer answers[] = {
        [SQL_SILENT] = RULE_ANSWER_NONE, [SQL_SPOKE] = RULE_ANSWER_REPLY, [SQL_FAILED] = RULE_ANSWER_FAILED};
    struct sql_question asked = {
        .stage = (enum rule_stage)question->stage, .take = take_action, .context = &said->actions};
    said->outcome = RULE_ANSWER_FAILED;
    (void)text_copy(said->rule, sizeof said->rule, TEXT("sql"));
    if (!take_facts(question->facts, asked.values)) {
        return false;
    }
    if (rules->rules == NULL || !is_open(rules)) {
        return true;
    }
    said->outcome = answers[ask(rules, &asked, &said->reply, said->rule)];
    return true;
}
