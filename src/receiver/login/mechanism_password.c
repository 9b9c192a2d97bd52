/* SPDX-License-Identifier: MIT
 * PLAIN (RFC 4616) and LOGIN: the client says its password. Called by AUTH within TLS, confined. The password is asked
 * about at the lookup process, appears in no log, and is wiped from this process's memory. */
#include "receiver/login/mechanism.h"
#include <string.h>

#define PASSWORD_MAXIMUM 1024u

/* An empty password is nobody's, and one that is longer than any that can be set is not asked about. */
static enum exchange check(struct session *session, struct login_attempt *attempt, struct text password) {
    attempt->outcome = LOGIN_REFUSED;
    if (attempt->user[0] != '\0' && password.length > 0 && password.length <= PASSWORD_MAXIMUM)
        attempt->outcome = ask_login(session->start->lookup, text_of(attempt->user), password, attempt->account,
                                     sizeof attempt->account);
    explicit_bzero(attempt->message, MECHANISM_MESSAGE_SIZE);
    return EXCHANGE_DONE;
}

static bool take_name(struct text name, char *taken, size_t size) {
    return text_find(name, '\0') == name.length && text_copy(taken, size, name);
}

/* message = [authzid] NUL authcid NUL passwd */
enum exchange mechanism_plain(struct session *session, struct login_attempt *attempt) {
    struct text message;

    if (mechanism_begin(session, attempt, &message) != EXCHANGE_DONE)
        return EXCHANGE_REPLIED;
    size_t first = text_find(message, '\0');
    struct text rest = text_from(message, first + 1);
    size_t second = text_find(rest, '\0');
    if (first == message.length || second == rest.length ||
        !take_name(text_first(message, first), attempt->identity, sizeof attempt->identity) ||
        !take_name(text_first(rest, second), attempt->user, sizeof attempt->user))
        return mechanism_is_malformed(session, "PLAIN");
    return check(session, attempt, text_from(rest, second + 1));
}

/* The challenges are what the first of its kind asked, and clients wait for. */
enum exchange mechanism_login(struct session *session, struct login_attempt *attempt) {
    struct text message;
    enum exchange begun = attempt->initial.length > 0 ? mechanism_begin(session, attempt, &message)
                                                      : mechanism_ask(session, attempt, TEXT("Username:"), &message);

    if (begun != EXCHANGE_DONE)
        return EXCHANGE_REPLIED;
    if (!take_name(message, attempt->user, sizeof attempt->user))
        return mechanism_is_malformed(session, "LOGIN");
    if (mechanism_ask(session, attempt, TEXT("Password:"), &message) != EXCHANGE_DONE)
        return EXCHANGE_REPLIED;
    return check(session, attempt, message);
}
