/* SPDX-License-Identifier: MIT
 * Logins out of a database of the operator's: one SELECT, read-only under the authorizer of the operator's rules, which
 * gives for :user the account, its crypt(3) hash and, as a third column if there is one, its SCRAM verifier. */
#ifndef STORE_LOGIN_QUERY_H
#define STORE_LOGIN_QUERY_H
#include "store/users.h"
struct login_query;
/* NULL with a sentence in error: cannot be opened, is no such SELECT. */
struct login_query *login_query_open(const char *database, const char *query, struct buffer *error);
void login_query_close(struct login_query *query);
/* The first row. USERS_NO: none, or without an account; USERS_ERROR: error says why. milliseconds: how long it may
 * take.
 */
enum users_found login_query_ask(struct login_query *query, struct text user, int64_t milliseconds, char *account,
                                 size_t size, struct users_proofs *proofs, struct buffer *error);
#endif
