/* SPDX-License-Identifier: MIT
 * What lookup answers, as functions without sockets. Private to this folder. */
#ifndef LOOKUP_ANSWERS_H
#define LOOKUP_ANSWERS_H
#include "config/config.h"
#include "ipc/messages.h"
#include "lookup/login_source.h"
#include "lookup/sources.h"
#include "lookup/srs.h"
#include "store/users.h"
#define ANSWER_ADDRESS_SIZE 512
struct rules;
struct lookup {
    const char *postmaster; /* where mail for every postmaster goes */
    const char *delimiter;  /* between a user and a tag; NULL, "": none */
    bool tag_goes_on;       /* local mail goes to an LMTP server, which gets the tag */
    const struct config_transport *transports;
    size_t transport_count;
    const char *first_domain;  /* whose users a name without a domain means, when nobody has it */
    uint32_t scram_iterations; /* of new verifiers */
    size_t expansion_maximum;  /* 0: no limit */
    struct srs srs;
    struct source main, users;
    struct login_source logins;
    struct rules *rules; /* the operator's, of which client_lookup.sql is asked; or NULL */
};
/* What the configuration says; the databases are opened when they are first asked. config stays the caller's. */
void lookup_take_settings(struct lookup *lookup, const struct config *config);
/* Is this domain ours? An error is logged. */
enum users_found local_domain(struct lookup *lookup, struct text domain);
/* The user of exactly this name. A server without users.db has no users yet. An error is logged. */
enum users_found find_user(struct lookup *lookup, struct text address, char canonical[ANSWER_ADDRESS_SIZE]);
/* LOOKUP_MAY_SEND: is this address the account's own, or does mail for it go to that account, other than by a list? The
 * null sender is anybody's. */
enum login_outcome answer_may_send(struct lookup *lookup, struct text account, struct text address);
#endif
