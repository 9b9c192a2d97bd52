/* SPDX-License-Identifier: MIT
 * Rows of operator_changes, see operator_changes.h. */
#include "store/operator_changes.h"
#include "store/statements.h"
#include <pwd.h>

bool operator_change_record(struct database *database, uint32_t uid, const char *what, int64_t affected, int64_t now,
                            int64_t *id) {
    if (*id != 0) {
        return statement_run(database, STATEMENT_OPERATOR_CHANGE_MORE,
                             BINDS(bind_integer(*id), bind_integer(affected)));
    }
    const struct passwd *user = getpwuid(uid);
    bool good = statement_run(database, STATEMENT_OPERATOR_CHANGE_ADD,
                              BINDS(bind_time(now), bind_integer(uid), bind_string(user != NULL ? user->pw_name : ""),
                                    bind_string(what), bind_integer(affected)));
    *id = good ? statement_row_id(database) : 0;
    return good;
}
