/* SPDX-License-Identifier: MIT
 * The journal: what a scan makes of tails that are torn or garbled at every byte, of reused segments, of cuts, and of a
 * message that holds bytes made to look like a record. */
#include "journal_fixture.h"
#include <sys/syscall.h>

static bool directories_fail;

int fsync(int fd) { /* the C library's is replaced in this program */
    struct stat status;
    if (directories_fail && fstat(fd, &status) == 0 && S_ISDIR(status.st_mode)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

static void records_come_back_in_order_and_from_any_place(void **state) {
    struct journal_place places[10];
    (void)state;
    struct journal *journal = started_journal();
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(add(journal, i, &places[i]), JOURNAL_OK);
    }
    assert_true(journal_finish(journal));
    journal_close(journal);
    assert_string_equal(scan_anew(), "0 1 2 3 4 5 6 7 8 9 ");
    journal = open_journal();
    assert_string_equal(scan(journal, places[7]), "7 8 9 ");
    journal_close(journal);
}

static void every_start_opens_a_new_segment(void **state) {
    char path[PATH_MAX];
    (void)state;
    journal_close(started_journal());
    struct journal *journal = started_journal();
    assert_int_equal(journal_end(journal).segment, 2);
    journal_close(journal);
    segment_path(1, path);
    assert_int_equal(access(path, F_OK), 0);
    struct buffer error;
    buffer_init(&error, 100);
    journal = open_journal();
    assert_true(journal_start(journal, 17, &error)); /* the database knows of 17 segments */
    assert_int_equal(journal_end(journal).segment, 18);
    journal_close(journal);
    buffer_free(&error);
}

/* Three records; the last one is damaged at each of its bytes, by a flip or by zeros from there on. */
static void damage_every_byte(bool flip) {
    struct journal_place last;
    char path[PATH_MAX];
    unsigned char bytes[4096];
    struct journal *journal = started_journal();
    add(journal, 1, NULL);
    add(journal, 2, NULL);
    add(journal, 3, &last);
    assert_true(journal_finish(journal));
    struct journal_place stop = journal_end(journal);
    journal_close(journal);
    segment_path(last.segment, path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    size_t length = RECORD_HEADER_SIZE + MAIL_ID_SIZE - 1 + 16 + strlen("250 2.0.0 delivered");
    assert_true(fd >= 0 && file_pread_all(fd, bytes, length, (off_t)last.offset));
    assert_true(stop.offset - last.offset >= length);
    for (size_t i = 0; i < length; i++) {
        unsigned char damaged[4096];
        memcpy(damaged, bytes, length);
        if (flip) {
            damaged[i] ^= 0x41;
        } else {
            memset(damaged + i, 0, length - i);
        }
        assert_true(file_pwrite_all(fd, damaged, length, (off_t)last.offset));
        if (strcmp(scan_anew(), "1 2 ") != 0) {
            fail_msg("damage at byte %zu of %zu went unseen", i, length);
        }
    }
    assert_true(file_pwrite_all(fd, bytes, length, (off_t)last.offset));
    assert_string_equal(scan_anew(), "1 2 3 ");
    (void)close(fd);
}

static void a_tail_garbled_at_any_byte_ends_the_scan(void **state) {
    (void)state;
    damage_every_byte(true);
}

static void a_tail_torn_at_any_byte_ends_the_scan(void **state) {
    (void)state;
    damage_every_byte(false);
}

static void what_is_left_of_a_segments_former_life_does_not_count(void **state) {
    (void)state;
    struct journal *journal = started_journal();
    uint64_t first = journal_end(journal).segment;
    unsigned i = 0;
    while (journal_end(journal).segment < first + 4) {
        assert_int_equal(add(journal, i++, NULL), JOURNAL_OK);
        assert_true(journal_finish(journal));
        journal_set_durable(journal, journal_end(journal));
    }
    assert_true(journal_segments(journal) <= 2);
    struct journal_place place = journal_end(journal);
    add(journal, 7777, NULL);
    assert_true(journal_finish(journal));
    journal_close(journal);
    journal = open_journal();
    assert_string_equal(scan(journal, place), "7777 "); /* the file behind it is full of old records */
    journal_close(journal);
}

static void without_a_checkpoint_no_segment_is_reused(void **state) {
    (void)state;
    struct journal *journal = started_journal();
    unsigned i = 0;
    while (add(journal, i, NULL) == JOURNAL_OK) {
        assert_in_range(i++, 0, 5000);
        assert_true(journal_finish(journal));
    }
    assert_int_equal(journal_segments(journal), 4);
    journal_set_durable(journal, journal_end(journal));
    assert_int_equal(add(journal, i, NULL), JOURNAL_OK);
    journal_close(journal);
}

/* A start that follows `durable` others whose rows are on the disk. */
static void start_again(uint64_t durable) {
    struct buffer error;
    buffer_init(&error, 1024);
    struct journal *journal = open_journal();
    journal_set_durable(journal, (struct journal_place){durable, 0});
    assert_true(journal_start(journal, 0, &error));
    assert_int_equal(add(journal, 1, NULL), JOURNAL_OK);
    assert_true(journal_finish(journal));
    buffer_free(&error);
    journal_close(journal);
}

static size_t count_segments(void) {
    struct journal *journal = open_journal();
    size_t count = journal_segments(journal);
    journal_close(journal);
    return count;
}

static void a_start_uses_a_segment_again(void **state) {
    (void)state;
    for (uint64_t starts = 0; starts < 10; starts++) {
        start_again(starts);
    }
    assert_int_equal(count_segments(), 2);
}

static void of_many_segments_that_are_not_needed_a_few_are_kept(void **state) {
    (void)state;
    for (int i = 0; i < 10; i++) {
        start_again(0);
    }
    assert_int_equal(count_segments(), 10); /* they may be all there is of their mail */
    start_again(10);
    assert_int_equal(count_segments(), 5);
}

static void a_message_cannot_hold_a_record(void **state) {
    char path[PATH_MAX], forged[256];
    (void)state;
    struct journal *journal = started_journal();
    struct journal_place place;
    add(journal, 1, NULL);
    assert_true(journal_finish(journal));
    place = journal_end(journal);
    journal_close(journal);
    /* what a sender can know: everything but the segment's salt */
    struct record_done done = {.recipient = 666, .status = 'D', .at = 1, .reply = TEXT("250 forged")};
    struct record_header header = {.type = RECORD_DONE, .segment = place.segment};
    struct buffer payload;
    fixture_id(1, done.mail_id);
    buffer_init(&payload, 1024);
    assert_true(record_done_format(&done, &payload));
    record_header_format(&header, 0, TEXT_NONE, buffer_text(&payload), (unsigned char *)forged);
    memcpy(forged + RECORD_HEADER_SIZE, payload.data, payload.length);
    segment_path(place.segment, path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(file_pwrite_all(fd, forged, RECORD_HEADER_SIZE + payload.length, (off_t)place.offset));
    (void)close(fd);
    buffer_free(&payload);
    assert_string_equal(scan_anew(), "1 ");
}

static void after_a_failed_flush_a_cut_keeps_the_batch_from_ever_happening(void **state) {
    char path[PATH_MAX];
    unsigned char bytes[32768];
    (void)state;
    struct journal *journal = started_journal();
    add(journal, 1, NULL);
    assert_true(journal_finish(journal));
    uint64_t number = journal_end(journal).segment;
    add(journal, 2, NULL);
    add(journal, 3, NULL);
    segment_path(number, path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(file_pread_all(fd, bytes, sizeof bytes, 0));
    fixture_failures = 1;
    assert_false(journal_finish(journal));
    assert_int_equal(add(journal, 4, NULL), JOURNAL_OK);
    assert_true(journal_finish(journal));
    assert_true(journal_end(journal).segment > number);
    journal_close(journal);
    assert_string_equal(scan_anew(), "1 4 ");
    /* the truncation did not reach the disk: the cut alone must do */
    assert_true(file_pwrite_all(fd, bytes, sizeof bytes, 0));
    (void)close(fd);
    assert_string_equal(scan_anew(), "1 4 ");
}

static void a_batch_over_two_segments_is_cut_in_both(void **state) {
    (void)state;
    struct journal *journal = started_journal();
    uint64_t number = journal_end(journal).segment;
    unsigned i = 100;
    add(journal, 1, NULL);
    assert_true(journal_finish(journal));
    while (journal_end(journal).segment == number) {
        assert_int_equal(add(journal, i++, NULL), JOURNAL_OK);
    }
    fixture_failures = 1;
    assert_false(journal_finish(journal));
    add(journal, 2, NULL);
    assert_true(journal_finish(journal));
    journal_close(journal);
    assert_string_equal(scan_anew(), "1 2 ");
}

static void a_spare_of_a_former_size_is_not_taken(void **state) {
    char path[PATH_MAX];
    struct stat status;
    (void)state;
    struct journal *journal = started_journal();
    const struct journal_limits larger = {.segment_size = 65536, .maximum_size = 4 * 65536, .minimum_free = 0};
    uint64_t number = journal_end(journal).segment;
    unsigned i = 0;
    while (!journal_wants_spare(journal)) {
        assert_int_equal(add(journal, i++, NULL), JOURNAL_OK);
    }
    journal_spare_path(journal, path);
    int fd = segment_create(path, journal_segment_size(journal));
    assert_true(fd >= 0);
    (void)close(fd);
    journal_set_limits(journal, &larger);
    journal_spare_made(journal, true);
    while (journal_end(journal).segment == number) {
        assert_int_equal(add(journal, i++, NULL), JOURNAL_OK);
    }
    segment_path(journal_end(journal).segment, path);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, 65536);
    assert_true(journal_finish(journal));
    journal_close(journal);
}

static void a_full_journal_keeps_a_reserve_for_results(void **state) {
    (void)state;
    struct journal *journal = started_journal();
    unsigned i = 0;
    while (add(journal, i, NULL) == JOURNAL_OK) {
        assert_in_range(i++, 0, 5000);
    }
    assert_int_equal(journal_segments(journal), 4);
    for (unsigned more = 0; more < 100; more++) {
        assert_int_equal(
            journal_append(journal, RECORD_GONE, JOURNAL_RESERVE, TEXT_NONE, TEXT("1aBcDe-000001-ZzE"), NULL),
            JOURNAL_OK);
    }
    assert_true(journal_finish(journal));
    journal_close(journal);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
static unsigned count_files(void) {
    DIR *listed = opendir(directory);
    unsigned count = 0;
    assert_non_null(listed);
    for (const struct dirent *entry; (entry = readdir(listed)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    (void)closedir(listed);
    return count;
}

/* Each try would leave one behind: the disk would be full of them. */
static void segments_whose_name_cannot_be_made_durable_leave_no_files(void **state) {
    (void)state;
    for (int reuses = 0; reuses < 2; reuses++) {
        struct journal *journal = started_journal();
        uint64_t first = journal_end(journal).segment;
        for (unsigned i = 0; journal_end(journal).segment < first + 2; i++) {
            assert_int_equal(add(journal, i, NULL), JOURNAL_OK);
            assert_true(journal_finish(journal));
            if (reuses) {
                journal_set_durable(journal, journal_end(journal));
            }
        }
        unsigned files = count_files();
        directories_fail = true;
        while (add(journal, 1, NULL) == JOURNAL_OK) {
            assert_true(journal_finish(journal));
        }
        for (unsigned i = 0; i < 5; i++) {
            assert_int_equal(add(journal, 1, NULL), JOURNAL_FAILED);
        }
        directories_fail = false;
        assert_in_range(count_files(), 1, files);
        assert_int_equal(add(journal, 1, NULL), JOURNAL_OK);
        assert_true(journal_finish(journal));
        journal_close(journal);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(records_come_back_in_order_and_from_any_place),
        TEST(every_start_opens_a_new_segment),
        TEST(a_tail_garbled_at_any_byte_ends_the_scan),
        TEST(a_tail_torn_at_any_byte_ends_the_scan),
        TEST(what_is_left_of_a_segments_former_life_does_not_count),
        TEST(without_a_checkpoint_no_segment_is_reused),
        TEST(a_start_uses_a_segment_again),
        TEST(of_many_segments_that_are_not_needed_a_few_are_kept),
        TEST(a_message_cannot_hold_a_record),
        TEST(after_a_failed_flush_a_cut_keeps_the_batch_from_ever_happening),
        TEST(a_batch_over_two_segments_is_cut_in_both),
        TEST(a_spare_of_a_former_size_is_not_taken),
        TEST(a_full_journal_keeps_a_reserve_for_results),
        TEST(segments_whose_name_cannot_be_made_durable_leave_no_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
