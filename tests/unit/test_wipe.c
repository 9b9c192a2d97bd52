/* SPDX-License-Identifier: MIT
 * What a function that has returned leaves on the stack and in registers is gone behind wipe_traces. */
#include "base/wipe.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sanitized.h"

#define MARK ((unsigned char)0xa7)
#define DEEP (8u * 1024)

__attribute__((noinline)) static void leave_marks(void) {
    unsigned char left[DEEP];
    memset(left, MARK, sizeof left);
    __asm__ volatile("" : : "r"(left) : "memory");
}

/* Bytes that nobody wrote here: those of whoever was here before. */
__attribute__((noinline)) static unsigned count_marks(void) {
    volatile unsigned char found[DEEP];
    unsigned count = 0;
    __asm__ volatile("" : : "r"(found) : "memory"); /* a compiler takes what was never written for anything it likes */
    for (size_t i = 0; i < DEEP; i++) {
        count += found[i] == MARK;
    }
    return count;
}

static void the_stack_of_those_who_have_returned_is_zeroed(void **state) {
    (void)state;
    if (is_watched()) { /* its stack is another, or may not be looked at */
        wipe_traces();
        skip();
    }
    leave_marks();
    assert_true(count_marks() > DEEP / 2); /* else nothing was looked at */
    leave_marks();
    wipe_traces();
    assert_true(count_marks() < 4 * sizeof(void *)); /* between the frames' own words */
}

#ifdef __x86_64__
#define LOAD(instruction, number) __asm__ volatile(instruction " %0, %%" number : : "m"(marks))
#define STORE(instruction, number) __asm__ volatile(instruction " %%" number ", %0" : "=m"(found))

static void vector_registers_are_zeroed(void **state) {
    static const unsigned char nothing[64];
    _Alignas(64) unsigned char marks[64], found[64] = {0};
    (void)state;
    memset(marks, MARK, sizeof marks);
    if (!__builtin_cpu_supports("avx")) {
        skip();
    }
    LOAD("vmovups", "ymm7");
    wipe_traces();
    STORE("vmovups", "ymm7");
    assert_memory_equal(found, nothing, sizeof nothing);
    if (!__builtin_cpu_supports("avx512f")) {
        return;
    }
    LOAD("vmovups", "zmm18"); /* where glibc's strlen(3) leaves what it has read */
    STORE("vmovups", "zmm18");
    assert_memory_equal(found, marks, sizeof marks);
    wipe_traces();
    STORE("vmovups", "zmm18");
    assert_memory_equal(found, nothing, sizeof nothing);
}

/* Rounding and masks of exceptions lie in MXCSR, which is loaded along. */
static void arithmetic_goes_on_as_before(void **state) {
    unsigned before, behind;
    volatile double third = 1.0;
    (void)state;
    __asm__ volatile("stmxcsr %0" : "=m"(before));
    third /= 3;
    wipe_traces();
    __asm__ volatile("stmxcsr %0" : "=m"(behind));
    assert_int_equal(behind & 0xffc0, before & 0xffc0); /* without the flags of what has happened */
    assert_true(third > 0.33 && third < 0.34);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_stack_of_those_who_have_returned_is_zeroed),
#ifdef __x86_64__
        cmocka_unit_test(vector_registers_are_zeroed),
        cmocka_unit_test(arithmetic_goes_on_as_before),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
