/* SPDX-License-Identifier: MIT
 * Passwords: asking for one, and making its crypt(3) hash. */
#ifndef CONTROL_PASSWORD_H
#define CONTROL_PASSWORD_H
#include <stdbool.h>
#include <stddef.h>
#define PASSWORD_SIZE 512 /* libxcrypt's limit on what it hashes */
#define PASSWORD_HASH_SIZE 512
/* From the terminal, twice, without echo; without one, or when from_input is set, the first line of standard input.
 * False after saying why. */
bool password_read(bool from_input, char password[PASSWORD_SIZE]);
/* yescrypt, crypt(5), with a new random salt. */
bool password_hash(const char *password, char hash[PASSWORD_HASH_SIZE]);
#endif
