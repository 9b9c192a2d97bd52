/* SPDX-License-Identifier: MIT
 * What lookup answers, as functions without sockets. Private to this folder. */
#ifndef LOOKUP_ANSWERS_H
#define LOOKUP_ANSWERS_H
#include "ipc/messages.h"
#include "lookup/sources.h"
#define ANSWER_ADDRESS_SIZE 512
struct lookup {
    const char *postmaster; /* where mail for every postmaster goes */
    struct source main, users;
};
/* LOOKUP_ADDRESS: what this address is to us. canonical: where its mail goes, for members. */
enum address_standing answer_address(struct lookup *lookup, struct text address, char canonical[ANSWER_ADDRESS_SIZE]);
/* LOOKUP_LOGIN: user is an address, or a local part that exactly one local domain has. account: the canonical login. */
enum login_outcome answer_login(struct lookup *lookup, struct text user, struct text password,
                                char account[ANSWER_ADDRESS_SIZE]);
/* LOOKUP_MAY_SEND: does mail for this address go to that account? The null sender is anybody's. */
enum login_outcome answer_may_send(struct lookup *lookup, struct text account, struct text address);
#endif
