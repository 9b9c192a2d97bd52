/* SPDX-License-Identifier: MIT
 * Parsing bearer tokens' messages, see bearer_message.h. Called by receivers, confined, on what anybody sent as a
 * login; fails only by return value. */
#include "smtp/bearer_message.h"

#define SEPARATOR '\x01'

/* b64token of RFC 6750 2.1, and no more than what a line of text may hold. */
static bool is_token(struct text token) {
    for (size_t i = 0; i < token.length; i++)
        if (token.data[i] <= ' ' || token.data[i] > '~')
            return false;
    return token.length > 0;
}

static bool take_user(struct text name, struct bearer *bearer) {
    for (size_t i = 0; i < name.length; i++)
        if ((unsigned char)name.data[i] < ' ' || name.data[i] == 0x7f)
            return false;
    return text_is_utf8(name) && text_copy(bearer->user, sizeof bearer->user, name);
}

/* *(key "=" value ^A) ^A; what is not auth, as host and port, is passed over. */
static bool take_pairs(struct text rest, struct bearer *bearer) {
    static const char scheme[] = "auth=Bearer ";
    struct text pair;

    while (rest.length > 0 && rest.data[0] != SEPARATOR && text_split(&rest, SEPARATOR, &pair))
        if (text_starts_nocase(pair, TEXT("auth=Bearer ")))
            bearer->token = text_trim(text_from(pair, sizeof scheme - 1));
    return rest.length == 1 && is_token(bearer->token);
}

bool bearer_parse_oauthbearer(struct text message, struct bearer *bearer) {
    struct text header, flag, identity, rest = message;

    *bearer = (struct bearer){.token = TEXT_NONE};
    if (!text_split(&rest, SEPARATOR, &header) || !text_split(&header, ',', &flag) ||
        !(text_equal(flag, TEXT("n")) || text_equal(flag, TEXT("y"))))
        return false;
    if (!text_ends_nocase(header, TEXT(",")))
        return false;
    identity = text_first(header, header.length - 1);
    if (identity.length > 0 && !text_starts_nocase(identity, TEXT("a=")))
        return false;
    return take_user(text_from(identity, 2), bearer) && take_pairs(rest, bearer);
}

bool bearer_parse_xoauth2(struct text message, struct bearer *bearer) {
    struct text user, rest = message;

    *bearer = (struct bearer){.token = TEXT_NONE};
    return text_split(&rest, SEPARATOR, &user) && text_starts_nocase(user, TEXT("user=")) &&
           take_user(text_from(user, sizeof "user=" - 1), bearer) && take_pairs(rest, bearer);
}
