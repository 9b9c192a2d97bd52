/* SPDX-License-Identifier: MIT
 * A journal in a directory of its own, with records that are known by a number. */
#ifndef TESTS_JOURNAL_FIXTURE_H
#define TESTS_JOURNAL_FIXTURE_H
#include "store_fixture.h"

static char directory[64];
static const struct journal_limits limits = {.segment_size = 32768, .maximum_size = 4 * 32768, .minimum_free = 0};

static int start(void **state) {
    (void)state;
    fixture_failures = 0;
    journal_flush = fixture_flush;
    log_start(open("/dev/null", O_WRONLY | O_CLOEXEC), "test", LOG_LEVEL_FATAL);
    (void)snprintf(directory, sizeof directory, "/tmp/parcelpost-journal-XXXXXX");
    assert_non_null(mkdtemp(directory));
    return 0;
}

static int end(void **state) {
    (void)state;
    remove_tree(directory);
    (void)close(log_descriptor());
    return 0;
}

static struct journal *open_journal(void) {
    struct buffer error;
    buffer_init(&error, 1024);
    struct journal *journal = journal_open(directory, &limits, &error);
    if (journal == NULL) {
        fail_msg("%s", buffer_string(&error));
    }
    buffer_free(&error);
    return journal;
}

static struct journal *started_journal(void) {
    struct buffer error;
    buffer_init(&error, 1024);
    struct journal *journal = open_journal();
    assert_true(journal_start(journal, 0, &error));
    buffer_free(&error);
    return journal;
}

/* A `done` record that is known by its recipient number. */
static enum journal_result add(struct journal *journal, unsigned number, struct journal_place *place) {
    struct record_done done = {.recipient = number, .status = 'D', .at = 1, .reply = TEXT("250 2.0.0 delivered")};
    struct buffer payload;
    fixture_id(number, done.mail_id);
    buffer_init(&payload, 4096);
    assert_true(record_done_format(&done, &payload));
    enum journal_result result =
        journal_append(journal, RECORD_DONE, JOURNAL_ORDINARY, TEXT_NONE, buffer_text(&payload), place);
    buffer_free(&payload);
    return result;
}

static bool collect(void *context, const struct record_header *header, struct journal_place place,
                    struct text payload) {
    struct record_done done;
    char *seen = context;
    size_t length = strlen(seen);
    (void)place;
    if (header->type == RECORD_DONE && record_done_parse(payload, &done)) {
        (void)snprintf(seen + length, 4096 - length, "%u ", done.recipient);
    }
    return true;
}

static const char *scan(struct journal *journal, struct journal_place from) {
    static char seen[4096];
    seen[0] = '\0';
    journal_scan(journal, from, collect, seen);
    return seen;
}

static const char *scan_anew(void) {
    struct journal *journal = open_journal();
    const char *seen = scan(journal, (struct journal_place){0, 0});
    journal_close(journal);
    return seen;
}

static void segment_path(uint64_t number, char path[PATH_MAX]) {
    (void)snprintf(path, PATH_MAX, "%s/%06llu", directory, (unsigned long long)number);
}
#endif
