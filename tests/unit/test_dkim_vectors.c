/* SPDX-License-Identifier: MIT
 * DKIM verification against published vectors (in PARCELPOST_TESTDATA or ../shared/testdata, skipped when missing), by
 * what they want of a strict verifier. SQLite reads their JSON. */
#include "base/file.h"
#include "base/log.h"
#include "dkim/dkim.h"
#include "mail/header.h"
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

static sqlite3_stmt *prepare(sqlite3 *json, const char *sql, const char *document, const char *key) {
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(json, sql, -1, &statement, NULL), SQLITE_OK);
    sqlite3_bind_text(statement, 1, document, -1, SQLITE_STATIC);
    if (key != NULL) {
        sqlite3_bind_text(statement, 2, key, -1, SQLITE_STATIC);
    }
    return statement;
}

struct vectors {
    sqlite3 *json;
    const char *document;
};

static enum dkim_dns look_up_vector(void *context, const char *name, struct buffer *record) {
    const struct vectors *vectors = context;
    sqlite3_stmt *statement = prepare(
        vectors->json,
        "SELECT value ->> '$[0]', value ->> '$[0].TXT' FROM json_each(?1, '$.zone') WHERE lower(key) = lower(?2)",
        vectors->document, name);
    enum dkim_dns answer = DKIM_DNS_NONE;
    if (sqlite3_step(statement) == SQLITE_ROW) {
        const char *first = (const char *)sqlite3_column_text(statement, 0);
        const char *text = (const char *)sqlite3_column_text(statement, 1);
        answer = strcmp(first, "TIMEOUT") == 0 ? DKIM_DNS_TEMPFAIL : text != NULL ? DKIM_DNS_FOUND : DKIM_DNS_NONE;
        assert_true(text == NULL || buffer_append_string(record, text));
    }
    sqlite3_finalize(statement);
    return answer;
}

static bool read_whole(const char *path, struct buffer *content) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool good = fd >= 0 && file_read_into(fd, content);
    if (fd >= 0) {
        close(fd);
    }
    return good;
}

/* Line ends become CRLF, and the message ends with one. */
static void read_message(const char *path, struct buffer *message) {
    struct buffer raw;
    buffer_init(&raw, 1 << 22);
    assert_true(read_whole(path, &raw));
    for (size_t i = 0; i < raw.length; i++) {
        if (raw.data[i] == '\n' && (i == 0 || raw.data[i - 1] != '\r')) {
            assert_true(buffer_append_byte(message, '\r'));
        }
        assert_true(buffer_append_byte(message, raw.data[i]));
    }
    if (message->length == 0 || message->data[message->length - 1] != '\n') {
        assert_true(buffer_append_string(message, "\r\n"));
    }
    buffer_free(&raw);
}

/* With pass among the wanted results some signature must pass; else none may, and one must have a wanted result. */
static bool results_fit(const char *wanted, const char *results) {
    bool passes = strstr(results, "dkim=pass") != NULL;
    if (strstr(wanted, "\"pass\"") != NULL) {
        return passes;
    }
    for (const char *at = results; !passes && (at = strstr(at, "dkim=")) != NULL; at += 5) {
        char quoted[32];
        (void)snprintf(quoted, sizeof quoted, "\"%.*s\"", (int)strcspn(at + 5, " ;"), at + 5);
        if (strstr(wanted, quoted) != NULL) {
            return true;
        }
    }
    return false;
}

static bool vector_fits(struct vectors *vectors, const char *path, const char *id, const char *wanted) {
    struct buffer message, results;
    buffer_init(&message, 1 << 22);
    buffer_init(&results, 8192);
    read_message(path, &message);
    size_t section = header_section_length(buffer_text(&message));
    struct text body = text_from(buffer_text(&message), section);
    struct dkim_source source = {.headers = text_first(buffer_text(&message), section), .fd = -1};
    source.body = text_starts_nocase(body, TEXT("\r\n")) ? text_from(body, 2) : body;
    assert_true(dkim_verify_message(&source, look_up_vector, vectors, &results));
    bool fits = results_fit(wanted, buffer_string(&results));
    print_message("  %s%s: %s\n", fits ? "" : "WRONG ", id, buffer_string(&results));
    buffer_free(&message);
    buffer_free(&results);
    return fits;
}

static void published_vectors_give_their_results(void **state) {
    const char *root = getenv("PARCELPOST_TESTDATA");
    char path[4096];
    struct buffer document;
    unsigned wrong = 0, cases = 0;
    (void)state;
    root = root != NULL ? root : "../shared/testdata";
    buffer_init(&document, 1 << 22);
    (void)snprintf(path, sizeof path, "%s/data/mail-dkim/cases.json", root);
    if (!read_whole(path, &document)) {
        buffer_free(&document);
        skip();
    }
    struct vectors vectors = {.document = buffer_string(&document)};
    assert_int_equal(sqlite3_open(":memory:", &vectors.json), SQLITE_OK);
    sqlite3_stmt *statement = prepare(vectors.json,
                                      "SELECT value ->> 'id', value ->> 'file', coalesce(value -> '$.strict.dkim',"
                                      " value -> '$.expect.dkim') FROM json_each(?1, '$.cases')"
                                      " WHERE value ->> 'skip' IS NULL",
                                      vectors.document, NULL);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        (void)snprintf(path, sizeof path, "%s/data/mail-dkim/%s", root, sqlite3_column_text(statement, 1));
        wrong += !vector_fits(&vectors, path, (const char *)sqlite3_column_text(statement, 0),
                              (const char *)sqlite3_column_text(statement, 2));
        cases++;
    }
    sqlite3_finalize(statement);
    sqlite3_close(vectors.json);
    buffer_free(&document);
    assert_true(cases > 20);
    assert_int_equal(wrong, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(published_vectors_give_their_results)};
    log_start(2, "test_dkim_vectors", LOG_LEVEL_WARN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
