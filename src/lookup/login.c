/* SPDX-License-Identifier: MIT
 * Who may log in. Called by the handlers of lookup.c, as parcelpost-auth, with names, passwords and proofs of
 * strangers. StoredKey and ServerKey (RFC 5802 3) are used here and never leave this process. Whether somebody exists
 * shows in no answer: for who does not, the same work is done with the cost of somebody else's password and a salt made
 * of his name. A database that cannot be asked gives the temporary outcome. */
#include "lookup/login.h"
#include "base/log.h"
#include "base/memory.h"
#include "lookup/password.h"
#include "mail/address.h"
#include "mail/saslprep.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CANONICAL_SIZE (SASLPREP_SIZE + ANSWER_ADDRESS_SIZE)
#define CANDIDATES_MAXIMUM 64u /* users with one local part that are looked at */

struct login {                /* what is known of who wants in */
    enum users_found found;   /* is it somebody */
    char name[SASLPREP_SIZE]; /* as prepared, or as given when that cannot be */
    char account[ANSWER_ADDRESS_SIZE];
    char secret[USERS_SECRET_SIZE]; /* what false salts are made of */
    struct users_proofs own;        /* empty: nobody's */
    struct users_proofs other;      /* some user's, whose cost the check of nobody has */
};

/* ---- finding the account ---- */

struct candidates { /* users with one local part, in local domains */
    struct lookup *lookup;
    char *account;
    unsigned count;
    bool failed;
};

static void take_candidate(void *context, const struct users_row *row) {
    struct candidates *candidates = context;
    struct text text = text_of(row->address);
    enum users_found found = local_domain(candidates->lookup, address_domain_of(text));
    candidates->failed = candidates->failed || found == USERS_ERROR;
    if (found == USERS_YES) {
        candidates->count++;
        (void)text_copy(candidates->account, ANSWER_ADDRESS_SIZE, text);
    }
}

/* The account that a login name means: an address, or a local part that is alone of its kind. */
static enum users_found find_account(struct lookup *lookup, struct text user, char account[ANSWER_ADDRESS_SIZE]) {
    if (address_at(user) < user.length) {
        return find_user(lookup, user, account);
    }
    if (!source_refresh(&lookup->users)) {
        return USERS_ERROR;
    }
    struct candidates candidates = {.lookup = lookup, .account = account};
    if (!users_by_local_part(lookup->users.database, user, CANDIDATES_MAXIMUM, take_candidate, &candidates) ||
        candidates.failed) {
        return USERS_ERROR;
    }
    return candidates.count == 1 ? USERS_YES : USERS_NO;
}

/* However a name is written, it is one name: as far as can be told without asking who has it. */
static void make_canonical(const struct lookup *lookup, struct login *login, char canonical[CANONICAL_SIZE]) {
    char given[CANONICAL_SIZE];
    bool whole = address_at(text_of(login->name)) < strlen(login->name);
    (void)snprintf(given, sizeof given, "%s%s%s", login->name, whole ? "" : "@", whole ? "" : lookup->first_domain);
    if (!address_normal(text_of(given), canonical, CANONICAL_SIZE)) { /* as users are looked for */
        (void)text_copy(canonical, CANONICAL_SIZE, text_of(given));
    }
    text_lower(canonical);
}

static void find_secret(struct lookup *lookup, struct login *login) {
    bool open = source_refresh(&lookup->users);
    if (!open || users_secret(lookup->users.database, login->secret) != USERS_YES) {
        login->secret[0] = '\0';
    }
}

/* The user who stands in for a name is the same each time, so that what the name costs does not change. */
static void find_other(struct lookup *lookup, struct login *login) {
    char mark[3], canonical[CANONICAL_SIZE];
    struct scram_verifier chosen;
    make_canonical(lookup, login, canonical);
    find_secret(lookup, login);
    scram_make_false(text_of(login->secret), text_of(canonical), 1, &chosen);
    (void)snprintf(mark, sizeof mark, "%c%c", 'a' + chosen.server_key[0] % 26, 'a' + chosen.server_key[1] % 26);
    (void)users_some_proofs(lookup->users.database, mark, &login->other);
}

/* Nobody's check costs what the last one of somebody did. The iterations of SCRAM are told, and must not change: they
 * are those of the configuration. */
static void find_elsewhere(struct lookup *lookup, struct login *login) {
    login->found =
        login_source_find(&lookup->logins, text_of(login->name), login->account, sizeof login->account, &login->own);
    login->other = lookup->logins.seen;
    login->other.scram[0] = '\0';
    if (login->found != USERS_YES) {
        login->account[0] = '\0';
        login->own = (struct users_proofs){.hash = ""};
    }
}

static void find_login(struct lookup *lookup, struct text user, struct login *login) {
    *login = (struct login){.found = USERS_NO};
    if (!saslprep(user, login->name)) {
        (void)text_copy(login->name, sizeof login->name, user);
    }
    if (login_source_is_used(&lookup->logins)) {
        find_secret(lookup, login);
        find_elsewhere(lookup, login);
        return;
    }
    login->found = find_account(lookup, text_of(login->name), login->account);
    if (login->found == USERS_ERROR || lookup->users.database == NULL) {
        return;
    }
    find_other(lookup, login);
    if (login->found == USERS_NO) {
        login->account[0] = '\0';
    } else if (users_proofs(lookup->users.database, text_of(login->account), &login->own) != USERS_YES) {
        login->found = USERS_ERROR;
    }
}

static void forget(struct login *login) {
    explicit_bzero(login, sizeof *login);
}

/* ---- by password ---- */

/* Hashes of earlier versions were made of the password as it was typed. How often crypt runs depends on the password
 * alone. */
static enum password_outcome check_both(struct text password, const char *hash) {
    char prepared[SASLPREP_SIZE];
    bool differs = saslprep(password, prepared) && !text_equal(text_of(prepared), password);
    enum password_outcome outcome = password_check(password, hash);
    if (differs) {
        enum password_outcome other = password_check(text_of(prepared), hash);
        outcome = outcome == PASSWORD_WRONG ? other : outcome;
    }
    explicit_bzero(prepared, sizeof prepared);
    return outcome;
}

static enum login_outcome check_password(struct lookup *lookup, const struct login *login, struct text password) {
    if (login->found == USERS_NO) {
        (void)check_both(password, password_usable(login->other.hash));
        return LOGIN_REFUSED;
    }
    switch (check_both(password, login->own.hash)) {
    case PASSWORD_RIGHT:
        return LOGIN_OK;
    case PASSWORD_WRONG:
        return LOGIN_REFUSED;
    case PASSWORD_UNKNOWN_METHOD:
        break;
    }
    log_error("%s: the hash of %s is of an unknown method; accepted: $5$, $6$, $y$, $2b$; try: parcelpost user "
              "passwd %s",
              login_source_is_used(&lookup->logins) ? lookup->logins.database : lookup->users.path, login->account,
              login->account);
    (void)check_both(password, password_usable(login->other.hash)); /* it would tell that he exists: by word and time */
    return LOGIN_REFUSED;
}

enum login_outcome answer_login(struct lookup *lookup, struct text user, struct text password,
                                char account[ANSWER_ADDRESS_SIZE]) {
    struct login *login = memory_new(1, sizeof *login);
    find_login(lookup, user, login);
    enum login_outcome outcome = login->found == USERS_ERROR ? LOGIN_TEMPFAIL : check_password(lookup, login, password);
    (void)text_copy(account, ANSWER_ADDRESS_SIZE, text_of(login->account));
    forget(login);
    free(login);
    return outcome;
}

/* ---- by SCRAM ---- */

/* The verifier of the name; true when it is the user's own. A made-up one is made in either case: it takes time. */
static bool make_verifier(const struct lookup *lookup, struct login *login, struct scram_verifier *verifier) {
    char canonical[CANONICAL_SIZE];
    struct scram_verifier own, other;
    bool has_own = scram_parse(text_of(login->own.scram), &own);
    bool has_other = scram_parse(text_of(login->other.scram), &other);
    uint32_t iterations = has_other ? other.iterations : lookup->scram_iterations;
    make_canonical(lookup, login, canonical);
    scram_make_false(text_of(login->secret), text_of(canonical), iterations, verifier);
    if (has_own) {
        *verifier = own;
    }
    explicit_bzero(&own, sizeof own);
    explicit_bzero(&other, sizeof other);
    return has_own;
}

enum login_outcome answer_scram_begin(struct lookup *lookup, struct text user, struct scram_verifier *verifier) {
    struct login *login = memory_new(1, sizeof *login);
    find_login(lookup, user, login);
    enum login_outcome outcome = login->found == USERS_ERROR ? LOGIN_TEMPFAIL : LOGIN_OK;
    (void)make_verifier(lookup, login, verifier);
    forget(login);
    free(login);
    return outcome;
}

enum login_outcome answer_scram_finish(struct lookup *lookup, const struct lookup_scram_finish *question,
                                       char account[ANSWER_ADDRESS_SIZE], unsigned char signature[SCRAM_KEY_SIZE]) {
    struct scram_verifier verifier;
    struct login *login = memory_new(1, sizeof *login);
    find_login(lookup, question->user, login);
    bool own = make_verifier(lookup, login, &verifier);
    bool right = scram_check(&verifier, question->auth_message, question->proof, signature);
    enum login_outcome outcome = login->found == USERS_ERROR ? LOGIN_TEMPFAIL : own && right ? LOGIN_OK : LOGIN_REFUSED;
    (void)text_copy(account, ANSWER_ADDRESS_SIZE, text_of(login->account));
    explicit_bzero(&verifier, sizeof verifier);
    forget(login);
    free(login);
    return outcome;
}
