/* SPDX-License-Identifier: MIT
 * A spool in a directory of its own, for the tests of src/store: messages made of a number, crashes made by copying the
 * directory, flushes that fail on demand. */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "spool/spool_private.h"
#include "store/statements.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#define FIXTURE_SEGMENT (256u * 1024)

struct fixture {
    char directory[64], queue[96], database[96];
    struct spool_options options;
    struct spool *spool;
    enum spool_outcome answers[64];
    unsigned news; /* recipients announced */
};

static int fixture_failures, fixture_flushes;
__attribute__((unused)) static const char *fixture_hold = ""; /* why mail that is made now is held */
__attribute__((unused)) static int64_t fixture_contact;       /* who sends it */
__attribute__((unused)) static int64_t fixture_clock;         /* by how much the clock is wrong when it comes */

__attribute__((unused)) static int fixture_flush(int fd) {
    fixture_flushes++;
    if (fixture_failures > 0) {
        fixture_failures--;
        errno = EIO;
        return -1;
    }
    return fdatasync(fd);
}

__attribute__((unused)) static void remove_tree(const char *path) {
    char inner[PATH_MAX];
    DIR *directory = opendir(path);
    for (const struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name) < (int)sizeof inner && unlink(inner) != 0) {
            remove_tree(inner);
        }
    }
    if (directory != NULL) {
        (void)closedir(directory);
    }
    (void)rmdir(path);
}

__attribute__((unused)) static void copy_tree(const char *from, const char *to) {
    char inner[PATH_MAX], outer[PATH_MAX];
    DIR *directory = opendir(from);
    assert_non_null(directory);
    (void)mkdir(to, 0700);
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        struct stat status;
        if (entry->d_name[0] == '.') {
            continue;
        }
        (void)snprintf(inner, sizeof inner, "%s/%s", from, entry->d_name);
        (void)snprintf(outer, sizeof outer, "%s/%s", to, entry->d_name);
        assert_int_equal(stat(inner, &status), 0);
        if (S_ISDIR(status.st_mode)) {
            copy_tree(inner, outer);
            continue;
        }
        int source = open(inner, O_RDONLY | O_CLOEXEC),
            target = open(outer, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_true(source >= 0 && target >= 0);
        assert_true(file_copy(source, 0, target, 0, (uint64_t)status.st_size));
        (void)close(source);
        (void)close(target);
    }
    (void)closedir(directory);
}

__attribute__((unused)) static void fixture_name(struct fixture *fixture, const char *directory) {
    static const char *const domains[] = {"example.test"};
    *fixture = (struct fixture){.news = 0};
    (void)snprintf(fixture->directory, sizeof fixture->directory, "%s", directory);
    (void)snprintf(fixture->queue, sizeof fixture->queue, "%s/queue", directory);
    (void)snprintf(fixture->database, sizeof fixture->database, "%s/parcelpost.db", directory);
    fixture->options = (struct spool_options){
        .queue = fixture->queue,
        .database = fixture->database,
        .limits = {.segment_size = FIXTURE_SEGMENT, .maximum_size = 64u << 20, .minimum_free = 0},
        .journal_max_message = 64 * 1024,
        .queue_lifetime = 86400,
        .local_domains = domains,
        .local_domain_count = 1,
    };
}

__attribute__((unused)) static void fixture_open(struct fixture *fixture) {
    struct buffer error;
    buffer_init(&error, 4096);
    fixture->spool = spool_open(&fixture->options, &error);
    if (fixture->spool == NULL) {
        fail_msg("%s", buffer_string(&error));
    }
    buffer_free(&error);
}

__attribute__((unused)) static void fixture_start(struct fixture *fixture) {
    char directory[] = "/tmp/parcelpost-store-XXXXXX";
    fixture_failures = fixture_flushes = 0;
    journal_flush = fixture_flush;
    log_start(open("/dev/null", O_WRONLY | O_CLOEXEC), "test", LOG_LEVEL_FATAL);
    assert_non_null(mkdtemp(directory));
    fixture_name(fixture, directory);
    fixture_open(fixture);
}

__attribute__((unused)) static void fixture_close(struct fixture *fixture) {
    spool_close(fixture->spool);
    fixture->spool = NULL;
}

__attribute__((unused)) static void fixture_end(struct fixture *fixture) {
    fixture_close(fixture);
    remove_tree(fixture->directory);
    int fd = log_descriptor();
    log_start(STDERR_FILENO, "test", LOG_LEVEL_FATAL);
    if (fd > STDERR_FILENO) {
        (void)close(fd);
    }
}

/* What a crash right now would leave. */
__attribute__((unused)) static void fixture_crash(const struct fixture *fixture, struct fixture *after) {
    char directory[] = "/tmp/parcelpost-store-XXXXXX";
    assert_non_null(mkdtemp(directory));
    copy_tree(fixture->directory, directory);
    fixture_name(after, directory);
    after->options.limits = fixture->options.limits;
}

__attribute__((unused)) static void fixture_id(unsigned number, char id[MAIL_ID_SIZE]) {
    (void)snprintf(id, MAIL_ID_SIZE, "1aBcDe-%06u-Zz", number % 1000000);
}

/* The cargo of message `number`: some text of about `size` bytes, one header, an envelope. */
__attribute__((unused)) static void fixture_cargo(unsigned number, unsigned recipients, size_t size,
                                                  struct buffer *bytes, struct spool_cargo *cargo) {
    struct envelope envelope;
    struct buffer text;
    char address[64];
    envelope_init(&envelope);
    fixture_id(number, envelope.mail_id);
    envelope.received_at = time(NULL) + fixture_clock;
    envelope_set(&envelope.from_url, TEXT("sender@remote.test"));
    envelope_set(&envelope.role, TEXT("mx"));
    envelope.contact_id = fixture_contact;
    envelope_set(&envelope.hold, text_of(fixture_hold));
    for (unsigned i = 0; i < recipients; i++) {
        (void)snprintf(address, sizeof address, "user%u@example.test", i);
        envelope_add(&envelope, text_of(address), text_of(address), DELIVERY_LOCAL);
    }
    buffer_init(&text, ENVELOPE_TEXT_MAXIMUM);
    assert_true(envelope_format(&envelope, &text));
    buffer_init(bytes, 64u << 20);
    while (bytes->length < size) {
        buffer_format(bytes, "Message %u, line at %zu\r\n", number, bytes->length);
    }
    cargo->lengths.message = bytes->length;
    buffer_append_string(bytes, "Received: by test\r\n");
    cargo->lengths.headers = bytes->length - cargo->lengths.message;
    buffer_append_text(bytes, buffer_text(&text));
    cargo->lengths.envelope = text.length;
    cargo->bytes = buffer_text(bytes);
    cargo->fd = -1;
    cargo->file_id = NULL;
    buffer_free(&text);
    envelope_free(&envelope);
}

__attribute__((unused)) static enum spool_outcome fixture_add(struct fixture *fixture, unsigned number,
                                                              unsigned recipients, size_t size) {
    struct buffer bytes;
    struct spool_cargo cargo;
    fixture->answers[number % 64] = SPOOL_NOTHING;
    fixture_cargo(number, recipients, size, &bytes, &cargo);
    enum spool_outcome outcome = spool_add_mail(fixture->spool, &cargo, &fixture->answers[number % 64]);
    buffer_free(&bytes);
    return outcome;
}

/* A message as a receiver commits a large one: written to queue/tmp, then named. */
__attribute__((unused)) static void fixture_commit_large(struct fixture *fixture, unsigned number, size_t size) {
    struct buffer bytes;
    struct spool_cargo cargo;
    char id[MAIL_ID_SIZE];
    int fd;
    fixture_id(number, id);
    fixture_cargo(number, 1, size, &bytes, &cargo);
    assert_int_equal(spool_new_file(fixture->spool, id, &fd), SPOOL_OK);
    assert_true(file_write_all(fd, bytes.data, bytes.length));
    cargo.bytes = (struct text){NULL, 0};
    cargo.fd = fd;
    cargo.file_id = id;
    assert_int_equal(spool_add_mail(fixture->spool, &cargo, &fixture->answers[number]), SPOOL_OK);
    (void)close(fd);
    buffer_free(&bytes);
}

__attribute__((unused)) static void fixture_answered(void *context, void *ticket, enum spool_outcome outcome) {
    (void)context;
    *(enum spool_outcome *)ticket = outcome;
}

__attribute__((unused)) static void fixture_news(void *context, const struct spool_news *news) {
    struct fixture *fixture = context;
    fixture->news += (unsigned)news->envelope->recipient_count;
    for (size_t i = 0; i < news->envelope->recipient_count; i++) {
        assert_true(news->parcel_ids[i] > 0);
    }
}

__attribute__((unused)) static void fixture_finish(struct fixture *fixture) {
    const struct spool_events events = {fixture, fixture_answered, fixture_news};
    spool_finish(fixture->spool, &events);
}

/* An attempt over LMTP that came to these endings. */
__attribute__((unused)) static struct spool_attempt fixture_attempt(const char *id, const struct spool_ending *endings,
                                                                    size_t count) {
    return (struct spool_attempt){.mail_id = id,
                                  .endings = endings,
                                  .count = count,
                                  .route = TEXT("lmtp"),
                                  .host = TEXT("localhost"),
                                  .address = TEXT("127.0.0.1"),
                                  .tls = TEXT_NONE,
                                  .started_at = time(NULL),
                                  .tried = true};
}

/* One result for one recipient, with the outcome of its batch. */
__attribute__((unused)) static enum spool_outcome fixture_result(struct fixture *fixture, unsigned number,
                                                                 uint32_t recipient, enum spool_result result,
                                                                 const char *reply) {
    char id[MAIL_ID_SIZE];
    enum spool_outcome answer = SPOOL_NOTHING;
    fixture_id(number, id);
    const struct spool_ending ending = {
        .recipient = recipient, .result = result, .retry_at = time(NULL) + 300, .reply = text_of(reply)};
    const struct spool_attempt attempt = fixture_attempt(id, &ending, 1);
    enum spool_outcome added = spool_add_attempt(fixture->spool, &attempt, &answer);
    if (added != SPOOL_OK) {
        return added;
    }
    fixture_finish(fixture);
    return answer;
}

/* The one number that a query gives. */
__attribute__((unused)) static int64_t fixture_number(sqlite3 *database, const char *words) {
    sqlite3_stmt *row;
    assert_int_equal(sqlite3_prepare_v2(database, words, -1, &row, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    return number;
}

/* "queued,delivered" for the recipients of a message in order; "" when the rows know none. */
__attribute__((unused)) static const char *fixture_states(struct fixture *fixture, unsigned number) {
    static char states[1024];
    char id[MAIL_ID_SIZE];
    fixture_id(number, id);
    states[0] = '\0';
    struct sqlite3_stmt *rows =
        statement_query(fixture->spool->database, STATEMENT_PARCELS_OF_MAIL, BINDS(bind_string(id)));
    while (statement_step(rows) == STATEMENT_ROW) {
        size_t length = strlen(states);
        (void)snprintf(states + length, sizeof states - length, "%s%s", length > 0 ? "," : "", column_string(rows, 2));
    }
    statement_end(rows);
    return states;
}

/* "journal", "file", "gone", or "" when the rows do not know it. */
__attribute__((unused)) static const char *fixture_place(struct fixture *fixture, unsigned number) {
    static const char *const names[] = {[PLACE_JOURNAL] = "journal", [PLACE_FILE] = "file", [PLACE_GONE] = "gone"};
    char id[MAIL_ID_SIZE];
    enum place_kind kind;
    struct journal_place place;
    fixture_id(number, id);
    return mails_place(fixture->spool->database, id, &kind, &place) == PARCELS_YES ? names[kind] : "";
}

__attribute__((unused)) static bool fixture_has_file(const struct fixture *fixture, unsigned number) {
    char path[PATH_MAX], id[MAIL_ID_SIZE];
    fixture_id(number, id);
    (void)snprintf(path, sizeof path, "%s/mail/%s", fixture->queue, id);
    return access(path, F_OK) == 0;
}

/* Fetches a message and compares every byte of message and header with what was stored. */
__attribute__((unused)) static void fixture_same_bytes(struct fixture *fixture, unsigned number, unsigned recipients,
                                                       size_t size) {
    struct buffer bytes;
    struct spool_cargo cargo;
    struct spool_content content;
    char id[MAIL_ID_SIZE];
    fixture_id(number, id);
    fixture_cargo(number, recipients, size, &bytes, &cargo);
    assert_true(spool_fetch(fixture->spool, id, &content));
    uint64_t length = content.lengths.message + content.lengths.headers;
    assert_int_equal(length, cargo.lengths.message + cargo.lengths.headers);
    if (content.fd >= 0) {
        content.bytes = memory_new(1, length);
        assert_true(file_pread_all(content.fd, content.bytes, length, 0));
        (void)close(content.fd);
    }
    assert_memory_equal(content.bytes, cargo.bytes.data, length);
    free(content.bytes);
    buffer_free(&bytes);
}
#endif
