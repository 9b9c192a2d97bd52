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
/* Spends the time of a check with the method and cost of `hash`, for a user who does not exist. "": a built-in one. */
void password_waste(struct text password, const char *hash);
#endif
