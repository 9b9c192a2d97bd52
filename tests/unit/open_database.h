/* SPDX-License-Identifier: MIT
 * Databases for tests, which cannot go on without them. */
#ifndef OPEN_DATABASE_H
#define OPEN_DATABASE_H
#include "base/buffer.h"
#include "store/database.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Owned by the caller; the test fails with SQLite's words. */
static inline struct database *open_or_fail(const char *path, enum database_kind kind, enum database_mode mode) {
    struct buffer error;
    buffer_init(&error, 1024);
    struct database *database = database_open(path, kind, mode, &error);
    if (database == NULL) {
        fail_msg("%s", buffer_string(&error));
    }
    buffer_free(&error);
    return database;
}
#endif
