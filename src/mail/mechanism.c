/* SPDX-License-Identifier: MIT
 * The names of the SASL mechanisms, see mechanism.h. Called by the configuration and receivers; no I/O. */
#include "mail/mechanism.h"

const char *const auth_mechanism_names[AUTH_MECHANISMS] = {
    [MECHANISM_SCRAM_SHA_256_PLUS] = "SCRAM-SHA-256-PLUS",
    [MECHANISM_SCRAM_SHA_256] = "SCRAM-SHA-256",
    [MECHANISM_PLAIN] = "PLAIN",
    [MECHANISM_LOGIN] = "LOGIN",
    [MECHANISM_OAUTHBEARER] = "OAUTHBEARER",
    [MECHANISM_XOAUTH2] = "XOAUTH2",
};

enum auth_mechanism auth_mechanism_find(struct text name) {
    size_t mechanism = 0;

    while (mechanism < AUTH_MECHANISMS && !text_equal_nocase(name, text_of(auth_mechanism_names[mechanism])))
        mechanism++;
    return (enum auth_mechanism)mechanism;
}
