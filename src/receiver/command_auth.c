/* SPDX-License-Identifier: MIT
 * AUTH PLAIN (RFC 4616) and LOGIN (RFC 4954), only within TLS. Called by the dispatcher, confined. The password is
 * asked about at the lookup process, appears in no log, and is wiped from this process's memory. */
#include "base/log.h"
#include "base/memory.h"
#include "receiver/command.h"
#include "receiver/dialog.h"
#include <stdlib.h>
#include <string.h>

#define CREDENTIAL_SIZE 1024

struct credentials {
    char bytes[CREDENTIAL_SIZE]; /* decoded; PLAIN: all three, LOGIN: the user */
    char more[CREDENTIAL_SIZE];  /* LOGIN: the password */
    struct text user, password, identity;
};

enum exchange { EXCHANGE_OK, EXCHANGE_REPLIED /* cancelled, malformed, or the session is over */ };

/* Decodes one base64 argument ("=" stands for an empty one, RFC 4954 4). */
static enum exchange decode(struct session *session, struct text encoded, char bytes[CREDENTIAL_SIZE],
                            struct text *decoded) {
    *decoded = (struct text){bytes, 0};
    if (text_equal(encoded, TEXT("*"))) {
        session_reply(session, 501, "5.7.0", "Authentication cancelled");
        return EXCHANGE_REPLIED;
    }
    if (text_equal(encoded, TEXT("=")) || text_base64_decode(encoded, bytes, CREDENTIAL_SIZE, &decoded->length))
        return EXCHANGE_OK;
    session_reply(session, 501, "5.5.2", "Cannot decode the base64 text");
    return EXCHANGE_REPLIED;
}

/* Sends a challenge and decodes the client's answer. */
static enum exchange challenge(struct session *session, const char *text, char bytes[CREDENTIAL_SIZE],
                               struct text *decoded) {
    struct text line;

    session_reply(session, 334, "", "%s", text);
    if (session_read_line(session, &line) != SESSION_LINE)
        return EXCHANGE_REPLIED;
    session->verb = "AUTH";
    session->line_secret = true;
    dialog_note(session->config, " -> ", "(credentials)");
    return decode(session, line, bytes, decoded);
}

/* message = [authzid] NUL authcid NUL passwd (RFC 4616 2) */
static enum exchange read_plain(struct session *session, struct text initial, struct credentials *credentials) {
    struct text message;
    enum exchange exchange = initial.length > 0 ? decode(session, initial, credentials->bytes, &message)
                                                : challenge(session, "", credentials->bytes, &message);

    if (exchange != EXCHANGE_OK)
        return exchange;
    size_t first = text_find(message, '\0');
    struct text rest = text_from(message, first + 1);
    size_t second = text_find(rest, '\0');
    credentials->identity = text_first(message, first);
    credentials->user = text_first(rest, second);
    credentials->password = text_from(rest, second + 1);
    if (first < message.length && second < rest.length)
        return EXCHANGE_OK;
    session_reply(session, 501, "5.5.2", "Malformed PLAIN message");
    return EXCHANGE_REPLIED;
}

/* "VXNlcm5hbWU6" is "Username:", "UGFzc3dvcmQ6" is "Password:". */
static enum exchange read_login(struct session *session, struct text initial, struct credentials *credentials) {
    enum exchange exchange = initial.length > 0
                                 ? decode(session, initial, credentials->bytes, &credentials->user)
                                 : challenge(session, "VXNlcm5hbWU6", credentials->bytes, &credentials->user);

    if (exchange != EXCHANGE_OK)
        return exchange;
    return challenge(session, "UGFzc3dvcmQ6", credentials->more, &credentials->password);
}

static const struct mechanism {
    const char *name;
    enum exchange (*read)(struct session *session, struct text initial, struct credentials *credentials);
} mechanisms[] = {{"PLAIN", read_plain}, {"LOGIN", read_login}};

/* Nobody may act for another: an authorization identity is accepted when it is the user's own. */
static enum login_outcome check(struct session *session, const struct credentials *credentials) {
    char shown[128];

    if (credentials->identity.length > 0 && !text_equal_nocase(credentials->identity, credentials->user))
        return LOGIN_REFUSED;
    if (credentials->user.length == 0 || credentials->password.length == 0)
        return LOGIN_REFUSED;
    enum login_outcome outcome = ask_login(session->start->lookup, credentials->user, credentials->password,
                                           session->account, sizeof session->account);
    if (outcome != LOGIN_OK)
        session->account[0] = '\0';
    log_info("login of %s %s", text_printable(shown, sizeof shown, credentials->user),
             outcome == LOGIN_OK        ? "succeeded"
             : outcome == LOGIN_REFUSED ? "was refused"
                                        : "could not be checked");
    return outcome;
}

/* The operator's rules may refuse whoever knows the password. */
static bool is_login_refused(struct session *session) {
    struct reply reply;
    const struct rule *rule = rule_evaluate(session, RULE_AUTH, &reply);

    if (rule == NULL)
        return false;
    session->account[0] = '\0';
    session_send(session, &reply, rule->name, rule->mercy);
    return true;
}

static void finish(struct session *session, enum login_outcome outcome) {
    struct contact_state state;

    if (outcome == LOGIN_REFUSED)
        session_reply(session, 535, "5.7.8", "Authentication failed");
    else if (outcome == LOGIN_TEMPFAIL)
        session_reply(session, 454, "4.7.0", "Temporary authentication failure");
    else if (!is_login_refused(session)) {
        session->login_tried = false;
        (void)ask_contact_login(session->start->ledger, session->contact_id, session->account, &state);
        session_reply(session, 235, "2.7.0", "Authentication succeeded");
    }
}

static void authenticate(struct session *session, const struct mechanism *mechanism, struct text initial) {
    struct credentials *credentials = memory_new(1, sizeof *credentials);

    if (mechanism->read(session, initial, credentials) == EXCHANGE_OK)
        finish(session, check(session, credentials));
    explicit_bzero(credentials, sizeof *credentials);
    free(credentials);
}

/* auth = "AUTH" SP sasl-mech [SP initial-response] *(CRLF [base64]) [CRLF cancel-response] CRLF */
void command_auth(struct session *session, struct text argument) {
    struct text name, initial;

    command_line_split(argument, &name, &initial);
    if (name.length == 0) {
        session_reply(session, 501, "5.5.4", "AUTH needs a mechanism");
        return;
    }
    for (size_t i = 0; i < sizeof mechanisms / sizeof mechanisms[0]; i++)
        if (text_equal_nocase(name, text_of(mechanisms[i].name))) {
            authenticate(session, &mechanisms[i], initial);
            return;
        }
    session_reply(session, 504, "5.5.4", "authentication mechanism not supported; use PLAIN or LOGIN");
}
