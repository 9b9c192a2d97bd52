/* SPDX-License-Identifier: MIT
 * AUTH (RFC 4954), only within TLS: finds the mechanism, and says how its exchange came out. Called by the dispatcher,
 * confined. Of a login that is refused the client learns nothing but that; why stands in the log. */
#include "base/log.h"
#include "base/memory.h"
#include "receiver/commands/command.h"
#include "receiver/login/mechanism.h"
#include <stdlib.h>
#include <string.h>

/* Nobody may act for another: an authorization identity is accepted when it is the user's own. */
static bool is_another(const struct login_attempt *attempt) {
    struct text identity = text_of(attempt->identity);

    return identity.length > 0 && !text_equal_nocase(identity, text_of(attempt->user)) &&
           !text_equal_nocase(identity, text_of(attempt->account));
}

/* The ledger's word comes before the client's: an account that was tried too often is locked, and answers like a wrong
 * password. */
static void ask_ledger(struct session *session, struct login_attempt *attempt) {
    bool known = attempt->account[0] != '\0';
    char name[sizeof attempt->user];

    (void)text_copy(name, sizeof name, text_of(attempt->user));
    text_lower(name);
    const struct login_try question = {.account = text_of(known ? attempt->account : name),
                                       .contact = text_of(session->client.contact),
                                       .right = attempt->outcome == LOGIN_OK};
    if (attempt->outcome == LOGIN_TEMPFAIL || session->config->account_failures_maximum == 0 || name[0] == '\0' ||
        !ask_login_locked(session->start->ledger, &question) || attempt->outcome == LOGIN_REFUSED)
        return;
    attempt->outcome = LOGIN_REFUSED;
    attempt->why = ": the account is locked";
}

/* Guessing gets slower with each violation; only this process waits, with nothing asked of anybody. */
static void refuse(struct session *session, struct login_attempt *attempt) {
    unsigned doublings = session->violations < 5 ? session->violations : 5;

    session_delay(session, (uint64_t)session->config->auth_failure_delay_ms << doublings);
    if (mechanism_refuse(session, attempt) == EXCHANGE_DONE)
        session_reply(session, 535, "5.7.8", "Authentication failed");
}

static void log_attempt(const struct login_attempt *attempt) {
    char shown[128];

    log_info("login of %s %s%s", text_printable(shown, sizeof shown, text_of(attempt->user)),
             attempt->outcome == LOGIN_OK        ? "succeeded"
             : attempt->outcome == LOGIN_REFUSED ? "was refused"
                                                 : "could not be checked",
             attempt->why != NULL ? attempt->why : "");
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

void mechanism_judge(struct session *session, struct login_attempt *attempt) {
    if (attempt->judged)
        return;
    attempt->judged = true;
    if (attempt->outcome == LOGIN_OK && is_another(attempt)) {
        attempt->outcome = LOGIN_REFUSED;
        attempt->why = ": nobody acts for another";
    }
    ask_ledger(session, attempt);
}

static void finish(struct session *session, struct login_attempt *attempt) {
    struct contact_state state;

    mechanism_judge(session, attempt);
    log_attempt(attempt);
    if (attempt->outcome == LOGIN_REFUSED) {
        refuse(session, attempt);
        return;
    }
    if (attempt->outcome == LOGIN_TEMPFAIL) {
        session_reply(session, 454, "4.7.0", "Temporary authentication failure");
        return;
    }
    (void)text_copy(session->account, sizeof session->account, text_of(attempt->account));
    if (is_login_refused(session))
        return;
    session->login_tried = false;
    if (ask_contact_login(session->start->ledger, session->contact_id, session->account, &state))
        session->violations = state.violations;
    session_reply(session, 235, "2.7.0", "Authentication succeeded");
}

static void authenticate(struct session *session, enum auth_mechanism mechanism, struct text initial) {
    struct login_attempt *attempt = memory_new(1, sizeof *attempt);

    session->mechanism = auth_mechanism_names[mechanism];
    attempt->mechanism = mechanism;
    attempt->initial = initial;
    attempt->message = memory_new(1, MECHANISM_MESSAGE_SIZE);
    if (mechanism_lead(session, attempt) == EXCHANGE_DONE)
        finish(session, attempt);
    explicit_bzero(attempt->message, MECHANISM_MESSAGE_SIZE);
    free(attempt->message);
    explicit_bzero(attempt, sizeof *attempt); /* some say their password where the name belongs */
    free(attempt);
}

static void refuse_mechanism(struct session *session) {
    struct buffer offered;

    buffer_init(&offered, REPLY_TEXT_SIZE);
    mechanism_list(session, &offered);
    session_reply(session, 504, "5.5.4", "authentication mechanism not supported; use one of%s",
                  buffer_string(&offered));
    buffer_free(&offered);
}

/* auth = "AUTH" SP sasl-mech [SP initial-response] *(CRLF [base64]) [CRLF cancel-response] CRLF */
void command_auth(struct session *session, struct text argument) {
    struct text name, initial;

    mechanism_find_out(session);
    command_line_split(argument, &name, &initial);
    enum auth_mechanism mechanism = auth_mechanism_find(name);
    if (name.length == 0)
        session_reply(session, 501, "5.5.4", "AUTH needs a mechanism");
    else if (!mechanism_is_offered(session, mechanism))
        refuse_mechanism(session);
    else
        authenticate(session, mechanism, initial);
}
