/* SPDX-License-Identifier: MIT
 * users.db and the domains table, as lookup reads them and `parcelpost user` changes them. */
#ifndef STORE_USERS_H
#define STORE_USERS_H
#include "base/text.h"
#include "store/database.h"
#define USERS_HASH_SIZE 385 /* what crypt(3) gives at most, CRYPT_OUTPUT_SIZE of libxcrypt, and one more */
enum users_found { USERS_YES, USERS_NO, USERS_ERROR };
/* Is this domain one of ours (the domains table of parcelpost.db)? Compared without case. */
enum users_found users_local_domain(struct database *main, struct text domain);
/* Does a user with this address exist? Local part by bytes, falling back to lower case; canonical gets the stored
 * address. */
enum users_found users_find(struct database *users, struct text address, char *canonical, size_t size);
/* The crypt(3) hash of this login. */
enum users_found users_hash(struct database *users, struct text login, char *hash, size_t size);
/* The hash of some user, whose method and cost an unknown user's check repeats; USERS_NO when there is none. */
enum users_found users_any_hash(struct database *users, char *hash, size_t size);
/* Adds or replaces; the domain is stored in lower case; false on error (database_error). */
bool users_set(struct database *users, struct text address, const char *hash);
enum users_found users_remove(struct database *users, struct text address);
typedef void users_visit(void *context, const char *address, const char *updated_at);
bool users_list(struct database *users, users_visit *visit, void *context);
/* Visits the users with this local part in whatever domain, at most `limit` of them; updated_at is "". */
bool users_by_local_part(struct database *users, struct text local, unsigned limit, users_visit *visit, void *context);
#endif
