/* SPDX-License-Identifier: MIT
 * Fuzz target: the spool: envelopes (what is read can be written and is read again the same), records of the journal,
 * mail files: any bytes, and whole ones that are written where files may not grow past some length, then damaged. */
#include "fuzz_directory.h"
#include "mail/envelope.h"
#include "spool/mail_file.h"
#include <signal.h>
#include <sys/resource.h>

#define ID "AAAAAA-BBBBBB-CC"

static struct mail_files files;

static void fuzz_start(void) {
    struct buffer error;

    fuzz_make_directory();
    buffer_init(&error, 1024);
    FUZZ_CHECK(mail_files_open(&files, fuzz_directory, &error));
    buffer_free(&error);
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

/* A payload that was understood is written as it was read, but for the end of a reply that is too long. */
#define SAME(kind, text)                                                                                               \
    do {                                                                                                               \
        struct buffer again;                                                                                           \
        struct record_##kind record;                                                                                   \
        buffer_init(&again, 1u << 20);                                                                                 \
        if (record_##kind##_parse(text, &record) && record_##kind##_format(&record, &again))                           \
            FUZZ_CHECK(text_equal(buffer_text(&again), text_first(text, again.length)) &&                              \
                       (again.length == (text).length || again.length > 1024));                                        \
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
    fuzz_write_file(path, bytes);
    int fd = mail_file_open(&files, ID, O_RDONLY, &lengths);
    if (fd < 0)
        return;
    FUZZ_CHECK(cargo_total(&lengths) <= bytes.length);
    (void)mail_file_envelope(fd, &lengths, &envelope);
    envelope_free(&envelope);
    (void)mail_file_verify(fd, &lengths);
    (void)close(fd);
}

static void limit_files(rlim_t bytes) {
    struct rlimit limit = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};

    (void)signal(SIGXFSZ, SIG_IGN); /* the write fails instead; libFuzzer, which starts later than we, would end */
    FUZZ_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

/* Written whole, or not there. */
static bool write_whole(struct text cargo, const struct cargo_lengths *lengths, const struct envelope *envelope,
                        uint8_t limit) {
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/" ID, files.mail);
    (void)unlink(path);
    limit_files(limit == 255 ? RLIM_INFINITY : 4u * limit);
    bool written = mail_file_write(&files, ID, cargo, lengths, envelope);
    limit_files(RLIM_INFINITY);
    FUZZ_CHECK(written == (access(path, F_OK) == 0));
    return written;
}

/* One byte of it becomes another: of the message or envelope it is noticed, but for the status bytes. */
static void damage(uint8_t byte, size_t at, struct text cargo) {
    char path[PATH_MAX], before;
    struct cargo_lengths lengths;
    struct envelope envelope;

    (void)snprintf(path, sizeof path, "%s/" ID, files.mail);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    at %= cargo.length;
    FUZZ_CHECK(fd >= 0 && pread(fd, &before, 1, (off_t)at) == 1 && pwrite(fd, &byte, 1, (off_t)at) == 1);
    (void)close(fd);
    fd = mail_file_open(&files, ID, O_RDONLY, &lengths);
    FUZZ_CHECK(fd >= 0);
    if (at < lengths.message)
        FUZZ_CHECK(mail_file_verify(fd, &lengths) == ((uint8_t)before == byte));
    (void)mail_file_envelope(fd, &lengths, &envelope);
    envelope_free(&envelope);
    (void)close(fd);
}

static void write_file(struct text input) {
    uint8_t limit = fuzz_byte(&input), wrong = fuzz_byte(&input), byte = fuzz_byte(&input), at = fuzz_byte(&input);
    const struct mail_status statuses[] = {{wrong % 4, RECIPIENT_DELIVERED}, {1, RECIPIENT_HELD}};
    struct text message = fuzz_piece(&input);
    struct cargo_lengths lengths = {.message = message.length, .envelope = input.length}, read;
    struct text cargo = {message.data, message.length + input.length};
    struct envelope envelope, again;
    bool good = envelope_parse(input, &envelope);

    lengths.headers += wrong == 255; /* then it is not what the file has */
    if (write_whole(cargo, &lengths, &envelope, limit) && good) {
        int fd = mail_file_open(&files, ID, O_RDONLY, &read);
        FUZZ_CHECK(fd >= 0 && memcmp(&read, &lengths, sizeof read) == 0 && mail_file_verify(fd, &read));
        FUZZ_CHECK(mail_file_envelope(fd, &read, &again) && again.recipient_count == envelope.recipient_count);
        envelope_free(&again);
        FUZZ_CHECK(mail_file_set_status(&files, ID, statuses, 2));
        FUZZ_CHECK(mail_file_envelope(fd, &read, &again));
        for (size_t i = 0; i < again.recipient_count && i < 2; i++)
            FUZZ_CHECK(i != 1 || again.recipients[i].status == RECIPIENT_HELD);
        envelope_free(&again);
        (void)close(fd);
        damage(byte, at, cargo);
    }
    (void)mail_file_set_status(&files, ID, statuses, 2);
    (void)mail_file_remove(&files, ID, &(uint64_t){0});
    FUZZ_CHECK(!mail_file_set_status(&files, ID, statuses, 2));
    envelope_free(&envelope);
}

static void fuzz_one(struct text input) {
    switch (fuzz_byte(&input) % 4) {
    case 0:
        read_envelope(input);
        break;
    case 1:
        read_records(input);
        break;
    case 2:
        read_file(input);
        break;
    default:
        write_file(input);
    }
}
