/* SPDX-License-Identifier: MIT
 * Where blocks of OpenSSL's lie: what every handshake writes to is side by side, is used again once it is freed, and is
 * the C library's at any other time. */
#include "tls/region.h"
#include "tls/tls.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "sanitized.h"

#define LOCKS "../crypto/threads_pthread.c"
#define CIPHERS "../crypto/evp/evp_enc.c"
#define LISTS "../crypto/lhash/lhash.c"

static size_t distance(const void *one, const void *other) {
    return (uintptr_t)one > (uintptr_t)other ? (uintptr_t)one - (uintptr_t)other : (uintptr_t)other - (uintptr_t)one;
}

static bool has_region;

/* Only builds for sanitizers and valgrind have none. */
static int set_up(void **state) {
    CRYPTO_malloc_fn allocate;

    (void)state;
    region_open();
    region_close();
    CRYPTO_get_mem_functions(&allocate, NULL, NULL);
    has_region = allocate != CRYPTO_malloc;
    return has_region || is_watched() ? 0 : -1;
}

static void need_region(void) {
    if (!has_region)
        skip();
}

static void what_handshakes_write_to_lies_side_by_side(void **state) {
    (void)state;
    need_region();
    region_open();
    void *one = CRYPTO_malloc(56, LOCKS, 1), *between = CRYPTO_malloc(56, LISTS, 1),
         *other = CRYPTO_malloc(56, LOCKS, 1);
    region_close();
    assert_int_equal(distance(one, other), 64);
    assert_true(distance(one, between) > 4096);
    assert_int_equal((uintptr_t)one % 16, 0);
    CRYPTO_free(one, LOCKS, 1);
    CRYPTO_free(between, LISTS, 1);
    CRYPTO_free(other, LOCKS, 1);
}

static void locks_of_algorithms_are_not_among_them(void **state) {
    (void)state;
    need_region();
    region_open();
    void *lock = CRYPTO_malloc(56, LOCKS, 1), *cipher = CRYPTO_malloc(256, CIPHERS, 1),
         *its = CRYPTO_malloc(56, LOCKS, 1), *next = CRYPTO_malloc(256, CIPHERS, 1);
    region_close();
    assert_int_equal(distance(cipher, next), 256);
    assert_true(distance(lock, its) > 4096);
    CRYPTO_free(lock, LOCKS, 1);
    CRYPTO_free(cipher, CIPHERS, 1);
    CRYPTO_free(its, LOCKS, 1);
    CRYPTO_free(next, CIPHERS, 1);
}

static void what_is_freed_is_used_again(void **state) {
    void *first = NULL;

    (void)state;
    need_region();
    region_open();
    for (int i = 0; i < 100000; i++) { /* more than there is room for */
        void *block = CRYPTO_zalloc(200, LOCKS, 1);
        if (first == NULL)
            first = block;
        assert_ptr_equal(block, first);
        memset(block, 'x', 200);
        CRYPTO_free(block, LOCKS, 1);
    }
    region_close();
}

static void a_region_that_is_full_leaves_the_rest_to_the_c_library(void **state) {
    static void *blocks[1000];
    void *near = NULL;

    (void)state;
    region_open();
    for (size_t i = 0; i < 1000; i++) {
        blocks[i] = CRYPTO_malloc(2048, LOCKS, 1);
        assert_non_null(blocks[i]);
        memset(blocks[i], 'x', 2048);
    }
    for (size_t i = 0; i < 1000; i++)
        CRYPTO_free(blocks[i], LOCKS, 1);
    near = CRYPTO_malloc(2048, LOCKS, 1);
    assert_non_null(near);
    CRYPTO_free(near, LOCKS, 1);
    region_close();
}

static void a_block_that_grows_keeps_what_it_holds(void **state) {
    static const char words[] = "what it holds";

    (void)state;
    region_open();
    char *block = CRYPTO_malloc(sizeof words, LOCKS, 1);
    memcpy(block, words, sizeof words);
    block = CRYPTO_realloc(block, 5000, LOCKS, 1);
    assert_string_equal(block, words);
    region_close();
    block = CRYPTO_realloc(block, 9000, LOCKS, 1);
    assert_string_equal(block, words);
    block = CRYPTO_realloc(block, 17000, LOCKS, 1);
    assert_string_equal(block, words);
    assert_null(CRYPTO_realloc(block, 0, LOCKS, 1));
}

static void nothing_is_no_block(void **state) {
    (void)state;
    need_region();
    region_open();
    assert_null(CRYPTO_malloc(0, LOCKS, 1));
    void *block = CRYPTO_malloc(1, LOCKS, 1);
    assert_null(CRYPTO_realloc(block, 0, LOCKS, 1));
    assert_ptr_equal(CRYPTO_malloc(1, LOCKS, 1), block);
    CRYPTO_free(block, LOCKS, 1);
    CRYPTO_free(NULL, LOCKS, 1);
    region_close();
    assert_null(CRYPTO_malloc(0, LOCKS, 1));
}

static void later_ones_are_the_c_librarys(void **state) {
    (void)state;
    need_region();
    region_open();
    void *early = CRYPTO_malloc(56, LOCKS, 1);
    region_close();
    void *late = CRYPTO_malloc(56, LOCKS, 1);
    assert_true(distance(early, late) > 4096);
    CRYPTO_free(late, LOCKS, 1);
    CRYPTO_free(early, LOCKS, 1);
}

#define BUFFERS "../ssl/record/ssl3_buffer.c"
static bool is_zero(const unsigned char *bytes, size_t length) {
    size_t i = 0;

    while (i < length && bytes[i] == 0)
        i++;
    return i == length;
}

static void buffers_are_apart_and_go_back_when_they_are_free(void **state) {
    (void)state;
    need_region();
    unsigned char *one = CRYPTO_malloc(17000, BUFFERS, 1), *other = CRYPTO_malloc(17000, BUFFERS, 1);
    memset(one, 'x', 17000);
    memset(other, 'x', 17000);
    assert_true(distance(one, other) >= 17000 && distance(one, other) % 4096 == 0);
    CRYPTO_free(other, BUFFERS, 1);
    tls_give_back();
    assert_int_equal(one[16999], 'x');
    unsigned char *again = CRYPTO_malloc(17000, BUFFERS, 1);
    assert_ptr_equal(again, other);
    assert_true(is_zero(again, 17000));
    again = CRYPTO_realloc(again, 100000, BUFFERS, 1);
    memset(again, 'y', 100000);
    assert_int_equal(one[0], 'x');
    assert_ptr_equal(CRYPTO_malloc(24 * 1024, BUFFERS, 1), other);
    CRYPTO_free(other, BUFFERS, 1);
    CRYPTO_free(again, BUFFERS, 1);
    CRYPTO_free(one, BUFFERS, 1);
    tls_give_back();
}

static void more_buffers_than_there_is_room_for_are_the_c_librarys(void **state) {
    unsigned char *blocks[40];

    (void)state;
    for (size_t i = 0; i < 40; i++) {
        blocks[i] = CRYPTO_malloc(24 * 1024, BUFFERS, 1);
        memset(blocks[i], (int)i, 24 * 1024);
    }
    for (size_t i = 0; i < 40; i++) {
        assert_int_equal(blocks[i][0], i);
        assert_int_equal(blocks[i][24 * 1024 - 1], i);
        CRYPTO_free(blocks[i], BUFFERS, 1);
    }
    blocks[0] = CRYPTO_malloc(24 * 1024 + 1, BUFFERS, 1);
    memset(blocks[0], 'x', 24 * 1024 + 1);
    CRYPTO_free(blocks[0], BUFFERS, 1);
}

static void openssl_names_the_files_that_are_known_here(void **state) {
    (void)state;
    need_region();
    region_open();
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL),
               *other = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    region_close();
    assert_true(distance(cipher, other) < 64 * 1024);

    EVP_CIPHER_free(cipher);
    EVP_CIPHER_free(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_handshakes_write_to_lies_side_by_side),
        cmocka_unit_test(locks_of_algorithms_are_not_among_them),
        cmocka_unit_test(what_is_freed_is_used_again),
        cmocka_unit_test(a_region_that_is_full_leaves_the_rest_to_the_c_library),
        cmocka_unit_test(a_block_that_grows_keeps_what_it_holds),
        cmocka_unit_test(nothing_is_no_block),
        cmocka_unit_test(later_ones_are_the_c_librarys),
        cmocka_unit_test(buffers_are_apart_and_go_back_when_they_are_free),
        cmocka_unit_test(more_buffers_than_there_is_room_for_are_the_c_librarys),
        cmocka_unit_test(openssl_names_the_files_that_are_known_here),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
