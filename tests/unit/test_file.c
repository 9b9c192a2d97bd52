/* SPDX-License-Identifier: MIT
 * Whole reads and writes, copies, sealed memory files. */
#include "base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void a_file_is_written_and_read_at_offsets(void **state) {
    char seen[8];
    int fd = file_memory("test");
    (void)state;
    assert_true(file_write_all(fd, "hello", 5));
    assert_true(file_pwrite_all(fd, "HE", 2, 3));
    assert_int_equal(file_size(fd), 5);
    assert_true(file_pread_all(fd, seen, 4, 1));
    assert_memory_equal(seen, "elHE", 4);
    errno = EIO;
    assert_false(file_pread_all(fd, seen, 5, 1));
    assert_int_equal(errno, 0);
    close(fd);
    assert_false(file_write_all(fd, "x", 1));
    assert_int_equal(errno, EBADF);
    assert_int_equal(file_size(fd), -1);
}

static void the_rest_of_a_file_is_read_up_to_the_maximum(void **state) {
    static char block[70000];
    struct buffer buffer;
    int fd = file_memory("test");
    (void)state;
    memset(block, 'b', sizeof block);
    assert_true(file_write_all(fd, block, sizeof block));
    buffer_init(&buffer, sizeof block);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_true(file_read_into(fd, &buffer));
    assert_int_equal(buffer.length, sizeof block);
    buffer_free(&buffer);
    buffer_init(&buffer, sizeof block - 1);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_false(file_read_into(fd, &buffer));
    assert_int_equal(errno, EFBIG);
    buffer_free(&buffer);
    close(fd);
}

static void a_short_pipe_does_not_cut_a_write(void **state) {
    static char block[300000];
    int ends[2], status;
    struct buffer buffer;
    (void)state;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        _exit(file_write_all(ends[1], block, sizeof block) ? 0 : 1);
    }
    close(ends[1]);
    buffer_init(&buffer, sizeof block);
    assert_true(file_read_into(ends[0], &buffer));
    assert_int_equal(buffer.length, sizeof block);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    buffer_free(&buffer);
    close(ends[0]);
}

static void ranges_are_copied_between_files_of_any_kind(void **state) {
    char path[] = "/tmp/parcelpost-test-XXXXXX";
    char seen[8] = "";
    int memory = file_memory("test");
    int disk = mkstemp(path);
    (void)state;
    assert_true(disk >= 0);
    unlink(path);
    assert_true(file_write_all(memory, "0123456789", 10));
    assert_true(file_copy(memory, 3, disk, 2, 5));
    assert_int_equal(file_size(disk), 7);
    assert_true(file_pread_all(disk, seen, 5, 2));
    assert_string_equal(seen, "34567");
    assert_true(file_copy(disk, 2, disk, 7, 5));
    assert_true(file_pread_all(disk, seen, 5, 7));
    assert_string_equal(seen, "34567");
    assert_false(file_copy(memory, 8, disk, 0, 5)); /* ends too early */
    assert_int_equal(errno, ENODATA);
    close(memory);
    close(disk);
}

static void a_sealed_memory_file_cannot_change(void **state) {
    int fd = file_memory("test");
    int ends[2];
    (void)state;
    assert_true(file_write_all(fd, "x", 1));
    assert_false(file_is_sealed(fd));
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
    assert_false(file_is_sealed(fd)); /* one of four */
    assert_true(file_seal(fd));
    assert_true(file_is_sealed(fd));
    assert_false(file_pwrite_all(fd, "y", 1, 0));
    assert_int_not_equal(ftruncate(fd, 0), 0);
    assert_int_not_equal(ftruncate(fd, 9), 0);
    close(fd);
    assert_int_equal(pipe(ends), 0);
    assert_false(file_is_sealed(ends[0]));
    assert_false(file_seal(ends[0]));
    close(ends[0]);
    close(ends[1]);
}

static void a_directory_can_be_flushed_and_a_missing_one_is_reported(void **state) {
    (void)state;
    assert_true(file_sync_directory("/tmp"));
    assert_false(file_sync_directory("/nowhere/at/all"));
    assert_int_equal(errno, ENOENT);
}

static void a_secret_is_for_its_owner_and_his_group(void **state) {
    static const struct {
        mode_t mode;
        const char *words;
    } rows[] = {{0400, ""},           {0640, ""}, {0771, ""}, {0604, "(mode 0604)"}, {0666, "(mode 0666)"},
                {0602, "(mode 0602)"}};
    char path[] = "/tmp/parcelpost-file-XXXXXX";
    struct buffer error;
    int fd = mkstemp(path);
    (void)state;
    buffer_init(&error, 1024);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(fchmod(fd, rows[i].mode), 0);
        buffer_clear(&error);
        assert_int_equal(file_is_private("private key", path, &error), rows[i].words[0] == '\0');
        assert_non_null(strstr(buffer_string(&error), rows[i].words));
    }
    assert_non_null(strstr(buffer_string(&error), path));
    close(fd);
    (void)unlink(path);
    assert_true(file_is_private("private key", path, &error)); /* who opens it says that it is not there */
    buffer_free(&error);
}

static void blocking_is_switched(void **state) {
    int ends[2];
    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_true(file_set_nonblocking(ends[0], true));
    assert_true((fcntl(ends[0], F_GETFL) & O_NONBLOCK) != 0);
    assert_true(file_set_nonblocking(ends[0], false));
    assert_true((fcntl(ends[0], F_GETFL) & O_NONBLOCK) == 0);
    close(ends[0]);
    close(ends[1]);
    assert_false(file_set_nonblocking(ends[0], true));
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_written_and_read_at_offsets),
        cmocka_unit_test(the_rest_of_a_file_is_read_up_to_the_maximum),
        cmocka_unit_test(a_short_pipe_does_not_cut_a_write),
        cmocka_unit_test(ranges_are_copied_between_files_of_any_kind),
        cmocka_unit_test(a_sealed_memory_file_cannot_change),
        cmocka_unit_test(a_directory_can_be_flushed_and_a_missing_one_is_reported),
        cmocka_unit_test(a_secret_is_for_its_owner_and_his_group),
        cmocka_unit_test(blocking_is_switched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
