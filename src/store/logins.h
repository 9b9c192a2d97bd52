/* SPDX-License-Identifier: MIT
 * Where logins of an account failed and succeeded: one row an account and contact. Called by the ledger alone, each try
 * one transaction; false on a database error. */
#ifndef STORE_LOGINS_H
#define STORE_LOGINS_H
#include "base/text.h"
#include "store/database.h"
struct logins_policy {
    int64_t maximum;      /* failures from contacts that the account was never used from; 0: any number */
    int64_t lock_seconds; /* within which they count, and the account is locked after them */
    int64_t history_days; /* a contact that the account was used from within them is not locked out of it */
};
struct logins_try {
    struct text account, contact;
    bool right; /* the password, the proof, the token */
};
enum logins_verdict {
    LOGINS_TAKEN, /* recorded: as it was */
    LOGINS_LOCKS, /* a failure, and the one that locks the account */
    LOGINS_LOCKED /* not recorded: right or wrong, it is refused */
};
bool logins_record(struct database *database, const struct logins_policy *policy, const struct logins_try *what,
                   int64_t now, enum logins_verdict *verdict);
#endif
