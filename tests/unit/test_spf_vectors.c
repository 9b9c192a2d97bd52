/* SPDX-License-Identifier: MIT
 * SPF against the openspf.org suite for RFC 7208 (in PARCELPOST_TESTDATA or ../shared/testdata, skipped when missing):
 * every test of every scenario, each with its zone. SQLite reads their JSON. */
#include "base/file.h"
#include "spf/spf.h"
#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Of a name the records in order, each as it would be answered: type and value. */
#define RECORDS                                                                                                        \
    "SELECT r.type, CASE WHEN r.type = 'text' THEN r.value END, t.key, CASE t.type WHEN 'array' THEN CASE t.key WHEN " \
    "'MX'"                                                                                                             \
    " THEN t.value ->> '$[1]' ELSE (SELECT group_concat(value, '') FROM json_each(t.value)) END ELSE t.value END"      \
    " FROM json_each(?1, '$.zone') n, json_each(n.value) r LEFT JOIN json_each(CASE r.type WHEN 'object' THEN "        \
    "r.value ELSE '{}' END) t ON 1"                                                                                    \
    " WHERE lower(n.key) = lower(?2)"

struct vectors {
    sqlite3 *json;
    sqlite3_stmt *records;
    const char *scenario;
};

static const char *type_name(enum spf_type type) {
    switch (type) {
    case SPF_TYPE_A:
        return "A";
    case SPF_TYPE_AAAA:
        return "AAAA";
    case SPF_TYPE_MX:
        return "MX";
    case SPF_TYPE_PTR:
        return "PTR";
    case SPF_TYPE_TXT:
        return "TXT";
    }
    return "";
}

static enum spf_dns look_up(void *context, const char *name, enum spf_type type, struct buffer *values) {
    struct vectors *vectors = context;
    enum spf_dns found = SPF_DNS_NONE;
    char alias[512] = "";
    sqlite3_reset(vectors->records);
    sqlite3_bind_text(vectors->records, 1, vectors->scenario, -1, SQLITE_STATIC);
    sqlite3_bind_text(vectors->records, 2, name, -1, SQLITE_STATIC);
    while (sqlite3_step(vectors->records) == SQLITE_ROW) {
        const char *word = (const char *)sqlite3_column_text(vectors->records, 1);
        const char *key = (const char *)sqlite3_column_text(vectors->records, 2);
        const char *value = (const char *)sqlite3_column_text(vectors->records, 3);
        if (word != NULL && strcmp(word, "TIMEOUT") == 0 && found == SPF_DNS_NONE)
            found = SPF_DNS_FAILED;
        if (key == NULL || found == SPF_DNS_FAILED)
            continue;
        if (strcmp(key, "CNAME") == 0)
            (void)snprintf(alias, sizeof alias, "%s", value);
        if (strcmp(key, type_name(type)) != 0)
            continue;
        found = SPF_DNS_FOUND;
        assert_true(spf_add_value(values, (struct text){value, (size_t)sqlite3_column_bytes(vectors->records, 3)}));
    }
    sqlite3_reset(vectors->records);
    return found == SPF_DNS_NONE && alias[0] != '\0' ? look_up(context, alias, type, values) : found;
}

static sqlite3_stmt *prepare(sqlite3 *json, const char *sql, const char *document) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(json, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(json));
    sqlite3_bind_text(statement, 1, document, -1, SQLITE_STATIC);
    return statement;
}

/* As the receiver splits it: at the last '@'. */
static bool test_fits(struct vectors *vectors, sqlite3_stmt *test) {
    const char *id = (const char *)sqlite3_column_text(test, 0), *host = (const char *)sqlite3_column_text(test, 1);
    const char *helo = (const char *)sqlite3_column_text(test, 2), *wanted = (const char *)sqlite3_column_text(test, 4);
    char sender[1024], quoted[32];
    struct network_address client;
    (void)snprintf(sender, sizeof sender, "%s", sqlite3_column_text(test, 3));
    char *at = strrchr(sender, '@');
    assert_true(network_parse_ip(text_of(host), 0, &client));
    const char *local = at != NULL ? sender : "", *domain = at != NULL ? at + 1 : sender;
    if (at != NULL)
        *at = '\0';
    struct spf_question question = {
        .client = &client, .helo = helo, .local = local, .domain = domain, .look_up = look_up, .context = vectors};
    const char *got = spf_result_names[spf_check(&question)];
    (void)snprintf(quoted, sizeof quoted, "\"%s\"", got);
    if (strstr(wanted, quoted) != NULL)
        return true;
    print_message("  WRONG %s: %s, not %s\n", id, got, wanted);
    return false;
}

static void the_suite_for_rfc_7208_gives_its_results(void **state) {
    const char *root = getenv("PARCELPOST_TESTDATA");
    char path[4096];
    struct buffer document;
    struct vectors vectors = {.json = NULL};
    unsigned wrong = 0, tests = 0;
    (void)state;
    (void)snprintf(path, sizeof path, "%s/data/spf/rfc7208-tests.json", root != NULL ? root : "../shared/testdata");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        skip();
    buffer_init(&document, 1 << 22);
    assert_true(file_read_into(fd, &document));
    close(fd);
    /* SQLite's JSON ends a text at a NUL: it becomes what spf_add_value makes of it. */
    for (char *at = document.data; (at = strstr(at, "\\u0000")) != NULL; at += 6)
        at[5] = '1';
    assert_int_equal(sqlite3_open(":memory:", &vectors.json), SQLITE_OK);
    vectors.records = prepare(vectors.json, RECORDS, "");
    sqlite3_stmt *scenarios = prepare(vectors.json, "SELECT value FROM json_each(?1)", buffer_string(&document));
    while (sqlite3_step(scenarios) == SQLITE_ROW) {
        vectors.scenario = (const char *)sqlite3_column_text(scenarios, 0);
        sqlite3_stmt *test = prepare(vectors.json,
                                     "SELECT value ->> 'id', value ->> 'host', value ->> 'helo', value ->> 'mailfrom',"
                                     " value ->> 'result' FROM json_each(?1, '$.tests')",
                                     vectors.scenario);
        for (; sqlite3_step(test) == SQLITE_ROW; tests++)
            wrong += !test_fits(&vectors, test);
        sqlite3_finalize(test);
    }
    sqlite3_finalize(scenarios);
    sqlite3_finalize(vectors.records);
    sqlite3_close(vectors.json);
    buffer_free(&document);
    assert_true(tests > 200);
    assert_int_equal(wrong, 0);
}

static void a_nul_within_a_record_is_no_end_of_it(void **state) {
    struct buffer values;
    struct text rest, value;
    (void)state;
    buffer_init(&values, 64);
    assert_true(spf_add_value(&values, (struct text){"v=spf1 a\0b", 10}));
    rest = buffer_text(&values);
    assert_true(text_split(&rest, '\0', &value) &&
                text_equal(value, TEXT("v=spf1 a\x01"
                                       "b")) &&
                rest.length == 0);
    buffer_free(&values);
}

struct counted {
    const char *record;
    unsigned questions;
};

static enum spf_dns look_up_counted(void *context, const char *name, enum spf_type type, struct buffer *values) {
    struct counted *counted = context;
    counted->questions++;
    assert_true(strlen(name) <= 253);
    if (type == SPF_TYPE_TXT && strcmp(name, "many.test") == 0) {
        return spf_add_value(values, text_of(counted->record)) ? SPF_DNS_FOUND : SPF_DNS_FAILED;
    }
    for (int i = 0; type == SPF_TYPE_PTR && i < 10; i++) {
        assert_true(spf_add_value(values, TEXT("elsewhere.test")));
    }
    return type == SPF_TYPE_PTR ? SPF_DNS_FOUND : SPF_DNS_NONE;
}

static enum spf_result check_counted(struct counted *counted) {
    struct network_address client;
    assert_true(network_parse_ip(TEXT("192.0.2.1"), 0, &client));
    const struct spf_question question = {.client = &client,
                                          .helo = "",
                                          .local = "a",
                                          .domain = "many.test",
                                          .look_up = look_up_counted,
                                          .context = counted};
    return spf_check(&question);
}

static void a_record_full_of_macros_asks_no_more_than_another(void **state) {
    char record[4096] = "v=spf1 exists:";
    struct counted counted = {.record = record};
    (void)state;
    for (int i = 0; i < 500; i++) {
        memcpy(record + strlen(record), "%{p}", sizeof "%{p}");
    }
    memcpy(record + strlen(record), ".many.test -all", sizeof ".many.test -all");
    assert_int_equal(check_counted(&counted), SPF_FAIL);
    assert_in_range(counted.questions, 1, 150);
}

/* RFC 7208 7.3 takes labels away; of a name in one label nothing would be left. */
static void a_name_that_is_too_long_in_one_label_is_not_asked_for(void **state) {
    char record[512] = "v=spf1 exists:";
    struct counted counted = {.record = record};
    (void)state;
    memset(record + strlen(record), 'x', 300);
    memcpy(record + strlen(record), "%{d1} -all", sizeof "%{d1} -all");
    assert_int_equal(check_counted(&counted), SPF_FAIL);
    assert_int_equal(counted.questions, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_suite_for_rfc_7208_gives_its_results),
                                       cmocka_unit_test(a_nul_within_a_record_is_no_end_of_it),
                                       cmocka_unit_test(a_record_full_of_macros_asks_no_more_than_another),
                                       cmocka_unit_test(a_name_that_is_too_long_in_one_label_is_not_asked_for)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
