/* SPDX-License-Identifier: MIT
 * The growable buffer: its maximum, and views that stay valid. */
#include "base/buffer.h"
#include "base/heap.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sanitized.h"

static void nothing_is_appended_past_the_maximum(void **state) {
    struct buffer buffer;
    (void)state;
    buffer_init(&buffer, 5);
    assert_null(buffer.data);
    assert_true(buffer_append(&buffer, "abc", 3));
    assert_false(buffer_append(&buffer, "def", 3));
    assert_true(text_equal(buffer_text(&buffer), TEXT("abc")));
    assert_true(buffer_append_string(&buffer, "de"));
    assert_false(buffer_append_byte(&buffer, 'f'));
    assert_string_equal(buffer_string(&buffer), "abcde");
    assert_null(buffer_reserve(&buffer, 1));
    assert_null(buffer_reserve(&buffer, SIZE_MAX));
    buffer_free(&buffer);
}

static void a_formatted_text_is_appended_whole_or_not_at_all(void **state) {
    struct buffer buffer;
    (void)state;
    buffer_init(&buffer, 8);
    assert_true(buffer_format(&buffer, "%d-%s", 12, "ab"));
    assert_false(buffer_format(&buffer, "%s", "1234"));
    assert_true(buffer_format(&buffer, "%s", "123"));
    assert_string_equal(buffer_string(&buffer), "12-ab123");
    buffer_free(&buffer);
}

static void consuming_makes_room_again(void **state) {
    struct buffer buffer;
    (void)state;
    buffer_init(&buffer, 100);
    for (int i = 0; i < 1000; i++) {
        char row[30];
        memset(row, 'a' + i % 26, sizeof row);
        assert_true(buffer_append(&buffer, row, sizeof row));
        for (size_t at = 0; i > 0 && at < 30; at++) { /* the row before, perhaps moved to the front */
            assert_int_equal(buffer.data[at], 'a' + (i - 1) % 26);
        }
        buffer_consume(&buffer, i > 0 ? 30 : 0);
        assert_int_equal(buffer.length, 30);
    }
    assert_true(buffer.capacity <= 101);
    buffer_free(&buffer);
}

static void consumed_bytes_stay_readable_until_the_next_append(void **state) {
    struct buffer buffer;
    (void)state;
    buffer_init(&buffer, 100);
    assert_true(buffer_append_string(&buffer, "line\nrest"));
    struct text line = text_first(buffer_text(&buffer), 4);
    buffer_consume(&buffer, 5);
    assert_true(text_equal(line, TEXT("line")));
    assert_true(text_equal(buffer_text(&buffer), TEXT("rest")));
    buffer_consume(&buffer, 4);
    assert_true(text_equal(line, TEXT("line")));
    assert_int_equal(buffer_text(&buffer).length, 0);
    buffer_free(&buffer);
}

static void growth_keeps_the_content_and_ends_at_the_maximum(void **state) {
    struct buffer buffer;
    (void)state;
    buffer_init(&buffer, 100000);
    for (int i = 0; i < 100000; i++) {
        assert_true(buffer_append_byte(&buffer, (char)(i % 251)));
    }
    assert_false(buffer_append_byte(&buffer, 'x'));
    assert_true(buffer.capacity <= 100001);
    for (int i = 0; i < 100000; i++) {
        assert_int_equal((unsigned char)buffer.data[i], i % 251);
    }
    buffer_clear(&buffer);
    assert_int_equal(buffer.length, 0);
    assert_int_equal(buffer.capacity, 100001);
    buffer_free(&buffer);
    assert_null(buffer.data);
    assert_int_equal(buffer.maximum, 100000);
}

static void reserved_bytes_count_once_advanced(void **state) {
    struct buffer buffer;
    (void)state;
    buffer_init(&buffer, 1000);
    char *room = buffer_reserve(&buffer, 600);
    assert_non_null(room);
    memset(room, 'r', 600);
    assert_int_equal(buffer.length, 0);
    buffer_advance(&buffer, 600);
    assert_int_equal(buffer.length, 600);
    assert_string_equal(buffer_string(&buffer) + 597, "rrr");
    buffer_free(&buffer);
    assert_string_equal(buffer_string(&buffer), "");
    buffer_free(&buffer);
}

/* The block behind the content, too: views of it were given away. */
static bool holds(const struct buffer *buffer, char byte) {
    return memchr(buffer->data - buffer->offset, byte, buffer->capacity - 1) != NULL;
}

static void nothing_that_was_consumed_or_moved_stays_in_a_wiped_buffer(void **state) {
    struct buffer buffer;
    char fill[64];
    (void)state;
    memset(fill, 'x', sizeof fill);
    buffer_init_wiped(&buffer, 1000);
    memset(buffer_reserve(&buffer, 63), '.', 63); /* what nobody has written to is nobody's secret */
    assert_true(buffer_append(&buffer, "aaaaaaaaaa", 10) && buffer_append(&buffer, "bbbbbbbbbb", 10));
    buffer_consume(&buffer, 10);
    assert_false(holds(&buffer, 'a'));
    assert_non_null(buffer_reserve(&buffer, 53)); /* makes room by moving what there is, from 10 to 0 */
    assert_true(text_equal(buffer_text(&buffer), TEXT("bbbbbbbbbb")));
    assert_int_equal(buffer.offset, 0);
    assert_null(memchr(buffer.data + 10, 'b', buffer.capacity - 11));
    buffer_consume(&buffer, 4);
    assert_true(buffer_append(&buffer, "cc", 2));
    assert_non_null(buffer_reserve(&buffer, 55)); /* the two places have bytes in common */
    assert_true(text_equal(buffer_text(&buffer), TEXT("bbbbbbcc")));
    assert_null(memchr(buffer.data + 8, 'c', buffer.capacity - 9));
    assert_true(buffer_append(&buffer, fill, sizeof fill)); /* another block */
    assert_true(text_starts_nocase(buffer_text(&buffer), TEXT("bbbbbbccxxxx")));
    assert_int_equal(buffer.length, 8 + sizeof fill);
    memset(buffer.data + buffer.length, '.', buffer.capacity - 1 - buffer.length);
    buffer_truncate(&buffer, 8);
    assert_null(memchr(buffer.data + 8, 'x', buffer.capacity - 9));
    buffer_clear(&buffer);
    assert_false(holds(&buffer, 'b'));
    buffer_free(&buffer);
    assert_true(buffer.wiped); /* what it is used for next is no less secret */
    assert_int_equal(buffer.maximum, 1000);
}

static void what_did_not_fit_a_wiped_buffer_is_not_behind_it(void **state) {
    struct buffer buffer;
    char fill[64];
    (void)state;
    memset(fill, 'x', sizeof fill);
    buffer_init_wiped(&buffer, 60);
    memset(buffer_reserve(&buffer, 60), '.', 60);
    assert_true(buffer_append_string(&buffer, "kept"));
    assert_false(buffer_format(&buffer, "%.*s", (int)sizeof fill, fill));
    assert_false(holds(&buffer, 'x'));
    assert_string_equal(buffer_string(&buffer), "kept");
    buffer_free(&buffer);
}

/* A message's: blocks of this size come from the heap (heap_keep_blocks), and go back there. */
static void a_large_wiped_buffer_leaves_nothing_in_the_heap(void **state) {
    const size_t length = (size_t)96 * 1024;
    struct buffer buffer;
    size_t found = 0;
    (void)state;
    if (is_watched()) { /* freed memory may not be looked at */
        skip();
    }
    heap_keep_blocks(4 * length);
    buffer_init_wiped(&buffer, 4 * length);
    memset(buffer_reserve(&buffer, length), 's', length);
    buffer_advance(&buffer, length);
    size_t capacity = buffer.capacity;
    uintptr_t place = (uintptr_t)buffer.data;
    buffer_free(&buffer);
    volatile char *next = malloc(capacity);
    assert_true((uintptr_t)next == place); /* else nothing is looked at */
    __asm__ volatile("" : : "r"(next) : "memory");
    for (size_t i = 0; i < length; i++) {
        found += next[i] == 's';
    }
    free((void *)next);
    assert_int_equal(found, 0);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_appended_past_the_maximum),
        cmocka_unit_test(a_formatted_text_is_appended_whole_or_not_at_all),
        cmocka_unit_test(consuming_makes_room_again),
        cmocka_unit_test(consumed_bytes_stay_readable_until_the_next_append),
        cmocka_unit_test(growth_keeps_the_content_and_ends_at_the_maximum),
        cmocka_unit_test(reserved_bytes_count_once_advanced),
        cmocka_unit_test(nothing_that_was_consumed_or_moved_stays_in_a_wiped_buffer),
        cmocka_unit_test(what_did_not_fit_a_wiped_buffer_is_not_behind_it),
        cmocka_unit_test(a_large_wiped_buffer_leaves_nothing_in_the_heap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
