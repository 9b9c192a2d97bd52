/* SPDX-License-Identifier: MIT
 * For tests that need one spool each, and nothing before or after it: cmocka's setup and teardown. */
#ifndef ONE_STORE_H
#define ONE_STORE_H
#include "store_fixture.h"

static struct fixture fixture;

static int start(void **state) {
    (void)state;
    fixture_start(&fixture);
    return 0;
}

static int end(void **state) {
    (void)state;
    fixture_end(&fixture);
    return 0;
}
#endif
