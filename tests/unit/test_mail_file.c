/* SPDX-License-Identifier: MIT
 * Mail files: what is written is what is read, a file that is not whole is never trusted, and status bytes change
 * without touching anything else. */
#include "store_fixture.h"

static char directory[64];
static struct mail_files files;
static char id[MAIL_ID_SIZE];
static struct buffer bytes;
static struct spool_cargo cargo;

static int start(void **state) {
    struct buffer error;
    struct envelope envelope;
    (void)state;
    buffer_init(&error, 1024);
    (void)snprintf(directory, sizeof directory, "/tmp/parcelpost-files-XXXXXX");
    assert_non_null(mkdtemp(directory));
    assert_true(mail_files_open(&files, directory, &error));
    buffer_free(&error);
    fixture_id(1, id);
    fixture_cargo(1, 3, 500, &bytes, &cargo);
    assert_true(envelope_parse(text_from(cargo.bytes, cargo.lengths.message + cargo.lengths.headers), &envelope));
    assert_true(mail_file_write(&files, id, cargo.bytes, &cargo.lengths, &envelope));
    envelope_free(&envelope);
    return 0;
}

static int end(void **state) {
    (void)state;
    buffer_free(&bytes);
    remove_tree(directory);
    return 0;
}

static void path_of(char path[PATH_MAX]) {
    (void)snprintf(path, PATH_MAX, "%s/%s", files.mail, id);
}

/* Opens, reads the envelope, compares the checksums: everything a reader does. */
static bool is_trusted(void) {
    struct cargo_lengths lengths;
    struct envelope envelope;
    int fd = mail_file_open(&files, id, O_RDONLY, &lengths);
    if (fd < 0) {
        return false;
    }
    bool good = mail_file_envelope(fd, &lengths, &envelope) && mail_file_verify(fd, &lengths);
    envelope_free(&envelope);
    (void)close(fd);
    return good;
}

static enum recipient_status status_of(unsigned recipient) {
    struct cargo_lengths lengths;
    struct envelope envelope;
    int fd = mail_file_open(&files, id, O_RDONLY, &lengths);
    assert_true(fd >= 0 && mail_file_envelope(fd, &lengths, &envelope));
    enum recipient_status status = envelope.recipients[recipient].status;
    envelope_free(&envelope);
    (void)close(fd);
    return status;
}

static void what_is_written_is_read_and_ends_in_one_readable_line(void **state) {
    struct cargo_lengths lengths;
    char tail[400] = "";
    (void)state;
    int fd = mail_file_open(&files, id, O_RDONLY, &lengths);
    assert_true(fd >= 0);
    assert_memory_equal(&lengths, &cargo.lengths, sizeof lengths);
    assert_int_equal(file_size(fd), mail_file_size(&lengths));
    assert_true(
        file_pread_all(fd, tail, mail_file_size(&lengths) - cargo_total(&lengths), (off_t)cargo_total(&lengths)));
    assert_memory_equal(tail, "parcelpost-mail-1 message=", 26);
    assert_int_equal(tail[strlen(tail) - 1], '\n');
    (void)close(fd);
    assert_true(is_trusted());
}

static void a_file_changed_in_any_byte_is_not_trusted(void **state) {
    char path[PATH_MAX], byte, other;
    struct envelope envelope;
    (void)state;
    path_of(path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    int64_t size = file_size(fd);
    size_t start_of_envelope = cargo.lengths.message + cargo.lengths.headers;
    assert_true(envelope_parse(text_from(cargo.bytes, start_of_envelope), &envelope));
    for (off_t at = 0; at < size; at++) {
        bool is_status = false;
        for (size_t i = 0; i < envelope.recipient_count; i++) {
            is_status = is_status || (size_t)at == start_of_envelope + envelope.recipients[i].status_offset;
        }
        assert_true(file_pread_all(fd, &byte, 1, at));
        other = (char)(byte ^ 0x01);
        assert_true(file_pwrite_all(fd, &other, 1, at));
        if (!is_status && is_trusted()) {
            fail_msg("a change of byte %lld went unseen", (long long)at);
        }
        assert_true(file_pwrite_all(fd, &byte, 1, at));
    }
    envelope_free(&envelope);
    (void)close(fd);
    assert_true(is_trusted());
}

static void a_file_cut_at_any_length_is_not_trusted(void **state) {
    char path[PATH_MAX];
    (void)state;
    path_of(path);
    for (int64_t size = (int64_t)mail_file_size(&cargo.lengths) - 1; size >= 0; size -= 7) {
        assert_int_equal(truncate(path, size), 0);
        assert_false(is_trusted());
    }
}

static void a_status_byte_is_overwritten_and_nothing_else(void **state) {
    const struct mail_status statuses[] = {{1, RECIPIENT_DELIVERED}, {2, RECIPIENT_FAILED}, {99, RECIPIENT_FAILED}};
    (void)state;
    assert_true(mail_file_set_status(&files, id, statuses, 3));
    assert_int_equal(status_of(0), RECIPIENT_QUEUED);
    assert_int_equal(status_of(1), RECIPIENT_DELIVERED);
    assert_int_equal(status_of(2), RECIPIENT_FAILED);
    assert_true(is_trusted());
}

static void a_commit_of_another_size_leaves_nothing(void **state) {
    char path[PATH_MAX];
    struct envelope envelope;
    (void)state;
    fixture_id(2, id);
    envelope_init(&envelope);
    int fd = mail_file_new(&files, id);
    assert_true(fd >= 0 && file_write_all(fd, "short", 5));
    assert_false(mail_file_commit(&files, id, fd, &cargo.lengths, &envelope));
    (void)close(fd);
    envelope_free(&envelope);
    path_of(path);
    assert_int_equal(access(path, F_OK), -1);
    assert_true((fd = mail_file_new(&files, id)) >= 0); /* queue/tmp is empty again */
    assert_int_equal(mail_file_new(&files, id), -1);
    (void)close(fd);
}

static void count_file(void *context, const char *mail_id, uint64_t size) {
    assert_string_equal(mail_id, id);
    assert_int_equal(size, mail_file_size(&cargo.lengths));
    ++*(unsigned *)context;
}

static void a_name_that_is_no_mail_id_is_not_listed(void **state) {
    char path[PATH_MAX];
    unsigned count = 0;
    (void)state;
    (void)snprintf(path, sizeof path, "%s/README", files.mail);
    (void)close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    assert_true(mail_files_list(&files, count_file, &count));
    assert_int_equal(count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_read_and_ends_in_one_readable_line),
        TEST(a_file_changed_in_any_byte_is_not_trusted),
        TEST(a_file_cut_at_any_length_is_not_trusted),
        TEST(a_status_byte_is_overwritten_and_nothing_else),
        TEST(a_commit_of_another_size_leaves_nothing),
        TEST(a_name_that_is_no_mail_id_is_not_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
