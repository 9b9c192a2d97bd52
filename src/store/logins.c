/* SPDX-License-Identifier: MIT
 * Rows of logins, see logins.h. Runs in the ledger. Strangers cannot lock a user out: who has logged in from a contact
 * before goes on doing so from there, and such a contact's own failures lock nobody but the contact. What is tried
 * while the account is locked counts for nothing, so that the lock ends. */
#include "store/logins.h"
#include "store/statements.h"

#define SECONDS_A_DAY 86400

/* One number of one row; false on an error. */
static bool read_number(struct sqlite3_stmt *row, int64_t *number) {
    bool good = statement_step(row) == STATEMENT_ROW;
    if (good) {
        *number = column_integer(row, 0);
    }
    statement_end(row);
    return good;
}

static bool record(struct database *database, const struct logins_policy *policy, const struct logins_try *what,
                   int64_t now, enum logins_verdict *verdict) {
    int64_t is_known = 0, failures = 0;
    struct bind account = bind_text(what->account), contact = bind_text(what->contact);
    struct bind since = bind_time(now - policy->lock_seconds),
                history = bind_time(now - policy->history_days * SECONDS_A_DAY);
    if (!read_number(statement_query(database, STATEMENT_LOGIN_KNOWN, BINDS(account, contact, history)), &is_known) ||
        !read_number(statement_query(database, STATEMENT_LOGIN_FAILURES, BINDS(account, since, history)), &failures)) {
        return false;
    }
    bool limited = policy->maximum > 0 && is_known == 0;
    *verdict = LOGINS_TAKEN;
    if (limited && failures >= policy->maximum) {
        *verdict = LOGINS_LOCKED;
        return true;
    }
    if (what->right) {
        return statement_run(database, STATEMENT_LOGIN_SUCCEEDED, BINDS(account, contact, bind_time(now)));
    }
    *verdict = limited && failures + 1 >= policy->maximum ? LOGINS_LOCKS : LOGINS_TAKEN;
    return statement_run(database, STATEMENT_LOGIN_FAILED, BINDS(account, contact, bind_time(now), since));
}

bool logins_record(struct database *database, const struct logins_policy *policy, const struct logins_try *what,
                   int64_t now, enum logins_verdict *verdict) {
    if (!database_begin(database)) {
        return false;
    }
    if (record(database, policy, what, now, verdict) && database_commit(database)) {
        return true;
    }
    database_rollback(database);
    return false;
}
