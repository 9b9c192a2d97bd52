/* SPDX-License-Identifier: MIT
 * Who is a user, who may log in, who may send as whom. Called by the handlers of lookup.c, as parcelpost-auth, with
 * addresses and passwords of strangers. A database that cannot be asked gives the temporary outcome, never "unknown".
 */
#include "lookup/answers.h"
#include "base/log.h"
#include "lookup/alias.h"
#include "lookup/password.h"
#include "lookup/srs_secret.h"
#include "mail/address.h"
#include "store/users.h"
#include <string.h>

#define CANDIDATES_MAXIMUM 64u /* users with one local part that are looked at */

void lookup_take_settings(struct lookup *lookup, const struct config *config) {
    lookup->postmaster = config->postmaster != NULL ? config->postmaster : "";
    lookup->delimiter = config->recipient_delimiter;
    lookup->tag_goes_on = config->local_transport != NULL && strcmp(config->local_transport, "lmtp") == 0;
    lookup->transports = config->transports;
    lookup->transport_count = config->transport_count;
    lookup->expansion_maximum = (size_t)config->expansion_maximum;
    srs_secret_read(&lookup->srs, config->srs_domain, config->srs_secret_file);
    source_init(&lookup->main, config->database, DATABASE_MAIN);
    source_init(&lookup->users, config->users_database, DATABASE_USERS);
}

enum users_found local_domain(struct lookup *lookup, struct text domain) {
    if (source_refresh(&lookup->main) != SOURCE_OPEN) {
        return USERS_ERROR;
    }
    enum users_found found = users_local_domain(lookup->main.database, domain);
    if (found == USERS_ERROR) {
        log_error("%s: %s", lookup->main.path, database_error(lookup->main.database));
    }
    return found;
}

enum users_found find_user(struct lookup *lookup, struct text address, char canonical[ANSWER_ADDRESS_SIZE]) {
    switch (source_refresh(&lookup->users)) {
    case SOURCE_ABSENT:
        return USERS_NO;
    case SOURCE_BROKEN:
        return USERS_ERROR;
    case SOURCE_OPEN:
        break;
    }
    enum users_found found = users_find(lookup->users.database, address, canonical, ANSWER_ADDRESS_SIZE);
    if (found == USERS_ERROR) {
        log_error("%s: %s", lookup->users.path, database_error(lookup->users.database));
    }
    return found;
}

struct candidates { /* users with one local part, in local domains */
    struct lookup *lookup;
    char *account;
    unsigned count;
    bool failed;
};

static void take_candidate(void *context, const char *address, const char *updated_at) {
    struct candidates *candidates = context;
    struct text text = text_of(address);
    enum users_found found = local_domain(candidates->lookup, address_domain_of(text));
    (void)updated_at;
    candidates->failed = candidates->failed || found == USERS_ERROR;
    if (found == USERS_YES) {
        candidates->count++;
        (void)text_copy(candidates->account, ANSWER_ADDRESS_SIZE, text);
    }
}

/* The account that a login name means: an address, or a local part that is alone of its kind. */
static enum users_found find_login(struct lookup *lookup, struct text user, char account[ANSWER_ADDRESS_SIZE]) {
    if (address_at(user) < user.length) {
        return find_user(lookup, user, account);
    }
    switch (source_refresh(&lookup->users)) {
    case SOURCE_ABSENT:
        return USERS_NO;
    case SOURCE_BROKEN:
        return USERS_ERROR;
    case SOURCE_OPEN:
        break;
    }
    struct candidates candidates = {.lookup = lookup, .account = account};
    if (!users_by_local_part(lookup->users.database, user, CANDIDATES_MAXIMUM, take_candidate, &candidates) ||
        candidates.failed) {
        return USERS_ERROR;
    }
    return candidates.count == 1 ? USERS_YES : USERS_NO;
}

/* An unknown user takes as long as a known one: some user's hash tells which method and cost that is. */
static void waste_time(struct lookup *lookup, struct text password) {
    char hash[USERS_HASH_SIZE] = "";
    if (lookup->users.database != NULL) {
        (void)users_any_hash(lookup->users.database, hash, sizeof hash);
    }
    password_waste(password, hash);
    explicit_bzero(hash, sizeof hash);
}

static enum login_outcome check_password(struct lookup *lookup, const char *account, struct text password) {
    char hash[USERS_HASH_SIZE];
    enum login_outcome outcome = LOGIN_REFUSED;
    if (users_hash(lookup->users.database, text_of(account), hash, sizeof hash) != USERS_YES) {
        return LOGIN_TEMPFAIL;
    }
    switch (password_check(password, hash)) {
    case PASSWORD_RIGHT:
        outcome = LOGIN_OK;
        break;
    case PASSWORD_WRONG:
        break;
    case PASSWORD_UNKNOWN_METHOD:
        log_error("%s: the hash of %s is of an unknown method; accepted: $5$, $6$, $y$, $2b$; try: parcelpost user "
                  "passwd %s",
                  lookup->users.path, account, account);
        outcome = LOGIN_TEMPFAIL;
        break;
    }
    explicit_bzero(hash, sizeof hash);
    return outcome;
}

enum login_outcome answer_login(struct lookup *lookup, struct text user, struct text password,
                                char account[ANSWER_ADDRESS_SIZE]) {
    enum login_outcome outcome = LOGIN_REFUSED;
    account[0] = '\0';
    switch (find_login(lookup, user, account)) {
    case USERS_YES:
        outcome = check_password(lookup, account, password);
        break;
    case USERS_NO:
        waste_time(lookup, password);
        break;
    case USERS_ERROR:
        outcome = LOGIN_TEMPFAIL;
        break;
    }
    if (outcome != LOGIN_OK) {
        account[0] = '\0';
    }
    return outcome;
}

/* A list is nobody's own address: mail to it is not mail to its members. */
static bool leads_to(const struct targets *targets, struct text account) {
    for (size_t i = 0; i < targets->count; i++) {
        const struct target *target = &targets->items[i];
        if (target->delivery == DELIVERY_LOCAL && target->sender[0] == '\0' &&
            text_equal(text_of(target->address), account)) {
            return true;
        }
    }
    return false;
}

enum login_outcome answer_may_send(struct lookup *lookup, struct text account, struct text address) {
    char canonical[ANSWER_ADDRESS_SIZE];
    struct targets targets;
    if (address.length == 0) {
        return LOGIN_OK;
    }
    targets_init(&targets, lookup, account);
    enum address_standing standing = alias_follow(&targets, address, canonical);
    bool own = leads_to(&targets, account) || text_equal(text_of(canonical), account) ||
               (find_user(lookup, address, canonical) == USERS_YES && text_equal(text_of(canonical), account));
    targets_free(&targets);
    return own ? LOGIN_OK : standing == STANDING_TEMPFAIL ? LOGIN_TEMPFAIL : LOGIN_REFUSED;
}
