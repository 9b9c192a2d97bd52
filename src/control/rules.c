/* SPDX-License-Identifier: MIT
 * `parcelpost rules`: the operator's rules as they are in the files now, which facts they may name, and what they would
 * say to a client. Reading only, under the caller's privileges; the server is not asked. */
#include "control/rules.h"
#include "base/network.h"
#include "control/table.h"
#include "mail/address.h"
#include <stdio.h>
#include <string.h>

#define WORDS_SIZE 512

/* ---- the engine ---- */

struct sql_engine *rules_open(struct control *control, struct sql_rules *rules, int *status) {
    const struct config *config = control->config;
    struct sql_engine *engine = NULL;
    struct buffer error;
    buffer_init(&error, 4096);
    if (!sql_rules_read(config->rules_directory, rules, &error) || !sql_rules_check(rules, config->database, &error)) {
        *status = control_fail(EXIT_STATUS_CONFIG, "%s", buffer_string(&error));
    } else {
        engine = sql_engine_open(config->database, config->users_database, rules, &error);
        if (engine == NULL) {
            *status = control_fail(EXIT_STATUS_ERROR, "%s", buffer_string(&error));
        }
    }
    buffer_free(&error);
    return engine;
}

/* ---- list ---- */

/* One line of it: runs of blanks and line ends become one blank. */
static void squash(char *words, size_t size, const char *sql) {
    size_t length = 0;
    for (; *sql != '\0' && length + 1 < size; sql++) {
        bool blank = strchr(" \t\r\n", *sql) != NULL;
        if (!blank) {
            words[length++] = *sql;
        } else if (length > 0 && words[length - 1] != ' ') {
            words[length++] = ' ';
        }
    }
    words[length] = '\0';
}

static void list_rule(void *context, const char *rule, const char *path, unsigned line, const char *sql) {
    char where[WORDS_SIZE], words[100];
    (void)snprintf(where, sizeof(where), "%s:%u", path, line);
    squash(words, sizeof(words), sql);
    table_add(context, (const char *const[]){rule, where, words});
}

int control_rules_list(struct control *control, int count, char **arguments) {
    static const char *const titles[] = {"RULE", "WHERE", "STATEMENT", NULL};
    struct sql_rules rules = {0};
    int status = EXIT_STATUS_OK;
    (void)count;
    (void)arguments;
    struct sql_engine *engine = rules_open(control, &rules, &status);
    if (engine != NULL) {
        struct table *table = table_new(titles);
        sql_engine_list(engine, list_rule, table);
        if (table_count(table) == 0) {
            printf("There are no rules in %s.\n", control->config->rules_directory);
        }
        table_print(table, stdout);
        table_free(table);
    }
    sql_engine_close(engine);
    sql_rules_free(&rules);
    return status;
}

/* ---- facts ---- */

static enum rule_stage find_stage(const char *word) {
    enum rule_stage stage = rule_file_find(text_of(word));
    if (stage == RULE_FILES) {
        (void)control_fail(0, "there are no rules for \"%s\"; there are those for:", word);
        for (size_t i = 0; i < RULE_FILES; i++) {
            fprintf(stderr, " %s", rule_stage_names[i]);
        }
        fputc('\n', stderr);
    }
    return stage;
}

int control_rules_facts(struct control *control, int count, char **arguments) {
    static const char *const titles[] = {"FACT", "TYPE", "WHAT IT IS", NULL};
    enum rule_stage stage = count > 0 ? find_stage(arguments[0]) : RULE_FILES;
    (void)control;
    if (count > 0 && stage == RULE_FILES) {
        return EXIT_STATUS_USAGE;
    }
    struct table *table = table_new(titles);
    for (size_t i = 0; i < SQL_FACTS; i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), ":%s", sql_facts[i].name);
        if (stage == RULE_FILES || (sql_facts[i].stages & 1u << stage) != 0) {
            table_add(table, (const char *const[]){name, sql_facts[i].number ? "number" : "text", sql_facts[i].help});
        }
    }
    table_print(table, stdout);
    table_free(table);
    return EXIT_STATUS_OK;
}

/* ---- test ---- */

struct given {
    char contact[NETWORK_IP_SIZE];
    struct sql_question question;
};

void rules_derive(const struct control *control, struct text values[SQL_FACTS]) {
    static const struct {
        enum sql_fact fact, source;
    } domains[] = {{SQL_FACT_FROM_DOMAIN, SQL_FACT_FROM}, {SQL_FACT_RCPT_DOMAIN, SQL_FACT_RCPT}};
    if (values[SQL_FACT_SERVER_NAME].data == NULL) {
        values[SQL_FACT_SERVER_NAME] = text_of(control->config->server_name);
    }
    for (size_t i = 0; i < sizeof(domains) / sizeof(domains[0]); i++) {
        if (values[domains[i].fact].data == NULL && values[domains[i].source].data != NULL) {
            values[domains[i].fact] = address_domain_of(values[domains[i].source]);
        }
    }
}

/* What follows from what was given, and what a session would have in place of what was not. */
static void complete_facts(struct control *control, struct given *given) {
    struct text *values = given->question.values;
    struct network_address address;
    unsigned prefix = (unsigned)control->config->contact_prefix_v6;
    if (values[SQL_FACT_CONTACT].data == NULL && values[SQL_FACT_REMOTE_IP].data != NULL &&
        network_parse_ip(values[SQL_FACT_REMOTE_IP], 0, &address)) {
        network_contact(&address, prefix, given->contact);
        values[SQL_FACT_CONTACT] = text_of(given->contact);
    }
    rules_derive(control, values);
    for (size_t i = 0; i < SQL_FACTS; i++) {
        bool looked_up =
            i == SQL_FACT_HITS || i == SQL_FACT_LOCKS || i == SQL_FACT_VIOLATIONS || i == SQL_FACT_ACCEPTED_AT;
        if (values[i].data == NULL && !looked_up) {
            values[i] = sql_facts[i].number ? TEXT("0") : TEXT_NONE;
        }
    }
}

/* Takes "NAME=VALUE" words. */
static bool take_facts(struct given *given, int count, char **words) {
    for (int i = 0; i < count; i++) {
        struct text word = text_of(words[i]);
        struct text name = text_first(word, text_find(word, '='));
        enum sql_fact fact = sql_fact_find(name);
        uint64_t number;
        if (fact == SQL_FACTS || name.length == word.length) {
            (void)control_fail(0, "\"%s\" is no NAME=VALUE of a fact; try: parcelpost rules facts", words[i]);
            return false;
        }
        struct text value = text_from(word, name.length + 1);
        if (sql_facts[fact].number && !text_number(value, INT64_MAX, &number)) {
            (void)control_fail(0, "%s is a number", sql_facts[fact].name);
            return false;
        }
        given->question.values[fact] = value;
    }
    return true;
}

/* Lines "header: X-Checked: yes (sql:message:1)". */
static void take_action(void *context, const char *rule, enum sql_action action, struct text value) {
    char shown[SQL_ACTION_VALUE_MAXIMUM];
    (void)buffer_format(context, "%s: %s (%s)\n", sql_actions[action].name, text_printable(shown, sizeof(shown), value),
                        rule);
}

static int tell(enum rule_stage stage, enum sql_outcome outcome, const struct reply *reply, const char *rule,
                const char *error, struct text actions) {
    struct buffer wire;
    struct text rest, line;
    if (outcome == SQL_FAILED) {
        return control_fail(EXIT_STATUS_ERROR, "%s fails, and a client would read 451: %s", rule, error);
    }
    printf("%.*s", TEXT_ARGS(actions));
    if (stage == RULE_CLIENT_LOOKUP) {
        printf("%s%s\n", outcome == SQL_SILENT ? "no rule" : rule, outcome == SQL_SILENT ? " knows it" : " says so");
        return EXIT_STATUS_OK;
    }
    if (outcome == SQL_SILENT) {
        puts("no rule objects");
        return EXIT_STATUS_OK;
    }
    buffer_init(&wire, 8 * REPLY_TEXT_SIZE);
    (void)reply_format(reply, &wire);
    rest = buffer_text(&wire);
    while (text_split(&rest, '\n', &line)) {
        printf("%.*s\n", TEXT_ARGS(text_first(line, text_find(line, '\r'))));
    }
    printf("%s says so%s\n", rule, reply->code < 400 ? "; the rules behind it are not asked, and nothing objects" : "");
    buffer_free(&wire);
    return EXIT_STATUS_OK;
}

int control_rules_test(struct control *control, int count, char **arguments) {
    struct given given = {.question = {.stage = find_stage(arguments[0])}};
    struct sql_rules rules = {0};
    char rule[SQL_RULE_NAME_SIZE] = "";
    struct reply reply = {.code = 0};
    struct buffer error, actions;
    int status = EXIT_STATUS_OK;
    if (given.question.stage == RULE_FILES || !take_facts(&given, count - 1, arguments + 1)) {
        return EXIT_STATUS_USAGE;
    }
    given.question.milliseconds = control->config->rules_timeout_ms;
    complete_facts(control, &given);
    struct sql_engine *engine = rules_open(control, &rules, &status);
    buffer_init(&error, 4096);
    buffer_init(&actions, 65536);
    given.question.take = take_action;
    given.question.context = given.question.places = &actions;
    if (engine != NULL) {
        enum sql_outcome outcome = sql_engine_ask(engine, &given.question, &reply, rule, &error);
        status = tell(given.question.stage, outcome, &reply, rule, buffer_string(&error), buffer_text(&actions));
    }
    buffer_free(&error);
    buffer_free(&actions);
    sql_engine_close(engine);
    sql_rules_free(&rules);
    return status;
}
