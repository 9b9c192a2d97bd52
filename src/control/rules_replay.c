/* SPDX-License-Identifier: MIT
 * `parcelpost rules replay`: the recipients of the last days, asked about once more with the rules as they are in the
 * files now. Reading only, under the caller's privileges. What was not recorded (a subject, say) is NULL to a rule, and
 * what a rule counts in the tables is what they hold today. */
#include "base/clock.h"
#include "base/memory.h"
#include "control/rules.h"
#include "control/table.h"
#include "store/report.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAYS_STANDARD 7
#define SECONDS_A_DAY 86400

struct replay {
    struct control *control;
    struct sql_engine *engine;
    struct table *table;
    char *last_mail;   /* what holds for all its recipients was asked already, */
    bool mail_differs; /* and some rule objected */
    size_t recipients, differences;
};

static const char *value_of(const struct report_row *row, const char *name) {
    for (size_t i = 0; i < row->count; i++) {
        if (strcmp(row->names[i], name) == 0) {
            return row->values[i];
        }
    }
    return "";
}

/* A column that is named as a fact is one. */
static void take_facts(const struct replay *replay, const struct report_row *row, struct text values[SQL_FACTS]) {
    for (size_t i = 0; i < SQL_FACTS; i++) {
        values[i] = (struct text){NULL, 0};
    }
    for (size_t i = 0; i < row->count; i++) {
        enum sql_fact fact = sql_fact_find(text_of(row->names[i]));
        if (fact < SQL_FACTS && row->kinds[i] != REPORT_NULL) {
            values[fact] = text_of(row->values[i]);
        }
    }
    rules_derive(replay->control, values);
}

static void note(struct replay *replay, const struct report_row *row, const char *was, const char *now,
                 const char *rule) {
    replay->differences++;
    table_add(replay->table, (const char *const[]){value_of(row, "created_at"), value_of(row, "mail_id"),
                                                   value_of(row, "from"), value_of(row, "rcpt"), was, now, rule});
}

/* "" when the rules of this stage do not object; else the answer. */
static const char *ask(const struct replay *replay, struct sql_question *question, char *line, size_t size,
                       char rule[SQL_RULE_NAME_SIZE]) {
    struct reply reply = {.code = 0};
    struct buffer error;
    buffer_init(&error, 4096);
    enum sql_outcome outcome = sql_engine_ask(replay->engine, question, &reply, rule, &error);
    line[0] = '\0';
    if (outcome == SQL_FAILED) {
        (void)snprintf(line, size, "451 %s", buffer_string(&error));
    } else if (outcome == SQL_SPOKE && reply.code >= 400) {
        (void)reply_line(&reply, line, size);
    }
    buffer_free(&error);
    return line;
}

/* What holds for a message as a whole: asked with its first recipient. */
static void replay_mail(struct replay *replay, const struct report_row *row, struct sql_question *question) {
    static const enum rule_stage stages[] = {RULE_CONNECT, RULE_EHLO, RULE_STARTTLS, RULE_AUTH,
                                             RULE_MAIL,    RULE_DATA, RULE_HEADERS,  RULE_MESSAGE};
    char line[REPLY_TEXT_SIZE], rule[SQL_RULE_NAME_SIZE];
    const char *mail_id = value_of(row, "mail_id");
    if (replay->last_mail != NULL && strcmp(replay->last_mail, mail_id) == 0) {
        return;
    }
    free(replay->last_mail);
    replay->last_mail = memory_string(text_of(mail_id));
    replay->mail_differs = false;
    for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]) && !replay->mail_differs; i++) {
        question->stage = stages[i];
        if ((stages[i] == RULE_AUTH && question->values[SQL_FACT_ACCOUNT].length == 0) ||
            (stages[i] == RULE_STARTTLS && question->values[SQL_FACT_TLS].length == 0)) {
            continue;
        }
        replay->mail_differs = ask(replay, question, line, sizeof(line), rule)[0] != '\0';
    }
    if (replay->mail_differs) {
        note(replay, row, "accepted", line, rule);
    }
}

static void replay_accepted(struct replay *replay, const struct report_row *row, struct sql_question *question) {
    char line[REPLY_TEXT_SIZE], rule[SQL_RULE_NAME_SIZE];
    replay_mail(replay, row, question);
    question->stage = RULE_RCPT;
    if (!replay->mail_differs && ask(replay, question, line, sizeof(line), rule)[0] != '\0') {
        note(replay, row, "accepted", line, rule);
    }
}

/* One that a rule had refused; what the server itself refuses, rules are not asked about. */
static void replay_refused(struct replay *replay, const struct report_row *row, struct sql_question *question) {
    char line[REPLY_TEXT_SIZE], rule[SQL_RULE_NAME_SIZE];
    const char *was = value_of(row, "refusal");
    if (strncmp(value_of(row, "refused_by"), "sql:", 4) != 0) {
        return;
    }
    question->stage = RULE_RCPT;
    const char *now = ask(replay, question, line, sizeof(line), rule);
    if (strcmp(was, now) != 0) {
        note(replay, row, was, now[0] != '\0' ? now : "accepted", now[0] != '\0' ? rule : value_of(row, "refused_by"));
    }
}

static bool replay_row(void *context, const struct report_row *row) {
    struct replay *replay = context;
    struct sql_question question = {.milliseconds = replay->control->config->rules_timeout_ms};
    take_facts(replay, row, question.values);
    replay->recipients++;
    if (value_of(row, "refusal")[0] != '\0') {
        replay_refused(replay, row, &question);
    } else {
        replay_accepted(replay, row, &question);
    }
    return true;
}

static int run(struct replay *replay, long days) {
    char since[CLOCK_TEXT_SIZE];
    struct database *database = control_database(replay->control);
    if (database == NULL) {
        return EXIT_STATUS_ERROR;
    }
    clock_text(time(NULL) - (time_t)days * SECONDS_A_DAY, since);
    int status = EXIT_STATUS_OK;
    if (!report_run(database, REPORT_REPLAY, since, replay_row, replay)) {
        status = control_fail(EXIT_STATUS_ERROR, "%s", database_error(database));
    } else {
        table_print(replay->table, stdout);
        printf("%zu answers about %zu recipients since %s would be others.\n", replay->differences, replay->recipients,
               since);
    }
    database_close(database);
    return status;
}

int control_rules_replay(struct control *control, int count, char **arguments) {
    static const char *const titles[] = {"TIME", "MAIL ID", "FROM", "TO", "WAS", "WOULD BE", "BY", NULL};
    struct replay replay = {.control = control};
    struct sql_rules rules = {0};
    uint64_t days = DAYS_STANDARD;
    int status = EXIT_STATUS_OK;
    if (count > 0 && (!text_number(text_of(arguments[0]), 36500, &days) || days == 0)) {
        return control_fail(EXIT_STATUS_USAGE, "DAYS is a number from 1 to 36500");
    }
    replay.engine = rules_open(control, &rules, &status);
    replay.table = table_new(titles);
    if (replay.engine != NULL) {
        status = run(&replay, (long)days);
    }
    table_free(replay.table);
    free(replay.last_mail);
    sql_engine_close(replay.engine);
    sql_rules_free(&rules);
    return status;
}
