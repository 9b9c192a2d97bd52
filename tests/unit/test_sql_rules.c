/* SPDX-License-Identifier: MIT
 * Unit test of store/sql_rules: which statements are rules, what is said of those that are none, and what becomes of
 * the rows that they give. */
#include "base/file.h"
#include "store/database.h"
#include "store/sql_rules.h"
#include "store/statements.h"
#include "store/users.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "open_database.h"
// clang-format on
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENDLESS "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT max(n) FROM x"

struct fixture {
    char directory[40], rules[64], main_path[64], users_path[64], file[128];
    struct database *main;
};

static int set_up(void **state) {
    static struct fixture f;
    (void)snprintf(f.directory, sizeof f.directory, "/tmp/test_sql_rules.XXXXXX");
    assert_non_null(mkdtemp(f.directory));
    (void)snprintf(f.rules, sizeof f.rules, "%s/rules", f.directory);
    (void)snprintf(f.main_path, sizeof f.main_path, "%s/100%%#?.db", f.directory);
    (void)snprintf(f.users_path, sizeof f.users_path, "%s/users.db", f.directory);
    assert_int_equal(mkdir(f.rules, 0755), 0);
    f.main = open_or_fail(f.main_path, DATABASE_MAIN, DATABASE_WRITE);
    assert_true(
        statement_run(f.main, STATEMENT_CONTACT_ADD, BINDS(bind_string("192.0.2.1"), bind_string("2026-01-01"))));
    struct database *users = open_or_fail(f.users_path, DATABASE_USERS, DATABASE_WRITE);
    assert_true(users_set(users, TEXT("coco@example.test"), "$5$secret", NULL));
    database_close(users);
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    database_close(f->main);
    const char *const names[] = {"rules/rcpt_to.sql", "rules/misspelt.sql", "rules",    "100%#?.db-wal",
                                 "100%#?.db-shm",     "100%#?.db",          "users.db", ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", f->directory, names[i]);
        (void)remove(path);
    }
    return 0;
}

static void write_rules(struct fixture *f, const char *name, const char *text) {
    (void)snprintf(f->file, sizeof f->file, "%s/%s", f->rules, name);
    int fd = open(f->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0 && file_write_all(fd, text, strlen(text)));
    (void)close(fd);
}

/* ---- checking ---- */

static const struct {
    const char *sentence, *sql;
    unsigned line;
    const char *problem; /* NULL: it is a rule */
} checks[] = {
    {"a SELECT", "SELECT '550 no'", 0, NULL},
    {"several, with comments and quoted semicolons",
     "-- a; b\nSELECT NULL, ';' AS log;\n/* ; */ SELECT \";\" FROM (SELECT 1 AS \";\");", 0, NULL},
    {"nothing but a comment", "-- SELECT\n", 0, NULL},
    {"VALUES", "VALUES (NULL)", 0, NULL},
    {"a recursive SELECT", ENDLESS, 0, NULL},
    {"users' addresses", "SELECT NULL FROM users WHERE address = :rcpt", 0, NULL},
    {"counting users", "SELECT count(*) || '' FROM users.users", 0, NULL},
    {"the tables of history", "SELECT NULL FROM contacts, violations, mails, parcels, domains, aliases", 0, NULL},
    {"a column that is not there", "SELECT NULL;\n\nSELECT\n  wrong FROM contacts", 4, "no such column: wrong"},
    {"a table that is not there", "SELECT 1 FROM nowhere", 1, "no such table: nowhere"},
    {"no SQL at all", "refuse everybody", 1, "near \"refuse\": syntax error"},
    {"a string that never ends", "SELECT 1;\nSELECT 'x", 2, "unrecognized token"},
    {"DELETE", "DELETE FROM contacts", 1, "DELETE is not allowed"},
    {"INSERT that returns rows", "INSERT INTO domains (domain) VALUES ('x') RETURNING domain", 1,
     "INSERT is not allowed"},
    {"UPDATE", "UPDATE contacts SET hits = 0", 1, "UPDATE is not allowed"},
    {"PRAGMA", "PRAGMA query_only = OFF", 1, "PRAGMA is not allowed"},
    {"PRAGMA as a function", "SELECT name FROM pragma_table_info('users')", 1, "not authorized"},
    {"ATTACH", "ATTACH '/etc/passwd' AS x", 1, "ATTACH is not allowed"},
    {"CREATE", "CREATE TABLE x (y)", 1, "not allowed"},
    {"BEGIN", "BEGIN", 1, "not allowed"},
    {"VACUUM", "VACUUM", 1, "is no SELECT"},
    {"EXPLAIN", "EXPLAIN SELECT 1", 1, "is no SELECT"},
    {"loading code", "SELECT load_extension('x')", 1, "not authorized to use function: load_extension"},
    {"a password's hash", "SELECT hash FROM users", 1, "reading users.hash is not allowed"},
    {"every column of users", "SELECT * FROM users", 1, "reading users.hash is not allowed"},
    {"a hash in a condition", "SELECT 1 WHERE EXISTS (SELECT 1 FROM users WHERE hash LIKE 'x%')", 1,
     "reading users.hash is not allowed"},
    {"a parameter that is no fact", "SELECT :wrong", 1, ":wrong is no fact"},
    {"a parameter without a name", "SELECT ?", 1, "? is no fact"},
    {"a fact of another stage", "SELECT :subject", 1, ":subject is not known at rcpt_to"},
    {"actions", "SELECT '550 5.7.1 no', 'why' AS log, 100 AS DELAY", 0, NULL},
    {"a column that is no action", "SELECT NULL;\nSELECT NULL, 'x' AS colour", 2,
     "column 2, \"colour\", is no action; accepted: log, delay"},
    {"an action of another stage", "SELECT NULL, 'x' AS banner", 1,
     "column 2, \"banner\", is no action at rcpt_to; accepted: log, delay"},
    {"a constant reply that is none", "SELECT 'nonsense'", 1, "gives what is no SMTP reply: nonsense"},
    {"a constant beginning that is none", "SELECT 'nonsense ' || :rcpt", 1, "gives what is no SMTP reply: nonsense"},
    {"a constant code that no rule may give", "SELECT '556 5.7.1 ' || :rcpt WHERE :rcpt = ''", 1,
     "gives what is no reply of a rule: 556 5.7.1 ; accepted: 2xx, 421, 432"},
    {"354 in VALUES", "VALUES ('354 go on')", 1, "gives what is no reply of a rule: 354 go on"},
    {"a beginning too short to know", "SELECT '55' || '0 5.7.1 no'", 0, NULL},
    {"a constant that is compared", "SELECT 'x' = :rcpt", 0, NULL},
};

static void statements_are_rules_or_named_with_file_and_line(void **state) {
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        struct sql_rules rules;
        struct buffer error;
        char wanted[256];
        buffer_init(&error, 4096);
        write_rules(f, "rcpt_to.sql", checks[i].sql);
        assert_true(sql_rules_read(f->rules, &rules, &error));
        bool good = sql_rules_check(&rules, f->main_path, &error);
        (void)snprintf(wanted, sizeof wanted, "%s:%u: ", f->file, checks[i].line);
        bool named = text_starts_nocase(buffer_text(&error), text_of(wanted)) &&
                     (good || strstr(buffer_string(&error), checks[i].problem) != NULL);
        if (good != (checks[i].problem == NULL) || (!good && !named)) {
            fail_msg("%s: wanted %s%s, got %s", checks[i].sentence, wanted, checks[i].problem, buffer_string(&error));
        }
        sql_rules_free(&rules);
        buffer_free(&error);
    }
}

/* As an operator does it. */
static void make_table(const char *path, const char *sql) {
    sqlite3 *handle = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(handle);
}

static void a_table_of_the_operators_may_be_read(void **state) {
    struct fixture *f = *state;
    struct sql_rules rules;
    struct buffer error;
    buffer_init(&error, 4096);
    write_rules(f, "rcpt_to.sql", "SELECT NULL FROM wanted WHERE domain = :rcpt_domain");
    assert_true(sql_rules_read(f->rules, &rules, &error));
    assert_false(sql_rules_check(&rules, f->main_path, &error));
    buffer_clear(&error);
    make_table(f->main_path, "CREATE TABLE wanted (domain TEXT)");
    if (!sql_rules_check(&rules, f->main_path, &error)) {
        fail_msg("%s", buffer_string(&error));
    }
    sql_rules_free(&rules);
    buffer_free(&error);
}

static void what_a_file_asks_is_noted(void **state) {
    struct fixture *f = *state;
    struct sql_rules rules;
    struct buffer error;
    buffer_init(&error, 4096);
    write_rules(f, "rcpt_to.sql", "SELECT NULL WHERE :rcpt = :from; SELECT NULL WHERE :hits > 3");
    assert_true(sql_rules_read(f->rules, &rules, &error) && sql_rules_check(&rules, f->main_path, &error));
    const struct sql_fact_set *named = &rules.files[RULE_RCPT].named;
    size_t count = 0;
    for (size_t i = 0; i < SQL_FACTS; i++)
        count += named->facts[i];
    assert_true(named->asks && named->facts[SQL_FACT_RCPT] && named->facts[SQL_FACT_FROM] &&
                named->facts[SQL_FACT_HITS] && named->facts[SQL_FACT_CONTACT]);
    assert_int_equal(count, 4);
    assert_false(rules.files[RULE_MAIL].named.asks);
    sql_rules_free(&rules);
    write_rules(f, "rcpt_to.sql", "-- nothing yet\n");
    assert_true(sql_rules_read(f->rules, &rules, &error) && sql_rules_check(&rules, f->main_path, &error));
    assert_false(rules.files[RULE_RCPT].named.asks);
    sql_rules_free(&rules);
    buffer_free(&error);
}

static void a_file_that_nobody_would_ask_is_an_error(void **state) {
    struct fixture *f = *state;
    struct sql_rules rules;
    struct buffer error;
    buffer_init(&error, 4096);
    write_rules(f, "misspelt.sql", "SELECT 1");
    assert_false(sql_rules_read(f->rules, &rules, &error));
    assert_non_null(strstr(buffer_string(&error), "misspelt.sql"));
    assert_non_null(strstr(buffer_string(&error), "mail_from.sql"));
    assert_int_equal(unlink(f->file), 0);
    assert_true(sql_rules_read("/nowhere/rules", &rules, &error));
    buffer_free(&error);
}

/* ---- asking ---- */

static const struct {
    const char *sentence, *sql;
    enum sql_outcome outcome;
    const char *rule, *reply; /* or a part of the error */
} answers[] = {
    {"no row", "SELECT '550 no' WHERE 0", SQL_SILENT, "", ""},
    {"NULL", "SELECT NULL", SQL_SILENT, "", ""},
    {"a reply", "SELECT '550 5.1.1 no ' || :rcpt", SQL_SPOKE, "sql:rcpt_to:1", "550 5.1.1 no a'b@example.test"},
    {"a reply without an enhanced code", "SELECT '450 later'", SQL_SPOKE, "sql:rcpt_to:1", "450 4.7.1 later"},
    {"the second statement", "SELECT NULL; SELECT '550 5.7.1 x'", SQL_SPOKE, "sql:rcpt_to:2", "550 5.7.1 x"},
    {"a 2xx before a 5xx", "SELECT '250 fine'; SELECT '550 5.7.1 x'", SQL_SPOKE, "sql:rcpt_to:1", "250 2.0.0 fine"},
    {"rows with NULL between them", "SELECT column1 FROM (VALUES ('550 5.7.1 a'), (NULL), ('550-5.7.1 b'))", SQL_SPOKE,
     "sql:rcpt_to:1", "550 5.7.1 a b"},
    {"a code alone", "SELECT 550", SQL_SPOKE, "sql:rcpt_to:1", "550 5.7.1  "},
    {"the contact's row", "SELECT '550 5.7.1 ' || :hits || ' ' || :violations || ' ' || ifnull(:accepted_at, 'never')",
     SQL_SPOKE, "sql:rcpt_to:1", "550 5.7.1 0 0 never"},
    {"numbers are numbers", "SELECT '550 5.7.1 ' || typeof(:rcpt_count) WHERE :rcpt_count + 1 = 8", SQL_SPOKE,
     "sql:rcpt_to:1", "550 5.7.1 integer"},
    {"a fact that was not given is NULL", "SELECT '550 5.7.1 null' WHERE :ehlo IS NULL", SQL_SPOKE, "sql:rcpt_to:1",
     "550 5.7.1 null"},
    {"users by address", "SELECT '250 2.0.0 ' || address FROM users", SQL_SPOKE, "sql:rcpt_to:1",
     "250 2.0.0 coco@example.test"},
    {"an address of a network",
     "SELECT '550 5.7.1 ' || in_network('192.0.2.7', '192.0.2.0/24') || in_network('192.0.3.7', '192.0.2.0/24') ||"
     " in_network('2001:db8::1', '2001:db8::/32') || in_network('unix', '0.0.0.0/0') || in_network(NULL, '::/0')",
     SQL_SPOKE, "sql:rcpt_to:1", "550 5.7.1 10100"},
    {"a network that is none", "SELECT NULL WHERE in_network('192.0.2.7', 'here')", SQL_FAILED, "sql:rcpt_to:1",
     "in_network: \"here\" is no network"},
    {"words", "SELECT lower('NO')", SQL_FAILED, "sql:rcpt_to:1", "gives what is no SMTP reply: no"},
    {"a condition taken for a reply", "SELECT 1 = 1", SQL_FAILED, "sql:rcpt_to:1", "gives what is no SMTP reply: 1"},
    {"a 3xx", "SELECT '35' || '4 go on'", SQL_FAILED, "sql:rcpt_to:1", "gives what is no reply of a rule"},
    {"codes that contradict each other", "SELECT '550 4.7.1 x'", SQL_FAILED, "sql:rcpt_to:1", "no reply of a rule"},
    {"rows with different codes", "SELECT '550 5.7.1 a' UNION ALL SELECT '553 5.7.1 b'", SQL_FAILED, "sql:rcpt_to:1",
     "different codes"},
    {"a reply without end",
     "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT '550 5.7.1 x' FROM x", SQL_FAILED,
     "sql:rcpt_to:1", "too long"},
    {"a statement without end", "SELECT NULL; " ENDLESS, SQL_FAILED, "sql:rcpt_to:2", "longer than rules_timeout_ms"},
    {"an error while it runs", "SELECT abs(-9223372036854775808)", SQL_FAILED, "sql:rcpt_to:1", "integer overflow"},
};

static void ask_and_compare(struct fixture *f, size_t i) {
    struct sql_rules rules;
    struct buffer error;
    struct reply reply = {.code = 0};
    char rule[SQL_RULE_NAME_SIZE] = "", line[REPLY_TEXT_SIZE + 64] = "";
    struct sql_question question = {.stage = RULE_RCPT, .milliseconds = 200};
    question.values[SQL_FACT_RCPT] = TEXT("a'b@example.test");
    question.values[SQL_FACT_RCPT_COUNT] = TEXT("7");
    question.values[SQL_FACT_CONTACT] = TEXT("192.0.2.1");
    buffer_init(&error, 4096);
    write_rules(f, "rcpt_to.sql", answers[i].sql);
    assert_true(sql_rules_read(f->rules, &rules, &error));
    struct sql_engine *engine = sql_engine_open(f->main_path, f->users_path, &rules, &error);
    assert_non_null(engine);
    enum sql_outcome outcome = sql_engine_ask(engine, &question, &reply, rule, &error);
    if (outcome == SQL_SPOKE) {
        (void)reply_line(&reply, line, sizeof line);
    }
    if (outcome != answers[i].outcome || (outcome == SQL_SPOKE && strcmp(line, answers[i].reply) != 0) ||
        (outcome == SQL_FAILED && strstr(buffer_string(&error), answers[i].reply) == NULL) ||
        (outcome != SQL_SILENT && strcmp(rule, answers[i].rule) != 0)) {
        fail_msg("%s: %d %s \"%s\" %s", answers[i].sentence, (int)outcome, rule, line, buffer_string(&error));
    }
    assert_int_equal(sql_engine_ask(engine, &question, &reply, rule, &error), outcome); /* it can be asked again */
    sql_engine_close(engine);
    sql_rules_free(&rules);
    buffer_free(&error);
}

static void rows_become_replies_and_errors_never_consent(void **state) {
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        ask_and_compare(*state, i);
    }
}

/* ---- actions ---- */

static const struct {
    const char *sentence, *sql;
    enum sql_outcome outcome;
    const char *said; /* actions, or a part of the error */
} deeds[] = {
    {"none", "SELECT NULL, NULL AS log", SQL_SILENT, ""},
    {"without a reply", "SELECT NULL, 'seen ' || :rcpt AS log, 250 AS delay", SQL_SILENT,
     "sql:rcpt_to:1 log=seen a'b@example.test;sql:rcpt_to:1 delay=250;"},
    {"with a reply", "SELECT '550 5.7.1 no', 'why' AS log", SQL_SPOKE, "sql:rcpt_to:1 log=why;"},
    {"of every row and statement up to the one that speaks",
     "SELECT NULL, column1 AS log FROM (VALUES ('a'), ('b')); SELECT '250 ok', 'c' AS log; SELECT NULL, 'd' AS log",
     SQL_SPOKE, "sql:rcpt_to:1 log=a;sql:rcpt_to:1 log=b;sql:rcpt_to:2 log=c;"},
    {"another recipient", "SELECT NULL, 'other@example.test' AS recipient", SQL_SILENT,
     "sql:rcpt_to:1 recipient=other@example.test;"},
    {"a recipient that is no address", "SELECT NULL, 'other' AS recipient", SQL_FAILED,
     "recipient is to be an address, not: other"},
    {"a delay that is no number", "SELECT NULL, 'long' AS delay", SQL_FAILED,
     "delay is to be a number of milliseconds, not: long"},
    {"a header field", "SELECT NULL, 'X-Seen: ' || :rcpt AS header", SQL_SILENT,
     "sql:rcpt_to:1 header=X-Seen: a'b@example.test;"},
    {"a header field without a name", "SELECT NULL, 'seen ' || :rcpt AS header", SQL_FAILED,
     "header is to be Name: value, not: seen a'b@example.test"},
    {"a name with a blank", "SELECT NULL, 'X Seen: yes' AS header", SQL_FAILED, "header is to be Name: value"},
    {"an empty log", "SELECT NULL, '' AS log", SQL_FAILED, "log is to be a text"},
};

static void note_action(void *context, const char *rule, enum sql_action action, struct text value) {
    (void)buffer_format(context, "%s %s=%.*s;", rule, sql_actions[action].name, TEXT_ARGS(value));
}

static void columns_behind_the_reply_are_actions(void **state) {
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++) {
        struct sql_rules rules;
        struct buffer error, said;
        struct reply reply = {.code = 0};
        char rule[SQL_RULE_NAME_SIZE] = "";
        buffer_init(&error, 4096);
        buffer_init(&said, 4096);
        struct sql_question question = {.stage = RULE_RCPT, .milliseconds = 200, .take = note_action, .context = &said};
        question.values[SQL_FACT_RCPT] = TEXT("a'b@example.test");
        write_rules(f, "rcpt_to.sql", deeds[i].sql);
        assert_true(sql_rules_read(f->rules, &rules, &error));
        struct sql_engine *engine = sql_engine_open(f->main_path, f->users_path, &rules, &error);
        enum sql_outcome outcome = sql_engine_ask(engine, &question, &reply, rule, &error);
        bool good = outcome == SQL_FAILED ? strstr(buffer_string(&error), deeds[i].said) != NULL
                                          : text_equal(buffer_text(&said), text_of(deeds[i].said));
        if (outcome != deeds[i].outcome || !good)
            fail_msg("%s: %d %s %s", deeds[i].sentence, (int)outcome, buffer_string(&said), buffer_string(&error));
        sql_engine_close(engine);
        sql_rules_free(&rules);
        buffer_free(&error);
        buffer_free(&said);
    }
}

static void every_code_of_the_list_may_be_given_and_no_other(void **state) {
    static const unsigned codes[] = {421, 432, 450, 451, 452, 454, 500, 501, 502, 503,
                                     504, 521, 530, 534, 535, 538, 550, 552, 553, 554};
    size_t given = 0;
    (void)state;
    for (unsigned code = 300; code < 700; code++)
        given += sql_rule_may_give(code);
    assert_int_equal(given, sizeof codes / sizeof codes[0]);
    for (size_t i = 0; i < given; i++)
        assert_true(sql_rule_may_give(codes[i]));
}

/* ---- the tables ---- */

static void names_are_complete_and_unique(void **state) {
    (void)state;
    for (size_t i = 0; i < SQL_FACTS; i++) {
        assert_non_null(sql_facts[i].name);
        assert_non_null(sql_facts[i].help);
        assert_true(sql_facts[i].stages != 0);
        assert_int_equal(sql_fact_find(text_of(sql_facts[i].name)), i);
    }
    for (size_t i = 0; i < RULE_FILES; i++) {
        assert_int_equal(rule_file_find(text_of(rule_stage_names[i])), i);
    }
    assert_int_equal(sql_fact_find(TEXT("wrong")), SQL_FACTS);
    for (size_t i = 0; i < SQL_ACTIONS; i++) {
        assert_true(sql_actions[i].stages != 0 && sql_actions[i].help != NULL && sql_actions[i].wants != NULL);
        assert_non_null(sql_actions[i].takes);
        assert_int_equal(sql_action_find(text_of(sql_actions[i].name)), i);
    }
    assert_int_equal(sql_action_find(TEXT("wrong")), SQL_ACTIONS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements_are_rules_or_named_with_file_and_line),
        cmocka_unit_test(a_table_of_the_operators_may_be_read),
        cmocka_unit_test(what_a_file_asks_is_noted),
        cmocka_unit_test(a_file_that_nobody_would_ask_is_an_error),
        cmocka_unit_test(rows_become_replies_and_errors_never_consent),
        cmocka_unit_test(columns_behind_the_reply_are_actions),
        cmocka_unit_test(every_code_of_the_list_may_be_given_and_no_other),
        cmocka_unit_test(names_are_complete_and_unique),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
