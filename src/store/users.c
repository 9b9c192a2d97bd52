/* SPDX-License-Identifier: MIT
 * Who is local: the users of users.db and the domains of parcelpost.db. Called by lookup (reading, as parcelpost-auth)
 * and by `parcelpost user` (writing). Addresses come from strangers: they are bound, never text of a statement. Errors
 * are returned; the reason is in database_error. */
#include "store/users.h"
#include "base/clock.h"
#include "mail/address.h"
#include "store/known.h"
#include <string.h>
#include <time.h>

#define KEY_SIZE 512 /* longer than any address that RFC 5321 4.5.3.1 allows */

static bool has_nul(struct text text) {
    return text_find(text, '\0') < text.length;
}

/* Copies an address with its domain in lower case, the local part too when asked for; false when it is none. */
static bool address_key(struct text address, bool lower_local, char key[KEY_SIZE]) {
    if (has_nul(address) || !address_normal(address, key, KEY_SIZE)) {
        return false;
    }
    char *at = strrchr(key, '@');
    text_lower(lower_local || at == NULL ? key : at);
    return at != NULL;
}

/* Runs a query that gives one text or nothing. */
static enum users_found find_text(struct database *database, enum statement_name name, const char *key, char *found,
                                  size_t size) {
    struct sqlite3_stmt *statement = key != NULL ? statement_query(database, name, BINDS(bind_string(key)))
                                                 : statement_query(database, name, BINDS_NONE);
    enum users_found result = USERS_ERROR;
    switch (statement_step(statement)) {
    case STATEMENT_ROW:
        result = text_copy(found, size, text_of(column_string(statement, 0))) ? USERS_YES : USERS_ERROR;
        break;
    case STATEMENT_DONE:
        result = USERS_NO;
        break;
    case STATEMENT_ERROR:
        break;
    }
    statement_end(statement);
    return result;
}

/* Of what every message needs. */
static enum users_found find_known(struct database *database, enum statement_name name, const char *key, char *found,
                                   size_t size) {
    struct text answer;
    switch (known_find(database, name, text_of(key), &answer)) {
    case KNOWN_YES:
        return text_copy(found, size, answer) ? USERS_YES : USERS_ERROR;
    case KNOWN_NO:
        return USERS_NO;
    case KNOWN_NOT:
        break;
    }
    known_ask(database);
    enum users_found result = find_text(database, name, key, found, size);
    known_end(database, name, text_of(key),
              result == USERS_YES  ? KNOWN_YES
              : result == USERS_NO ? KNOWN_NO
                                   : KNOWN_NOT,
              result == USERS_YES ? text_of(found) : TEXT_NONE);
    return result;
}

/* As the address stands, then with its local part in lower case. */
static enum users_found find_address(struct database *users, enum statement_name name, struct text address, char *found,
                                     size_t size) {
    char key[KEY_SIZE], lower[KEY_SIZE];
    if (!address_key(address, false, key)) {
        return USERS_NO;
    }
    enum users_found result = find_known(users, name, key, found, size);
    if (result != USERS_NO) {
        return result;
    }
    (void)address_key(address, true, lower);
    return strcmp(key, lower) == 0 ? USERS_NO : find_known(users, name, lower, found, size);
}

enum users_found users_local_domain(struct database *main, struct text domain) {
    char key[KEY_SIZE], one[8];
    if (domain.length == 0 || has_nul(domain) || !text_copy(key, sizeof key, domain)) {
        return USERS_NO;
    }
    enum users_found found = find_known(main, STATEMENT_USERS_LOCAL_DOMAIN, key, one, sizeof one);
    if (found != USERS_NO || !address_domain_unicode(domain, key, sizeof key)) {
        return found;
    }
    return find_known(main, STATEMENT_USERS_LOCAL_DOMAIN, key, one, sizeof one); /* somebody wrote it as people do */
}

enum users_found users_find(struct database *users, struct text address, char *canonical, size_t size) {
    return find_address(users, STATEMENT_USERS_FIND, address, canonical, size);
}

static enum users_found take_proofs(struct sqlite3_stmt *statement, struct users_proofs *proofs) {
    enum users_found result = USERS_ERROR;
    switch (statement_step(statement)) {
    case STATEMENT_ROW:
        result = text_copy(proofs->hash, sizeof proofs->hash, text_of(column_string(statement, 0))) &&
                         text_copy(proofs->scram, sizeof proofs->scram, text_of(column_string(statement, 1)))
                     ? USERS_YES
                     : USERS_ERROR;
        break;
    case STATEMENT_DONE:
        result = USERS_NO;
        break;
    case STATEMENT_ERROR:
        break;
    }
    statement_end(statement);
    return result;
}

enum users_found users_proofs(struct database *users, struct text login, struct users_proofs *proofs) {
    char stored[KEY_SIZE];
    enum users_found found = users_find(users, login, stored, sizeof stored);
    return found == USERS_YES
               ? take_proofs(statement_query(users, STATEMENT_USERS_PROOFS, BINDS(bind_string(stored))), proofs)
               : found;
}

enum users_found users_some_proofs(struct database *users, const char *mark, struct users_proofs *proofs) {
    enum users_found found =
        take_proofs(statement_query(users, STATEMENT_USERS_SOME_PROOFS, BINDS(bind_string(mark))), proofs);
    return found == USERS_NO && mark[0] != '\0' ? users_some_proofs(users, "", proofs) : found;
}

enum users_found users_secret(struct database *users, char secret[USERS_SECRET_SIZE]) {
    return find_text(users, STATEMENT_USERS_SECRET, NULL, secret, USERS_SECRET_SIZE);
}

bool users_set(struct database *users, struct text address, const char *hash, const char *scram) {
    char key[KEY_SIZE];
    return address_key(address, false, key) && statement_run(users, STATEMENT_USERS_SET,
                                                             BINDS(bind_string(key), bind_string(hash),
                                                                   bind_string(scram), bind_time((int64_t)time(NULL))));
}

enum users_found users_remove(struct database *users, struct text address) {
    char stored[KEY_SIZE];
    enum users_found found = users_find(users, address, stored, sizeof stored);
    if (found != USERS_YES) {
        return found;
    }
    return statement_run(users, STATEMENT_USERS_REMOVE, BINDS(bind_string(stored))) ? USERS_YES : USERS_ERROR;
}

static bool visit_rows(struct sqlite3_stmt *statement, users_visit *visit, void *context) {
    enum statement_result result = statement_step(statement);
    while (result == STATEMENT_ROW) {
        const struct users_row row = {.address = column_string(statement, 0),
                                      .updated_at = column_string(statement, 1),
                                      .has_scram = column_integer(statement, 2) != 0};
        visit(context, &row);
        result = statement_step(statement);
    }
    statement_end(statement);
    return result == STATEMENT_DONE;
}

bool users_list(struct database *users, users_visit *visit, void *context) {
    return visit_rows(statement_query(users, STATEMENT_USERS_LIST, BINDS_NONE), visit, context);
}

bool users_by_local_part(struct database *users, struct text local, unsigned limit, users_visit *visit, void *context) {
    return has_nul(local) ||
           visit_rows(statement_query(users, STATEMENT_USERS_BY_LOCAL, BINDS(bind_text(local), bind_integer(limit))),
                      visit, context);
}
