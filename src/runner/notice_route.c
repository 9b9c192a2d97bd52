/* SPDX-License-Identifier: MIT
 * Where those who get notices read them; see notice_route.h. Called by the runner with addresses from the
 * configuration, the table of aliases and envelopes. What it follows itself is simpler than lookup's way, as it does
 * not see who is a user: no files and catch-alls; what it cannot follow stays the address it is, and the transport has
 * the last word. A database error is the same. */
#include "runner/notice_route.h"
#include "mail/address.h"
#include "store/aliases.h"
#include "store/users.h"
#include <stdio.h>
#include <string.h>

#define DEPTH_MAXIMUM 5
#define ROWS_MAXIMUM 16u /* targets of one alias */
#define ROWS_BYTES (16u * 1024)
#define BASE_SIZE 1024

struct following {
    const struct config *config;
    struct database *database;
    struct buffer *targets;
    unsigned depth;
};

static void follow(struct following *following, struct text address);

static bool is_ours(const struct following *following, struct text address) {
    if (address_at(address) == address.length) {
        return true; /* <postmaster> */
    }
    struct text domain = address_domain_of(address);
    return config_domain_is_local(following->config, domain) ||
           users_local_domain(following->database, domain) == USERS_YES;
}

/* Up to a blank that is in no quoted local part (RFC 5321 4.1.2). closed: no quotes are left open. */
static size_t word_length(struct text text, bool *closed) {
    size_t at = 0;
    *closed = true;
    for (; at < text.length && (!*closed || text.data[at] != ' '); at++) {
        if (text.data[at] == '"') {
            *closed = !*closed;
        } else if (text.data[at] == '\\' && !*closed && at + 1 < text.length) {
            at++;
        }
    }
    return at;
}

bool notice_route_next(struct text *targets, struct text *one) {
    bool closed;
    size_t length = word_length(*targets, &closed);
    *one = text_first(*targets, length);
    *targets = text_from(*targets, length + 1);
    return length > 0;
}

static void add(struct following *following, const char *kind, struct text target) {
    bool closed;
    if (word_length(target, &closed) == target.length && closed) {
        (void)buffer_format(following->targets, "%s%s:%.*s", following->targets->length > 0 ? " " : "", kind,
                            TEXT_ARGS(target));
    }
}

/* False when there are none. */
static bool follow_rows(struct following *following, struct text address) {
    struct buffer rows;
    struct text rest, row, target;
    buffer_init(&rows, ROWS_BYTES);
    bool found = following->depth < DEPTH_MAXIMUM &&
                 aliases_targets(following->database, address, ROWS_MAXIMUM, &rows) == ALIASES_YES;
    rest = found ? buffer_text(&rows) : TEXT_NONE;
    following->depth++;
    while (text_split(&rest, '\n', &row)) {
        target = TEXT_NONE; /* a row that somebody edited may have empty lines */
        (void)text_split(&row, '\t', &target);
        if (text_equal_nocase(target, address) || (target.length > 0 && target.data[0] == '|')) {
            add(following, "local", target);
        } else if (target.length > 0 && target.data[0] != '/' && target.data[0] != '@') {
            follow(following, target);
        }
    }
    following->depth--;
    buffer_free(&rows);
    return found;
}

/* RFC 5321 4.5.1: of every domain of ours. */
static bool is_postmaster(const struct following *following, struct text address) {
    struct text local = text_first(address, text_find(address, '@'));
    return text_equal_nocase(local, TEXT("postmaster")) &&
           !text_equal_nocase(address, text_of(following->config->postmaster));
}

/* "user+tag" is user, as lookup has it; an LMTP server gets the tag, too, and knows what it is for. */
static bool follow_tagged(struct following *following, struct text address) {
    const char *delimiter = following->config->recipient_delimiter, *transport = following->config->local_transport;
    size_t at = address_at(address);
    size_t end = delimiter != NULL && delimiter[0] != '\0' ? text_find(address, delimiter[0]) : at;
    char base[BASE_SIZE];
    if (end == 0 || end >= at || address.data[0] == '"' || address.length >= sizeof base) {
        return false;
    }
    snprintf(base, sizeof base, "%.*s%.*s", TEXT_ARGS(text_first(address, end)), TEXT_ARGS(text_from(address, at)));
    if (transport == NULL || strcmp(transport, "lmtp") != 0) {
        follow(following, text_of(base));
    } else if (!follow_rows(following, text_of(base))) {
        add(following, "local", address);
    }
    return true;
}

static void follow(struct following *following, struct text address) {
    if (!is_ours(following, address)) {
        add(following, "remote", address);
    } else if (follow_rows(following, address) || follow_tagged(following, address)) {
        return;
    } else if (is_postmaster(following, address)) {
        follow(following, text_of(following->config->postmaster));
    } else {
        add(following, "local", address);
    }
}

void notice_route(const struct config *config, struct database *database, const char *address, struct buffer *targets) {
    struct following following = {.config = config, .database = database, .targets = targets};
    size_t before = targets->length;
    follow(&following, text_of(address));
    if (targets->length == before) {
        add(&following, is_ours(&following, text_of(address)) ? "local" : "remote", text_of(address));
    }
}

bool notice_route_of_owner(struct text owner_targets, const char *owner, struct buffer *targets) {
    const struct text mark = TEXT("owner:");
    size_t before = targets->length;
    struct text one;
    bool his = false;
    while (notice_route_next(&owner_targets, &one)) {
        if (text_starts_nocase(one, mark)) {
            his = text_equal(text_from(one, mark.length), text_of(owner));
        } else if (his) {
            (void)buffer_format(targets, "%s%.*s", targets->length > before ? " " : "", TEXT_ARGS(one));
        }
    }
    return targets->length > before;
}
