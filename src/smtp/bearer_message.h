/* SPDX-License-Identifier: MIT
 * The client's message of OAUTHBEARER (RFC 7628 3.1) and of XOAUTH2, taken apart. Parsers only: no I/O, nothing
 * allocated. */
#ifndef SMTP_BEARER_MESSAGE_H
#define SMTP_BEARER_MESSAGE_H
#include "base/text.h"

#define BEARER_NAME_SIZE 512
struct bearer {
    char user[BEARER_NAME_SIZE]; /* whom the client says it is; "": nobody */
    struct text token;           /* borrowed from the message; printable, without blanks */
};
/* client-resp = (gs2-header kvsep *kvpair kvsep) / kvsep. False: malformed, without a Bearer token, or with channel
 * binding, which the mechanism does not have. */
bool bearer_parse_oauthbearer(struct text message, struct bearer *bearer);
/* "user=" name ^A "auth=Bearer " token ^A ^A */
bool bearer_parse_xoauth2(struct text message, struct bearer *bearer);
#endif
