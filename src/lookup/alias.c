/* SPDX-License-Identifier: MIT
 * Following names through aliases, files and domains to mailboxes, as alias.h says. Called by lookup.c and answers.c,
 * as parcelpost-auth, with addresses of strangers; what rows and files say is the operator's. Depth, steps and number
 * are bounded: circles and explosions end with a logged error. */
#include "lookup/alias.h"
#include "base/log.h"
#include "lookup/alias_file.h"
#include "lookup/client_lookup.h"
#include "mail/address.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DEPTH_MAXIMUM 10u
#define STEPS_MAXIMUM 40000u
#define MISSING_TOLD 10u            /* lines in the log about one address */
#define ROWS_MAXIMUM (1024u * 1024) /* bytes of one address's rows */

struct follow {
    struct lookup *lookup;
    struct targets *targets;
    struct text chain[DEPTH_MAXIMUM]; /* the keys whose rows are being followed */
    unsigned depth, steps, missing;
    char domain[ADDRESS_DOMAIN_MAXIMUM + 1]; /* the last one that was asked about, and what it is: lists have few */
    enum users_found domain_found;
    bool trouble; /* something on the way could not be looked up or is set up wrongly */
};

static enum address_standing follow_address(struct follow *follow, struct text address, struct text owner,
                                            char canonical[ANSWER_ADDRESS_SIZE]);

/* Nothing is delivered until the operator has seen to it. */
static enum address_standing set_up_wrongly(struct follow *follow, struct text key, const char *what,
                                            struct text target) {
    log_error("alias %.*s: %s: %.*s", TEXT_ARGS(key), what, TEXT_ARGS(target));
    follow->trouble = true;
    return STANDING_TEMPFAIL;
}

static bool transport_is_known(const struct lookup *lookup, struct text name) {
    for (size_t i = 0; i < lookup->transport_count; i++) {
        if (text_equal(text_of(lookup->transports[i].name), name)) {
            return true;
        }
    }
    return false;
}

/* In the chain of keys: the last one means "itself", one before it a circle. */
enum place { PLACE_NEW, PLACE_SELF, PLACE_CIRCLE };

static enum place place_of(const struct follow *follow, struct text key) {
    for (unsigned i = 0; i < follow->depth; i++) {
        if (text_equal_nocase(follow->chain[i], key)) {
            return i + 1 == follow->depth ? PLACE_SELF : PLACE_CIRCLE;
        }
    }
    return PLACE_NEW;
}

/* One that leads somewhere makes it a member; else a failure that may pass is better than "no such user". */
static enum address_standing either(enum address_standing a, enum address_standing b) {
    if (a == STANDING_MEMBER || b == STANDING_MEMBER || b == STANDING_RETURN) {
        return STANDING_MEMBER;
    }
    return a == STANDING_TEMPFAIL || b == STANDING_TEMPFAIL ? STANDING_TEMPFAIL : STANDING_UNKNOWN;
}

/* A target that is an address: followed where it is ours, else forwarded. */
static enum address_standing add_address(struct follow *follow, struct text key, struct text target,
                                         struct text owner) {
    char canonical[ANSWER_ADDRESS_SIZE], normal[2 * ADDRESS_SIZE];
    struct address parsed;
    if (address_parse(target, true, &parsed) != ADDRESS_OK) {
        return set_up_wrongly(follow, key, "leads to what is no address", target);
    }
    if (text_has_eight_bit(target)) { /* a row or file may have U-labels */
        target = text_of(address_text(&parsed, normal, sizeof normal));
    }
    enum address_standing standing = follow_address(follow, target, owner, canonical);
    if (standing == STANDING_REMOTE) {
        targets_add(follow->targets, DELIVERY_REMOTE, target, owner);
        standing = STANDING_MEMBER;
    } else if (standing == STANDING_UNKNOWN && follow->missing++ < MISSING_TOLD) {
        log_warn("alias %.*s: %.*s is no user here, and left out", TEXT_ARGS(key), TEXT_ARGS(target));
    }
    return standing;
}

static enum address_standing add_file(struct follow *follow, struct text key, struct text path, struct text owner) {
    char name[ANSWER_ADDRESS_SIZE];
    struct buffer content;
    struct text address;
    enum address_standing standing = STANDING_UNKNOWN;
    buffer_init(&content, ALIAS_FILE_MAXIMUM);
    if (!text_copy(name, sizeof name, path) || !alias_file_read(name, &content)) {
        follow->trouble = true;
    }
    struct text rest = buffer_text(&content);
    while (!follow->trouble && !follow->targets->overflow && alias_file_next(&rest, &address)) {
        standing = either(standing, add_address(follow, key, address, owner));
    }
    buffer_free(&content);
    return follow->trouble ? STANDING_TEMPFAIL : standing;
}

static enum address_standing add_target(struct follow *follow, struct text key, struct text local, struct text target,
                                        struct text owner) {
    char same_part[ANSWER_ADDRESS_SIZE];
    switch (target.length > 0 ? target.data[0] : '\0') {
    case '|':
        if (!transport_is_known(follow->lookup, text_from(target, 1))) {
            return set_up_wrongly(follow, key, "leads to a transport that is not configured", target);
        }
        targets_add(follow->targets, DELIVERY_LOCAL, target, owner);
        return STANDING_MEMBER;
    case '/':
        return add_file(follow, key, target, owner);
    case '=':
        if (key.data[0] == '@' || target.length > 1) {
            return set_up_wrongly(follow, key, "only an address is a mailbox, not", target);
        }
        targets_add(follow->targets, DELIVERY_LOCAL, key, owner);
        return STANDING_MEMBER;
    case '@':
        (void)snprintf(same_part, sizeof same_part, "%.*s%.*s", TEXT_ARGS(local), TEXT_ARGS(target));
        return add_address(follow, key, text_of(same_part), owner);
    default:
        return add_address(follow, key, target, owner);
    }
}

static enum address_standing follow_rows(struct follow *follow, struct text key, struct text local, struct text rows,
                                         struct text owner) {
    enum address_standing standing = STANDING_UNKNOWN;
    struct text row, target;
    if (follow->depth == DEPTH_MAXIMUM) {
        return set_up_wrongly(follow, key, "too many aliases behind one another, from", follow->chain[0]);
    }
    follow->chain[follow->depth++] = key;
    while (!follow->trouble && !follow->targets->overflow && text_split(&rows, '\n', &row)) {
        target = TEXT_NONE; /* a row that somebody edited may have empty lines */
        (void)text_split(&row, '\t', &target);
        standing = either(standing, add_target(follow, key, local, target, row.length > 0 ? row : owner));
    }
    follow->depth--;
    return follow->trouble ? STANDING_TEMPFAIL : standing;
}

/* False when the key has no rows, or is being followed: then it means its mailbox. */
static bool follow_key(struct follow *follow, struct text key, struct text local, struct text owner,
                       enum address_standing *standing) {
    struct buffer rows;
    if (place_of(follow, key) != PLACE_NEW) {
        return false;
    }
    buffer_init(&rows, ROWS_MAXIMUM);
    enum aliases_found found = client_lookup(follow->lookup, key, (unsigned)(ROWS_MAXIMUM / 16), &rows);
    if (found == ALIASES_ERROR) {
        follow->trouble = true;
        *standing = STANDING_TEMPFAIL;
    } else if (found == ALIASES_YES) {
        *standing = follow_rows(follow, key, local, buffer_text(&rows), owner);
    }
    buffer_free(&rows);
    return found != ALIASES_NO;
}

/* The mailbox of this very name. tagged: what the client wrote, where that goes to the mailbox as it is. */
static bool follow_user(struct follow *follow, struct text address, struct text tag, struct text owner,
                        enum address_standing *standing, char canonical[ANSWER_ADDRESS_SIZE]) {
    char tagged[2 * ANSWER_ADDRESS_SIZE];
    switch (find_user(follow->lookup, address, canonical)) {
    case USERS_NO:
        return false;
    case USERS_ERROR:
        follow->trouble = true;
        *standing = STANDING_TEMPFAIL;
        return true;
    case USERS_YES:
        break;
    }
    struct text user = text_of(canonical);
    size_t at = address_at(user);
    (void)snprintf(tagged, sizeof tagged, "%.*s%.*s%s", TEXT_ARGS(text_first(user, at)), TEXT_ARGS(tag),
                   canonical + at);
    targets_add(follow->targets, DELIVERY_LOCAL, text_of(tagged), owner);
    *standing = STANDING_MEMBER;
    return true;
}

/* "coco+shop@…" with "+": rows and mailbox of "coco@…"; the tag goes on to an LMTP server, which knows what it is for.
 */
static bool follow_tagged(struct follow *follow, struct text local, struct text domain, struct text owner,
                          enum address_standing *standing, char canonical[ANSWER_ADDRESS_SIZE]) {
    char base[ANSWER_ADDRESS_SIZE];
    const char *delimiter = follow->lookup->delimiter;
    size_t end = delimiter != NULL && delimiter[0] != '\0' ? text_find(local, delimiter[0]) : local.length;
    if (end == 0 || end >= local.length || local.data[0] == '"') {
        return false;
    }
    (void)snprintf(base, sizeof base, "%.*s@%.*s", TEXT_ARGS(text_first(local, end)), TEXT_ARGS(domain));
    struct text tag = follow->lookup->tag_goes_on ? text_from(local, end) : TEXT_NONE;
    return follow_key(follow, text_of(base), text_first(local, end), owner, standing) ||
           follow_user(follow, text_of(base), tag, owner, standing, canonical);
}

/* RFC 5321 4.5.1: it is always there. Where it leads nowhere, the transport has the last word. */
static enum address_standing follow_postmaster(struct follow *follow, struct text owner,
                                               char canonical[ANSWER_ADDRESS_SIZE]) {
    struct text postmaster = text_of(follow->lookup->postmaster);
    char ignored[ANSWER_ADDRESS_SIZE];
    size_t before = follow->targets->count;
    bool trouble = follow->trouble;
    (void)text_copy(canonical, ANSWER_ADDRESS_SIZE, postmaster);
    if (postmaster.length == 0) {
        return STANDING_UNKNOWN;
    }
    if (place_of(follow, TEXT("postmaster")) == PLACE_NEW && follow->depth < DEPTH_MAXIMUM) {
        follow->chain[follow->depth++] = TEXT("postmaster");
        enum address_standing standing = follow_address(follow, postmaster, owner, ignored);
        if (standing == STANDING_REMOTE) {
            targets_add(follow->targets, DELIVERY_REMOTE, postmaster, owner);
        }
        follow->depth--;
    }
    if (follow->targets->count == before) {
        follow->trouble = trouble;
        targets_add(follow->targets, DELIVERY_LOCAL, postmaster, owner);
    }
    return STANDING_MEMBER;
}

/* What comes back to a sender that was rewritten. Never by a name of somebody else's making. */
static bool follow_return(struct follow *follow, struct text address, struct text owner,
                          enum address_standing *standing, char canonical[ANSWER_ADDRESS_SIZE]) {
    char original[SRS_ADDRESS_SIZE], ignored[ANSWER_ADDRESS_SIZE];
    switch (srs_reverse(&follow->lookup->srs, address, (int64_t)time(NULL), original)) {
    case SRS_NONE:
        return false;
    case SRS_FORGED:
    case SRS_OLD:
        *standing = STANDING_UNKNOWN;
        return true;
    case SRS_BACK:
        break;
    }
    (void)text_copy(canonical, ANSWER_ADDRESS_SIZE, text_of(original));
    *standing = follow_address(follow, text_of(original), owner, ignored);
    if (*standing == STANDING_REMOTE) {
        targets_add(follow->targets, DELIVERY_REMOTE, text_of(original), owner);
    }
    *standing = *standing == STANDING_REMOTE || *standing == STANDING_MEMBER ? STANDING_RETURN : *standing;
    return true;
}

/* Whoever else in the domains below one, the closest first, then in any. */
static bool follow_patterns(struct follow *follow, struct text domain, struct text local, struct text owner,
                            enum address_standing *standing) {
    char key[ANSWER_ADDRESS_SIZE];
    for (size_t dot = text_find(domain, '.'); dot < domain.length; dot = text_find(domain, '.')) {
        (void)snprintf(key, sizeof key, "@%.*s", TEXT_ARGS(text_from(domain, dot)));
        if (follow_key(follow, text_of(key), local, owner, standing)) {
            return true;
        }
        domain = text_from(domain, dot + 1);
    }
    return follow_key(follow, TEXT("@*"), local, owner, standing);
}

/* In a domain of ours. */
static enum address_standing follow_local(struct follow *follow, struct text address, struct text owner,
                                          char canonical[ANSWER_ADDRESS_SIZE]) {
    size_t at = address_at(address);
    struct text local = text_first(address, at), domain = text_from(address, at + 1);
    enum address_standing standing = STANDING_UNKNOWN;
    (void)text_copy(canonical, ANSWER_ADDRESS_SIZE, address);
    if (follow_key(follow, address, local, owner, &standing) ||
        follow_user(follow, address, TEXT_NONE, owner, &standing, canonical) ||
        follow_tagged(follow, local, domain, owner, &standing, canonical)) {
        return standing;
    }
    if (text_equal_nocase(local, TEXT("postmaster"))) {
        return follow_postmaster(follow, owner, canonical);
    }
    struct text everybody = text_from(address, at);
    if (!follow_key(follow, everybody, local, owner, &standing) &&
        !follow_patterns(follow, domain, local, owner, &standing) &&
        (place_of(follow, address) == PLACE_CIRCLE || place_of(follow, everybody) == PLACE_CIRCLE)) {
        log_error("alias %.*s goes in a circle: %.*s is left out", TEXT_ARGS(follow->chain[0]), TEXT_ARGS(address));
        standing = STANDING_TEMPFAIL;
    }
    return standing;
}

static enum users_found find_domain(struct follow *follow, struct text domain) {
    if (!text_equal_nocase(text_of(follow->domain), domain)) {
        follow->domain_found = local_domain(follow->lookup, domain);
        if (!text_copy(follow->domain, sizeof follow->domain, domain)) {
            follow->domain[0] = '\0';
        }
    }
    return follow->domain_found;
}

static enum address_standing follow_address(struct follow *follow, struct text address, struct text owner,
                                            char canonical[ANSWER_ADDRESS_SIZE]) {
    size_t at = address_at(address);
    struct text domain = text_from(address, at + 1);
    enum address_standing standing;
    canonical[0] = '\0';
    if (++follow->steps > STEPS_MAXIMUM) {
        return set_up_wrongly(follow, follow->chain[0], "too many steps, at", address);
    }
    if (domain.length == 0) {
        bool postmaster = text_equal_nocase(address, TEXT("postmaster"));
        return postmaster ? follow_postmaster(follow, owner, canonical) : STANDING_REMOTE;
    }
    if (follow_return(follow, address, owner, &standing, canonical)) {
        return standing;
    }
    switch (find_domain(follow, domain)) {
    case USERS_NO:
        return STANDING_REMOTE;
    case USERS_ERROR:
        follow->trouble = true;
        return STANDING_TEMPFAIL;
    case USERS_YES:
        break;
    }
    return follow_local(follow, address, owner, canonical);
}

enum address_standing alias_follow(struct targets *targets, struct text address, char canonical[ANSWER_ADDRESS_SIZE]) {
    struct follow follow = {.lookup = targets->lookup, .targets = targets};
    enum address_standing standing = follow_address(&follow, address, TEXT_NONE, canonical);
    if (targets->overflow) {
        log_error("alias %.*s leads to more than expansion_maximum (%zu) addresses", TEXT_ARGS(address),
                  targets->maximum);
    }
    if (follow.trouble || targets->overflow || targets->failed) {
        standing = STANDING_TEMPFAIL;
    }
    if (standing != STANDING_MEMBER && standing != STANDING_RETURN) {
        targets_free(targets);
        canonical[0] = '\0';
    }
    return standing;
}
