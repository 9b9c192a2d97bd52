/* SPDX-License-Identifier: MIT
 * Blocks of one size in pages of their own. */
#include "base/pool.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define BLOCKS 5000

struct item {
    char bytes[72];
};

static void blocks_are_zeroed_aligned_and_apart(void **state) {
    static struct item *items[BLOCKS];
    struct pool pool = POOL(struct item);
    (void)state;
    for (int i = 0; i < BLOCKS; i++) {
        items[i] = pool_take(&pool);
        assert_int_equal((uintptr_t)items[i] % 16, 0);
        for (size_t k = 0; k < sizeof(struct item); k++) {
            assert_int_equal(items[i]->bytes[k], 0);
        }
        memset(items[i], i % 255 + 1, sizeof(struct item));
    }
    for (int i = 0; i < BLOCKS; i++) {
        for (size_t k = 0; k < sizeof(struct item); k++) {
            assert_int_equal((unsigned char)items[i]->bytes[k], i % 255 + 1);
        }
    }
}

static void what_is_given_back_is_taken_again_zeroed(void **state) {
    struct pool pool = POOL(struct item);
    struct item *one = pool_take(&pool), *other = pool_take(&pool);
    (void)state;
    memset(one, 1, sizeof *one);
    pool_give(&pool, one);
    pool_give(&pool, NULL);
    struct item *again = pool_take(&pool);
    assert_ptr_equal(again, one);
    assert_int_equal(again->bytes[0] | again->bytes[71], 0);
    assert_ptr_not_equal(pool_take(&pool), other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_zeroed_aligned_and_apart),
        cmocka_unit_test(what_is_given_back_is_taken_again_zeroed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
