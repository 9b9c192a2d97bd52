/* SPDX-License-Identifier: MIT
 * Fuzz target: the operator's SQL rules. The text of one stage's file is checked, prepared under the authorizer and
 * asked with facts as strangers write them. Whatever the text says, no answer holds a password's hash, and the tables
 * stay as they were. The first byte is the stage; the text ends with a NUL; facts follow, each a byte and a piece. */
#include "fuzz_directory.h"
#include "lookup/rules.h"
#include "store/database.h"
#include "store/statements.h"
#include "store/users.h"

#define HASH "$5$qZvWx9"

static char paths[2][96];
static struct config config = {.lookup_timeout = 5, .rules_timeout_ms = 20};

static struct database *main_database;

static void fuzz_start(void) {
    fuzz_make_directory();
    (void)snprintf(paths[0], sizeof paths[0], "%s/main.db", fuzz_directory);
    (void)snprintf(paths[1], sizeof paths[1], "%s/users.db", fuzz_directory);
    main_database = fuzz_open_database(paths[0], DATABASE_MAIN); /* stays open, so that readers find its log */
    FUZZ_CHECK(statement_run(main_database, STATEMENT_CONTACT_ADD,
                             BINDS(bind_string("192.0.2.1"), bind_string("2026-01-01 00:00:00"))));
    struct database *users = fuzz_open_database(paths[1], DATABASE_USERS);
    FUZZ_CHECK(users_set(users, TEXT("coco@example.test"), HASH, HASH));
    database_close(users);
    config.database = paths[0];
    config.users_database = paths[1];
}

static bool says_it_itself; /* the rule: whoever knows the hash may repeat it */

static void check_silence(struct text said) {
    FUZZ_CHECK(says_it_itself || memmem(said.data, said.length, HASH, sizeof HASH - 1) == NULL);
}

static void check_reply(const struct reply *reply) {
    struct buffer wire;

    FUZZ_CHECK(sql_rule_may_give(reply->code));
    buffer_init(&wire, 8 * REPLY_TEXT_SIZE);
    FUZZ_CHECK(reply_format(reply, &wire));
    check_silence(buffer_text(&wire));
    buffer_free(&wire);
}

static void check_actions(struct text list, enum rule_stage stage) {
    struct action_item item;
    bool bad = false;

    while (list_next_action(&list, &item, &bad)) {
        FUZZ_CHECK(item.action < SQL_ACTIONS && (sql_actions[item.action].stages & 1u << stage));
        FUZZ_CHECK(sql_actions[item.action].takes(item.value));
        check_silence(item.value);
    }
    FUZZ_CHECK(!bad);
}

static void ask_once(struct rules *rules, enum rule_stage stage, struct text facts) {
    const struct lookup_rule question = {.stage = stage, .facts = facts};
    struct rules_said said = {.outcome = RULE_ANSWER_NONE};

    buffer_init(&said.actions, ACTIONS_MAXIMUM);
    if (rules_answer(rules, &question, &said)) {
        if (said.outcome == RULE_ANSWER_REPLY)
            check_reply(&said.reply);
        check_actions(buffer_text(&said.actions), stage);
    }
    buffer_free(&said.actions);
}

/* Twice: the second time everything is open and prepared. Facts that begin with 0xff are the list itself. */
static void ask(struct rules *rules, enum rule_stage stage, struct text input) {
    bool is_list = input.length > 0 && (uint8_t)input.data[0] == 0xff;
    struct buffer facts;

    buffer_init(&facts, 96u * 1024);
    if (is_list)
        (void)buffer_append_text(&facts, text_from(input, 1));
    while (!is_list && input.length > 0) {
        const uint32_t fact = fuzz_byte(&input) % SQL_FACTS;
        const struct fact_item item = {.fact = fact, .value = fuzz_piece(&input)};
        (void)list_add_fact(&facts, &item);
    }
    for (int i = 0; i < 2; i++)
        ask_once(rules, stage, buffer_text(&facts));
    buffer_free(&facts);
}

static void ask_places(struct rules *rules, struct text key) {
    struct buffer rows;

    buffer_init(&rows, 1u << 16);
    (void)rules_places(rules, key, &rows);
    check_silence(buffer_text(&rows));
    buffer_free(&rows);
}

static void visit(void *context, const char *rule, const char *path, unsigned line, const char *sql) {
    (void)context;
    FUZZ_CHECK(rule[0] != '\0' && path[0] != '\0' && line > 0 && sql != NULL);
}

static void fuzz_one(struct text input) {
    says_it_itself = memmem(input.data, input.length, HASH, sizeof HASH - 1) != NULL;
    enum rule_stage stage = fuzz_byte(&input) % RULE_FILES;
    struct text text = text_first(input, text_find(input, '\0'));
    struct sql_rules own = {0};
    struct rules rules = {.config = &config, .rules = &own};
    struct buffer error;
    int64_t version = database_data_version(main_database);

    own.files[stage].path = memory_string(TEXT("FILE"));
    own.files[stage].text = memory_string(text);
    buffer_init(&error, 4096);
    if (sql_rules_check(&own, paths[0], &error))
        FUZZ_CHECK(own.files[stage].named.asks == rules_have(&rules, stage));
    else
        FUZZ_CHECK(error.length > 0);
    if (stage == RULE_CLIENT_LOOKUP)
        ask_places(&rules, text_from(input, text.length + 1));
    else
        ask(&rules, stage, text_from(input, text.length + 1));
    if (rules.engine != NULL)
        sql_engine_list(rules.engine, visit, NULL);
    FUZZ_CHECK(database_data_version(main_database) == version);
    rules_close(&rules);
    buffer_free(&error);
    sql_rules_free(&own);
}
