/* SPDX-License-Identifier: MIT
 * The SASL mechanisms that this server knows, by the names that EHLO announces. Values only; what each does is
 * receiver/login/mechanism.c's. */
#ifndef MAIL_MECHANISM_H
#define MAIL_MECHANISM_H
#include "base/text.h"

/* In the order in which EHLO lists them: the best first. */
enum auth_mechanism {
    MECHANISM_SCRAM_SHA_256_PLUS, /* RFC 7677, bound to the TLS connection */
    MECHANISM_SCRAM_SHA_256,
    MECHANISM_PLAIN, /* RFC 4616 */
    MECHANISM_LOGIN,
    MECHANISM_OAUTHBEARER, /* RFC 7628 */
    MECHANISM_XOAUTH2,     /* what came before it */
    AUTH_MECHANISMS
};
extern const char *const auth_mechanism_names[AUTH_MECHANISMS];
/* AUTH_MECHANISMS when there is none of this name. */
enum auth_mechanism auth_mechanism_find(struct text name);
#endif
