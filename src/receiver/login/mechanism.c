/* SPDX-License-Identifier: MIT
 * The table of mechanisms, and the messages of an exchange in base64 (RFC 4954 4). Called by AUTH and EHLO, confined,
 * on bytes from anybody: what the client sends is bounded, appears in no log, and is wiped after its use. */
#include "receiver/login/mechanism.h"
#include "receiver/dialog.h"
#include "receiver/login/dovecot.h"
#include <stdio.h>
#include <string.h>

const struct mechanism_row mechanism_rows[AUTH_MECHANISMS] = {
    [MECHANISM_SCRAM_SHA_256_PLUS] = {.shown = "AUTH SCRAM-SHA-256-PLUS (credentials)", .lead = mechanism_scram_plus},
    [MECHANISM_SCRAM_SHA_256] = {.shown = "AUTH SCRAM-SHA-256 (credentials)", .lead = mechanism_scram},
    [MECHANISM_PLAIN] = {.shown = "AUTH PLAIN (credentials)", .lead = mechanism_plain},
    [MECHANISM_LOGIN] = {.shown = "AUTH LOGIN (credentials)", .lead = mechanism_login},
    [MECHANISM_OAUTHBEARER] = {.shown = "AUTH OAUTHBEARER (credentials)",
                               .lead = mechanism_oauthbearer,
                               .refuse = mechanism_bearer_refuse,
                               .token = true},
    [MECHANISM_XOAUTH2] = {.shown = "AUTH XOAUTH2 (credentials)",
                           .lead = mechanism_xoauth2,
                           .refuse = mechanism_bearer_refuse,
                           .token = true},
};

/* Tokens are Dovecot's too, unless the operator has named somebody else for them. */
static bool is_dovecots(const struct session *session, enum auth_mechanism mechanism) {
    return session->config->auth_backend == AUTH_DOVECOT &&
           !(mechanism_rows[mechanism].token && session->config->oauth_check[0] != '\0');
}

void mechanism_find_out(struct session *session) {
    const struct config *config = session->config;
    uint32_t dovecots = 0;

    if (session->mechanisms_known)
        return;
    if (config->auth_backend == AUTH_DOVECOT)
        dovecots = dovecot_mechanisms(session);
    for (size_t i = 0; i < AUTH_MECHANISMS; i++) {
        bool ours = !mechanism_rows[i].token || config->oauth_check[0] != '\0';
        if (is_dovecots(session, (enum auth_mechanism)i) ? (dovecots & 1u << i) != 0 : ours)
            session->mechanisms |= 1u << i;
    }
    session->mechanisms &= config->auth_mechanisms_bits;
    session->mechanisms_known = true;
}

bool mechanism_is_offered(const struct session *session, enum auth_mechanism mechanism) {
    return mechanism < AUTH_MECHANISMS && (session->mechanisms & 1u << mechanism) != 0;
}

enum exchange mechanism_lead(struct session *session, struct login_attempt *attempt) {
    return is_dovecots(session, attempt->mechanism) ? dovecot_lead(session, attempt)
                                                    : mechanism_rows[attempt->mechanism].lead(session, attempt);
}

enum exchange mechanism_refuse(struct session *session, struct login_attempt *attempt) {
    const struct mechanism_row *row = &mechanism_rows[attempt->mechanism];

    return row->refuse != NULL && !is_dovecots(session, attempt->mechanism) ? row->refuse(session, attempt)
                                                                            : EXCHANGE_DONE;
}

void mechanism_list(const struct session *session, struct buffer *text) {
    for (size_t i = 0; i < AUTH_MECHANISMS; i++)
        if (mechanism_is_offered(session, (enum auth_mechanism)i))
            (void)buffer_format(text, " %s", auth_mechanism_names[i]);
}

/* "=" stands for an empty message, "*" ends the exchange. */
static enum exchange decode(struct session *session, struct login_attempt *attempt, struct text encoded,
                            struct text *message) {
    size_t length = 0;

    explicit_bzero(attempt->message, MECHANISM_MESSAGE_SIZE);
    if (text_equal(encoded, TEXT("*"))) {
        session_reply(session, 501, "5.7.0", "Authentication cancelled");
        return EXCHANGE_REPLIED;
    }
    if (!text_equal(encoded, TEXT("=")) &&
        !text_base64_decode(encoded, attempt->message, MECHANISM_MESSAGE_SIZE - 1, &length)) {
        session_reply(session, 501, "5.5.2", "Cannot decode the base64 text");
        return EXCHANGE_REPLIED;
    }
    *message = (struct text){attempt->message, length};
    return EXCHANGE_DONE;
}

enum exchange mechanism_ask(struct session *session, struct login_attempt *attempt, struct text challenge,
                            struct text *message) {
    char encoded[REPLY_TEXT_SIZE];
    size_t maximum = session->reader.maximum;
    struct text line;

    if (!text_base64_encode(challenge, encoded, sizeof encoded)) {
        session_reply(session, 454, "4.7.0", "Temporary authentication failure");
        return EXCHANGE_REPLIED;
    }
    session_challenge(session, encoded);
    session->reader.maximum = MECHANISM_LINE_MAXIMUM + 2;
    enum session_line result = session_read_line(session, &line);
    session->reader.maximum = maximum;
    if (result != SESSION_LINE)
        return EXCHANGE_REPLIED;
    session->verb = "AUTH";
    session->line_secret = true;
    dialog_note(session->config, " -> ", "(credentials)");
    return decode(session, attempt, line, message);
}

enum exchange mechanism_begin(struct session *session, struct login_attempt *attempt, struct text *message) {
    return attempt->initial.length > 0 ? decode(session, attempt, attempt->initial, message)
                                       : mechanism_ask(session, attempt, TEXT_NONE, message);
}

void mechanism_take_account(struct session *session, struct login_attempt *attempt, struct text name) {
    struct address_known known = {.targets = NULL};
    char address[sizeof attempt->account];
    const char *domain = config_main_domain(session->config);
    bool whole = address_at(name) < name.length;

    (void)snprintf(address, sizeof address, "%.*s%s%s", TEXT_ARGS(name), whole ? "" : "@", whole ? "" : domain);
    bool member = ask_address(session->start->lookup, address, "", &known) == STANDING_MEMBER;
    (void)text_copy(attempt->account, sizeof attempt->account, text_of(member ? known.canonical : address));
}

enum exchange mechanism_conclude(struct session *session, struct login_attempt *attempt, struct text message) {
    struct text answer;

    if (mechanism_ask(session, attempt, message, &answer) != EXCHANGE_DONE)
        return EXCHANGE_REPLIED;
    return answer.length == 0 ? EXCHANGE_DONE : mechanism_is_malformed(session, "SCRAM");
}

enum exchange mechanism_is_malformed(struct session *session, const char *what) {
    session_reply(session, 501, "5.5.2", "Malformed %s message", what);
    return EXCHANGE_REPLIED;
}
