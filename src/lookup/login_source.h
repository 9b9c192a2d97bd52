/* SPDX-License-Identifier: MIT
 * The operator's database of logins (login_query), which takes the place of users.db for them. Private to this folder.
 */
#ifndef LOOKUP_LOGIN_SOURCE_H
#define LOOKUP_LOGIN_SOURCE_H
#include "store/login_query.h"
#include <sys/types.h>
struct login_source {
    const char *database, *sql; /* sql NULL, "": users.db is asked */
    int64_t milliseconds;
    struct login_query *query; /* NULL: not open */
    dev_t device;
    ino_t inode;
    struct users_proofs seen; /* of who was there last: what a check of nobody costs */
};
bool login_source_is_used(const struct login_source *source);
/* An error is logged. */
enum users_found login_source_find(struct login_source *source, struct text user, char *account, size_t size,
                                   struct users_proofs *proofs);
void login_source_close(struct login_source *source);
#endif
