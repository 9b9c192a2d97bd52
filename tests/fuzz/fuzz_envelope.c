/* SPDX-License-Identifier: MIT
 * Fuzz target: the spool: envelopes (what is read can be written and is read again the same), records of the journal,
 * whole mail files. */
#include "fuzz.h"
#include "mail/envelope.h"
#include "store/mail_file.h"
#include <sys/stat.h>
#include <unistd.h>

#define ID "AAAAAA-BBBBBB-CC"

static struct mail_files files;
static char directory[] = "/tmp/parcelpost-fuzz-XXXXXX";

static void remove_directory(void) {
    char path[sizeof directory + 16];

    (void)mail_file_remove(&files, ID, &(uint64_t){0});
    (void)rmdir(files.mail);
    (void)rmdir(files.temporary);
    (void)snprintf(path, sizeof path, "%s", directory);
    (void)rmdir(path);
}

static void fuzz_start(void) {
    struct buffer error;

    buffer_init(&error, 1024);
    FUZZ_CHECK(mkdtemp(directory) != NULL && mail_files_open(&files, directory, &error));
    buffer_free(&error);
    (void)atexit(remove_directory);
}

static void read_envelope(struct text text) {
    struct envelope envelope, again;
    struct buffer first, second;

    bool good = envelope_parse(text, &envelope);
    if (good) {
        buffer_init(&first, ENVELOPE_TEXT_MAXIMUM);
        buffer_init(&second, ENVELOPE_TEXT_MAXIMUM);
        FUZZ_CHECK(envelope_format(&envelope, &first));
        FUZZ_CHECK(envelope_parse(buffer_text(&first), &again));
        FUZZ_CHECK(envelope_format(&again, &second));
        FUZZ_CHECK(text_equal(buffer_text(&first), buffer_text(&second)));
        envelope_free(&again);
        buffer_free(&first);
        buffer_free(&second);
    }
    envelope_free(&envelope);
}

/* A payload that was understood is written as it was read. */
#define SAME(kind, text)                                                                                               \
    do {                                                                                                               \
        struct buffer again;                                                                                           \
        struct record_##kind record;                                                                                   \
        buffer_init(&again, 1u << 20);                                                                                 \
        if (record_##kind##_parse(text, &record))                                                                      \
            FUZZ_CHECK(!record_##kind##_format(&record, &again) || text_equal(buffer_text(&again), text));             \
        buffer_free(&again);                                                                                           \
    } while (0)

static void read_records(struct text bytes) {
    unsigned char head[RECORD_HEADER_SIZE], mail_head[RECORD_MAIL_HEAD_SIZE];
    struct record_header header, written;
    struct record_mail mail;
    struct text cargo;
    uint64_t salt;

    if (bytes.length >= RECORD_HEADER_SIZE && record_header_parse((const unsigned char *)bytes.data, &header)) {
        struct text payload = text_from(bytes, RECORD_HEADER_SIZE);
        (void)record_checksum_matches((const unsigned char *)bytes.data, &header, 1, payload);
        record_header_format(&header, 1, TEXT_NONE, payload, head);
        FUZZ_CHECK(record_header_parse(head, &written) && record_checksum_matches(head, &written, 1, payload));
    }
    if (record_mail_parse(bytes, &mail, &cargo)) {
        record_mail_head(&mail, mail_head);
        FUZZ_CHECK(cargo.length <= bytes.length && memcmp(mail_head, bytes.data, sizeof mail_head) == 0);
    }
    SAME(done, bytes);
    SAME(gone, bytes);
    SAME(cut, bytes);
    (void)record_open_parse(bytes, &salt);
}

static void read_file(struct text bytes) {
    char path[PATH_MAX];
    struct cargo_lengths lengths;
    struct envelope envelope;

    (void)snprintf(path, sizeof path, "%s/" ID, files.mail);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FUZZ_CHECK(fd >= 0 && write(fd, bytes.data, bytes.length) == (ssize_t)bytes.length);
    (void)close(fd);
    fd = mail_file_open(&files, ID, O_RDONLY, &lengths);
    if (fd < 0)
        return;
    FUZZ_CHECK(cargo_total(&lengths) <= bytes.length);
    (void)mail_file_envelope(fd, &lengths, &envelope);
    envelope_free(&envelope);
    (void)mail_file_verify(fd, &lengths);
    (void)close(fd);
}

static void fuzz_one(struct text input) {
    switch (fuzz_byte(&input) % 3) {
    case 0:
        read_envelope(input);
        break;
    case 1:
        read_records(input);
        break;
    default:
        read_file(input);
    }
}
