/* SPDX-License-Identifier: MIT
 * Records that the disk has damaged or cannot give back: what lies behind them counts, and they are kept aside. */
#include "journal_fixture.h"
#include <sys/syscall.h>

static int64_t unreadable = -1; /* where a disk cannot read a block */

/* In place of the C library's. */
ssize_t pread(int fd, void *bytes, size_t length, off_t offset) {
    if (unreadable >= 0 && offset < unreadable + 4096 && offset + (off_t)length > unreadable) {
        if (offset >= unreadable) {
            errno = EIO;
            return -1;
        }
        length = (size_t)(unreadable - offset);
    }
    return syscall(SYS_pread64, fd, bytes, length, offset);
}

/* Turns a byte in the middle of a record of `add` over. */
static void damage(struct journal_place place, uint64_t offset) {
    char path[PATH_MAX], byte = 0;
    segment_path(place.segment, path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && file_pread_all(fd, &byte, 1, (off_t)(place.offset + offset)));
    byte ^= 0x41;
    assert_true(file_pwrite_all(fd, &byte, 1, (off_t)(place.offset + offset)));
    (void)close(fd);
}

static int64_t kept_bytes(struct journal_place place) {
    char path[PATH_MAX];
    struct stat status;
    (void)snprintf(path, sizeof path, "%s/%06llu-%llu.damaged", directory, (unsigned long long)place.segment,
                   (unsigned long long)place.offset);
    return stat(path, &status) == 0 ? status.st_size : -1;
}

static void damage_costs_what_it_hit_alone_and_is_kept(void **state) {
    struct journal_place places[6];
    (void)state;
    struct journal *journal = started_journal();
    for (unsigned i = 0; i < 6; i++) {
        add(journal, i, &places[i]);
        assert_true(i == 1 || journal_finish(journal)); /* 1 and 2 are one batch */
    }
    journal_close(journal);
    damage(places[1], RECORD_HEADER_SIZE + 20); /* its payload */
    damage(places[4], 17);                      /* its length */
    assert_string_equal(scan_anew(), "0 2 3 5 ");
    assert_int_equal(kept_bytes(places[1]), places[2].offset - places[1].offset);
    assert_int_equal(kept_bytes(places[4]), places[5].offset - places[4].offset);
    damage(places[0], RECORD_HEADER_SIZE + 20);
    assert_string_equal(scan_anew(), "2 3 5 ");
}

static void behind_damage_in_a_batch_that_may_not_have_been_flushed_nothing_counts(void **state) {
    struct journal_place places[4];
    (void)state;
    struct journal *journal = started_journal();
    for (unsigned i = 0; i < 4; i++) {
        add(journal, i, &places[i]);
        assert_true(i > 0 || journal_finish(journal)); /* 1, 2 and 3 are the last batch */
    }
    assert_true(journal_finish(journal));
    journal_close(journal);
    damage(places[2], RECORD_HEADER_SIZE + 20);
    assert_string_equal(scan_anew(), "0 1 ");
    assert_int_equal(kept_bytes(places[2]), places[3].offset - places[2].offset);
}

static void a_block_that_the_disk_cannot_read_costs_what_lies_in_it_alone(void **state) {
    struct journal_place place, last_before = {0, 0};
    char expected[1024] = "";
    (void)state;
    struct journal *journal = started_journal();
    for (unsigned i = 0; journal_end(journal).offset < 3 * 4096; i++) {
        assert_int_equal(add(journal, i, &place), JOURNAL_OK);
        assert_true(journal_finish(journal));
        if (journal_end(journal).offset <= 4096 || place.offset >= 2 * 4096) {
            size_t length = strlen(expected);
            (void)snprintf(expected + length, sizeof expected - length, "%u ", i);
        }
        last_before = journal_end(journal).offset <= 4096 ? journal_end(journal) : last_before;
    }
    journal_close(journal);
    unreadable = 4096;
    assert_string_equal(scan_anew(), expected);
    assert_true(kept_bytes(last_before) > 4096);
}

/* Nobody knows how many there were. */
static void a_tail_that_cannot_be_read_is_told_and_kept(void **state) {
    struct journal_place place, last_before = {0, 0};
    (void)state;
    struct journal *journal = started_journal();
    for (unsigned i = 0; journal_end(journal).offset < 4096 + 500; i++) {
        assert_int_equal(add(journal, i, &place), JOURNAL_OK);
        assert_true(journal_finish(journal));
        last_before = journal_end(journal).offset <= 4096 ? journal_end(journal) : last_before;
    }
    journal_close(journal);
    unreadable = 4096;
    (void)scan_anew();
    assert_int_equal(kept_bytes(last_before), limits.segment_size - last_before.offset);
}

static void a_segment_whose_beginning_cannot_be_read_is_kept(void **state) {
    struct journal_place first;
    (void)state;
    struct journal *journal = started_journal();
    add(journal, 1, &first);
    assert_true(journal_finish(journal));
    journal_close(journal);
    unreadable = 0;
    assert_string_equal(scan_anew(), "");
    first.offset = 0;
    assert_int_equal(kept_bytes(first), limits.segment_size);
}

static void a_segment_whose_beginning_is_damaged_is_kept_and_the_others_count(void **state) {
    struct journal_place first, second;
    (void)state;
    struct journal *journal = started_journal();
    add(journal, 1, &first);
    assert_true(journal_finish(journal));
    journal_close(journal);
    journal = started_journal();
    add(journal, 2, &second);
    assert_true(journal_finish(journal));
    journal_close(journal);
    first.offset = 0;
    damage(first, RECORD_HEADER_SIZE + 3); /* the salt */
    assert_string_equal(scan_anew(), "2 ");
    assert_int_equal(kept_bytes(first), limits.segment_size);
    journal = started_journal();
    assert_int_equal(journal_end(journal).segment, second.segment + 1);
    journal_close(journal);
}

static int start_readable(void **state) {
    unreadable = -1;
    return start(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start_readable, end)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(damage_costs_what_it_hit_alone_and_is_kept),
        TEST(behind_damage_in_a_batch_that_may_not_have_been_flushed_nothing_counts),
        TEST(a_block_that_the_disk_cannot_read_costs_what_lies_in_it_alone),
        TEST(a_tail_that_cannot_be_read_is_told_and_kept),
        TEST(a_segment_whose_beginning_cannot_be_read_is_kept),
        TEST(a_segment_whose_beginning_is_damaged_is_kept_and_the_others_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
