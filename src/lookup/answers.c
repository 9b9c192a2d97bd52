/* SPDX-License-Identifier: MIT
 * Who is local, who may log in, who may send as whom. Called by the handlers of lookup.c, as parcelpost-auth, with
 * addresses and passwords of strangers. A database that cannot be asked gives the temporary outcome, never "unknown".
 */
#include "lookup/answers.h"
#include "base/log.h"
#include "lookup/password.h"
#include "store/users.h"
#include <string.h>

#define CANDIDATES_MAXIMUM 64u /* users with one local part that are looked at */

static const struct text postmaster_part = {"postmaster", sizeof "postmaster" - 1};

static size_t at_sign(struct text address) {
    size_t at = address.length;
    while (at > 0 && address.data[at - 1] != '@') {
        at--;
    }
    return at > 0 ? at - 1 : address.length;
}

static enum users_found local_domain(struct lookup *lookup, struct text domain) {
    if (source_refresh(&lookup->main) != SOURCE_OPEN) {
        return USERS_ERROR;
    }
    enum users_found found = users_local_domain(lookup->main.database, domain);
    if (found == USERS_ERROR) {
        log_error("%s: %s", lookup->main.path, database_error(lookup->main.database));
    }
    return found;
}

/* A server without users.db has no users yet. */
static enum users_found find_user(struct lookup *lookup, struct text address, char canonical[ANSWER_ADDRESS_SIZE]) {
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

static enum address_standing standing_of_postmaster(const struct lookup *lookup, char canonical[ANSWER_ADDRESS_SIZE]) {
    (void)text_copy(canonical, ANSWER_ADDRESS_SIZE, text_of(lookup->postmaster));
    return canonical[0] != '\0' ? STANDING_MEMBER : STANDING_UNKNOWN;
}

/* RFC 5321 4.5.1: postmaster is accepted in every local domain, and without one. A user of that name comes first. */
enum address_standing answer_address(struct lookup *lookup, struct text address, char canonical[ANSWER_ADDRESS_SIZE]) {
    size_t at = at_sign(address);
    struct text local = text_first(address, at), domain = text_from(address, at + 1);
    bool postmaster = text_equal_nocase(local, postmaster_part);
    canonical[0] = '\0';
    if (domain.length == 0) {
        return postmaster ? standing_of_postmaster(lookup, canonical) : STANDING_REMOTE;
    }
    enum users_found found = local_domain(lookup, domain);
    if (found != USERS_YES) {
        return found == USERS_NO ? STANDING_REMOTE : STANDING_TEMPFAIL;
    }
    found = find_user(lookup, address, canonical);
    if (found == USERS_YES) {
        return STANDING_MEMBER;
    }
    if (postmaster) {
        return standing_of_postmaster(lookup, canonical);
    }
    return found == USERS_NO ? STANDING_UNKNOWN : STANDING_TEMPFAIL;
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
    enum users_found found = local_domain(candidates->lookup, text_from(text, at_sign(text) + 1));
    (void)updated_at;
    candidates->failed = candidates->failed || found == USERS_ERROR;
    if (found == USERS_YES) {
        candidates->count++;
        (void)text_copy(candidates->account, ANSWER_ADDRESS_SIZE, text);
    }
}

/* The account that a login name means: an address, or a local part that is alone of its kind. */
static enum users_found find_login(struct lookup *lookup, struct text user, char account[ANSWER_ADDRESS_SIZE]) {
    if (at_sign(user) < user.length) {
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

enum login_outcome answer_may_send(struct lookup *lookup, struct text account, struct text address) {
    char canonical[ANSWER_ADDRESS_SIZE];
    if (address.length == 0) {
        return LOGIN_OK;
    }
    switch (answer_address(lookup, address, canonical)) {
    case STANDING_MEMBER:
        return text_equal(text_of(canonical), account) ? LOGIN_OK : LOGIN_REFUSED;
    case STANDING_TEMPFAIL:
        return LOGIN_TEMPFAIL;
    case STANDING_REMOTE:
    case STANDING_UNKNOWN:
        break;
    }
    return LOGIN_REFUSED;
}
