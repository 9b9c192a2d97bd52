/* SPDX-License-Identifier: MIT
 * users.db and the domains table, as lookup reads them and `parcelpost user` changes them. */
#ifndef STORE_USERS_H
#define STORE_USERS_H
#include "base/text.h"
#include "store/database.h"
#define USERS_HASH_SIZE 385 /* what crypt(3) gives at most, CRYPT_OUTPUT_SIZE of libxcrypt, and one more */
#define USERS_SCRAM_SIZE 384
#define USERS_SECRET_SIZE 65
enum users_found { USERS_YES, USERS_NO, USERS_ERROR };
/* Is this domain one of ours (the domains table of parcelpost.db)? Compared without case. */
enum users_found users_local_domain(struct database *main, struct text domain);
/* Does a user with this address exist? Local part by bytes, falling back to lower case; canonical gets the stored
 * address. */
enum users_found users_find(struct database *users, struct text address, char *canonical, size_t size);
/* What proves a password. */
struct users_proofs {
    char hash[USERS_HASH_SIZE];   /* crypt(3) */
    char scram[USERS_SCRAM_SIZE]; /* tls/scram.h; "": none yet */
};
enum users_found users_proofs(struct database *users, struct text login, struct users_proofs *proofs);
/* Those of some user, always the same for a mark as long as no user comes or goes; USERS_NO when there is none. What an
 * unknown user's check costs is taken from them. */
enum users_found users_some_proofs(struct database *users, const char *mark, struct users_proofs *proofs);
/* What false salts are made of. */
enum users_found users_secret(struct database *users, char secret[USERS_SECRET_SIZE]);
/* Adds or replaces; the domain is stored in lower case; scram: NULL for none; false on error (database_error). */
bool users_set(struct database *users, struct text address, const char *hash, const char *scram);
enum users_found users_remove(struct database *users, struct text address);
struct users_row {
    const char *address, *updated_at;
    bool has_scram;
};
typedef void users_visit(void *context, const struct users_row *row);
bool users_list(struct database *users, users_visit *visit, void *context);
/* Visits the users with this local part in whatever domain, at most `limit` of them. */
bool users_by_local_part(struct database *users, struct text local, unsigned limit, users_visit *visit, void *context);
#endif
