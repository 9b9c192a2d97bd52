/* SPDX-License-Identifier: MIT
 * Passwords: asking for one, and making what is stored of it. */
#ifndef CONTROL_PASSWORD_H
#define CONTROL_PASSWORD_H
#include "tls/scram.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#define PASSWORD_SIZE 512 /* libxcrypt's limit on what it hashes */
#define PASSWORD_HASH_SIZE 512
/* From the terminal, twice, without echo; without one, or when from_input is set, the first line of standard input.
 * False after saying why. */
bool password_read(bool from_input, char password[PASSWORD_SIZE]);
/* Brings the password into the form that logins are compared in (SASLprep). False after saying why it cannot. */
bool password_prepare(char password[PASSWORD_SIZE]);
/* The verifier of SCRAM-SHA-256 with a new random salt, as it is stored. */
void password_scram(const char *password, uint32_t iterations, char scram[SCRAM_TEXT_SIZE]);
/* yescrypt, crypt(5), with a new random salt. */
bool password_hash(const char *password, char hash[PASSWORD_HASH_SIZE]);
#endif
