/* SPDX-License-Identifier: MIT
 * Checking passwords against crypt(3) hashes. Private to this folder; the only one that includes crypt.h. */
#ifndef LOOKUP_PASSWORD_H
#define LOOKUP_PASSWORD_H
#include "base/text.h"
enum password_outcome {
    PASSWORD_RIGHT,
    PASSWORD_WRONG,
    PASSWORD_UNKNOWN_METHOD /* the stored hash is none of $5$ $6$ $y$ $2b$, or malformed */
};
/* Takes as long for a wrong password as for the right one. hash: as stored. */
enum password_outcome password_check(struct text password, const char *hash);
/* The hash itself, or where that is none a made-up one of the method that new passwords get, which nothing matches: to
 * spend the time of a check for a user who does not exist. */
const char *password_usable(const char *hash);
#endif
