/* SPDX-License-Identifier: MIT
 * Where blocks of OpenSSL's lie: what every handshake writes to is side by side, is used again once it is freed, and is
 * the C library's at any other time. */
#include "tls/region.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#define LOCKS "../crypto/threads_pthread.c"
#define CIPHERS "../crypto/evp/evp_enc.c"
#define LISTS "../crypto/lhash/lhash.c"

static size_t distance(const void *one, const void *other) {
    return (uintptr_t)one > (uintptr_t)other ? (uintptr_t)one - (uintptr_t)other : (uintptr_t)other - (uintptr_t)one;
}

static int set_up(void **state) {
    (void)state;
    region_open();
    region_close();
    return 0;
}

static void what_handshakes_write_to_lies_side_by_side(void **state) {
    (void)state;
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
    CRYPTO_free(block, LOCKS, 1);
}

static void later_ones_are_the_c_librarys(void **state) {
    (void)state;
    region_open();
    void *early = CRYPTO_malloc(56, LOCKS, 1);
    region_close();
    void *late = CRYPTO_malloc(56, LOCKS, 1);
    assert_true(distance(early, late) > 4096);
    CRYPTO_free(late, LOCKS, 1);
    CRYPTO_free(early, LOCKS, 1);
}

static void openssl_names_the_files_that_are_known_here(void **state) {
    (void)state;
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
        cmocka_unit_test(later_ones_are_the_c_librarys),
        cmocka_unit_test(openssl_names_the_files_that_are_known_here),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
