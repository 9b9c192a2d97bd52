/* SPDX-License-Identifier: MIT
 * OpenSSL's randomness in processes that are forked alike. */
#include "tls/server.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/rand.h>

#define LENGTH 32
#define CHILDREN 4

static int set_up(void **state) {
    (void)state;
    return random_prepare() ? 0 : -1;
}

static void ask(unsigned char bytes[2][LENGTH]) {
    assert_int_equal(RAND_bytes(bytes[0], LENGTH), 1);
    assert_int_equal(RAND_priv_bytes(bytes[1], LENGTH), 1);
}

static void processes_that_are_forked_alike_get_different_bytes(void **state) {
    unsigned char got[CHILDREN + 1][2][LENGTH];
    int report[2];

    (void)state;
    ask(got[CHILDREN]);
    assert_int_equal(pipe(report), 0);
    for (size_t i = 0; i < CHILDREN; i++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            ask(got[i]);
            _exit(write(report[1], got[i], sizeof got[i]) == sizeof got[i] ? 0 : 1);
        }
        assert_int_equal(read(report[0], got[i], sizeof got[i]), sizeof got[i]);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    close(report[0]);
    close(report[1]);
    for (size_t i = 0; i < 2 * (CHILDREN + 1); i++)
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(got[i / 2][i % 2], got[j / 2][j % 2], LENGTH);
}

static void no_bytes_are_enough(void **state) {
    unsigned char byte = 'x';

    (void)state;
    assert_int_equal(RAND_bytes(&byte, 0), 1);
    assert_int_equal(byte, 'x');
    assert_int_equal(RAND_status(), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processes_that_are_forked_alike_get_different_bytes),
        cmocka_unit_test(no_bytes_are_enough),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
