/* SPDX-License-Identifier: MIT
 * Who is a user, who may send as whom. Called by the handlers of lookup.c, as parcelpost-auth, with
 * addresses of strangers. A database that cannot be asked gives the temporary outcome, never "unknown".
 */
#include "lookup/answers.h"
#include "base/log.h"
#include "lookup/alias.h"
#include "lookup/srs_secret.h"
#include "mail/address.h"
#include "store/users.h"
#include <string.h>

void lookup_take_settings(struct lookup *lookup, const struct config *config) {
    lookup->postmaster = config->postmaster != NULL ? config->postmaster : "";
    lookup->delimiter = config->recipient_delimiter;
    lookup->tag_goes_on = config->local_transport != NULL && strcmp(config->local_transport, "lmtp") == 0;
    lookup->transports = config->transports;
    lookup->transport_count = config->transport_count;
    lookup->first_domain = config_main_domain(config);
    lookup->logins = (struct login_source){
        .database = config->login_database, .sql = config->login_query, .milliseconds = config->rules_timeout_ms};
    lookup->scram_iterations = (uint32_t)config->scram_iterations;
    lookup->expansion_maximum = (size_t)config->expansion_maximum;
    srs_secret_read(&lookup->srs, config->srs_domain, config->srs_secret_file);
    source_init(&lookup->main, config->database, DATABASE_MAIN);
    source_init(&lookup->users, config->users_database, DATABASE_USERS);
}

enum users_found local_domain(struct lookup *lookup, struct text domain) {
    if (!source_refresh(&lookup->main)) {
        return USERS_ERROR;
    }
    enum users_found found = users_local_domain(lookup->main.database, domain);
    if (found == USERS_ERROR) {
        log_error("%s: %s", lookup->main.path, database_error(lookup->main.database));
    }
    return found;
}

enum users_found find_user(struct lookup *lookup, struct text address, char canonical[ANSWER_ADDRESS_SIZE]) {
    if (!source_refresh(&lookup->users)) {
        return USERS_ERROR;
    }
    enum users_found found = users_find(lookup->users.database, address, canonical, ANSWER_ADDRESS_SIZE);
    if (found == USERS_ERROR) {
        log_error("%s: %s", lookup->users.path, database_error(lookup->users.database));
    }
    return found;
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
