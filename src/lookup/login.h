/* SPDX-License-Identifier: MIT
 * Checking logins: by password, and by SCRAM in two steps that remember nothing between them. Private to this folder.
 */
#ifndef LOOKUP_LOGIN_H
#define LOOKUP_LOGIN_H
#include "lookup/answers.h"
#include "tls/scram.h"
/* user: an address, or a local part that exactly one local domain has. account: the canonical login when there is such
 * a user, whatever the outcome; "" otherwise. Whoever is not there costs what some user costs who is. */
enum login_outcome answer_login(struct lookup *lookup, struct text user, struct text password,
                                char account[ANSWER_ADDRESS_SIZE]);
/* The first step: salt and iterations, of a made-up verifier for who is not there or has none. */
enum login_outcome answer_scram_begin(struct lookup *lookup, struct text user, struct scram_verifier *verifier);
/* The second: is this the proof, and our own signature over the same words. */
enum login_outcome answer_scram_finish(struct lookup *lookup, const struct lookup_scram_finish *question,
                                       char account[ANSWER_ADDRESS_SIZE], unsigned char signature[SCRAM_KEY_SIZE]);
#endif
