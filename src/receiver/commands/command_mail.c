/* SPDX-License-Identifier: MIT
 * MAIL: begins a transaction. Called by the dispatcher when none is open, confined. */
#include "base/clock.h"
#include "mail/dsn.h"
#include "mail/solicitation.h"
#include "receiver/change.h"
#include "receiver/commands/command.h"
#include "receiver/commands/extension.h"
#include "receiver/facts/facts.h"
#include <stdio.h>
#include <time.h>

struct mail_parameters {
    const struct session *session;
    uint64_t size;
    enum envelope_body body;
    bool utf8, requiretls;
    const char *ret;
    struct text envid, solicit;
    int64_t hold_until;      /* 0: at once */
    char future_release[64]; /* what was asked, "" */
};

/* RFC 1870 6.1: refused early when the client itself says that it is too large. */
static bool take_size(void *target, struct text value, struct reply *reply) {
    struct mail_parameters *parameters = target;

    if (!text_number(value, INT64_MAX, &parameters->size)) {
        reply_set(reply, 501, "5.5.4", "SIZE needs a number");
        return false;
    }
    if (parameters->size <= (uint64_t)parameters->session->config->message_maximum)
        return true;
    reply_set(reply, 552, "5.3.4", "Message size exceeds the maximum of %ld bytes",
              parameters->session->config->message_maximum);
    return false;
}

/* RFC 6152, RFC 3030 */
static bool take_body(void *target, struct text value, struct reply *reply) {
    struct mail_parameters *parameters = target;
    bool binary = extension_is_on(parameters->session->config, EXTENSION_BINARYMIME);

    if (text_equal_nocase(value, TEXT("7BIT")))
        parameters->body = BODY_7BIT;
    else if (text_equal_nocase(value, TEXT("8BITMIME")))
        parameters->body = BODY_8BITMIME;
    else if (binary && text_equal_nocase(value, TEXT("BINARYMIME")))
        parameters->body = BODY_BINARYMIME;
    else {
        reply_set(reply, 501, "5.5.4", "BODY is 7BIT%s", binary ? ", 8BITMIME or BINARYMIME" : " or 8BITMIME");
        return false;
    }
    return true;
}

static bool refuse_value(const char *keyword, struct text value, struct reply *reply) {
    if (value.length == 0)
        return true;
    reply_set(reply, 501, "5.5.4", "%s has no value", keyword);
    return false;
}

/* RFC 6531 3.4 */
static bool take_utf8(void *target, struct text value, struct reply *reply) {
    struct mail_parameters *parameters = target;

    parameters->utf8 = true;
    return refuse_value("SMTPUTF8", value, reply);
}

/* RFC 8689 2 */
static bool take_requiretls(void *target, struct text value, struct reply *reply) {
    struct mail_parameters *parameters = target;

    parameters->requiretls = true;
    return refuse_value("REQUIRETLS", value, reply);
}

/* RFC 4954 5: who submitted it elsewhere; nothing here depends on that. */
static bool take_auth(void *target, struct text value, struct reply *reply) {
    (void)target;
    if (value.length > 0)
        return true;
    reply_set(reply, 501, "5.5.4", "AUTH needs a value");
    return false;
}

/* RFC 3461 4.3 */
static bool take_ret(void *target, struct text value, struct reply *reply) {
    struct mail_parameters *parameters = target;

    parameters->ret = text_equal_nocase(value, TEXT("FULL")) ? "FULL" : "HDRS";
    if (parameters->ret[0] == 'F' || text_equal_nocase(value, TEXT("HDRS")))
        return true;
    reply_set(reply, 501, "5.5.4", "RET is FULL or HDRS");
    return false;
}

/* RFC 3461 4.4 */
static bool take_envid(void *target, struct text value, struct reply *reply) {
    struct mail_parameters *parameters = target;

    parameters->envid = value;
    if (dsn_envid_is_valid(value))
        return true;
    reply_set(reply, 501, "5.5.4", "ENVID is xtext for at most %d printable characters", DSN_ENVID_MAXIMUM);
    return false;
}

/* RFC 3865 2.3 */
static bool take_solicit(void *target, struct text value, struct reply *reply) {
    struct mail_parameters *parameters = target;

    parameters->solicit = value;
    if (solicitation_is_valid(value))
        return true;
    reply_set(reply, 501, "5.5.4", "SOLICIT is a list of solicitation keywords");
    return false;
}

/* RFC 4865 4: by whom, once, and not for longer than EHLO has said. */
static bool take_hold(struct mail_parameters *parameters, const char *kind, struct text value, int64_t until,
                      struct reply *reply) {
    long longest = parameters->session->config->future_release_maximum;
    time_t now = time(NULL);

    if (parameters->session->account[0] == '\0')
        reply_set(reply, 530, "5.7.0", "Only who has logged in may have a message held");
    else if (parameters->future_release[0] != '\0')
        reply_set(reply, 501, "5.5.4", "HOLDFOR or HOLDUNTIL may be given once");
    else if (until > now + longest)
        reply_set(reply, 501, "5.5.4", "A message is held for at most %ld seconds", longest);
    else {
        (void)snprintf(parameters->future_release, sizeof parameters->future_release, "%s;%.*s", kind,
                       TEXT_ARGS(text_first(value, 40)));
        parameters->hold_until = until > now ? until : 0; /* a time that has passed begins nothing */
        return true;
    }
    return false;
}

static bool take_holdfor(void *target, struct text value, struct reply *reply) {
    uint64_t seconds;

    if (text_number(value, 999999999, &seconds) && seconds > 0)
        return take_hold(target, "for", value, time(NULL) + (int64_t)seconds, reply);
    reply_set(reply, 501, "5.5.4", "HOLDFOR is a number of seconds");
    return false;
}

static bool take_holduntil(void *target, struct text value, struct reply *reply) {
    time_t until;

    if (clock_internet_parse(value, &until))
        return take_hold(target, "until", value, until, reply);
    reply_set(reply, 501, "5.5.4", "HOLDUNTIL is a time such as 2026-11-22T01:02:03Z");
    return false;
}

static const struct parameter_row rows[] = {
    {.keyword = "SIZE", .extension = EXTENSION_SIZE, .take = take_size},
    {.keyword = "BODY", .extension = EXTENSION_8BITMIME, .take = take_body},
    {.keyword = "SMTPUTF8", .extension = EXTENSION_SMTPUTF8, .take = take_utf8},
    {.keyword = "REQUIRETLS", .extension = EXTENSION_REQUIRETLS, .take = take_requiretls},
    {.keyword = "AUTH", .extension = EXTENSION_AUTH, .take = take_auth},
    {.keyword = "RET", .extension = EXTENSION_DSN, .take = take_ret},
    {.keyword = "ENVID", .extension = EXTENSION_DSN, .take = take_envid},
    {.keyword = "SOLICIT", .extension = EXTENSION_NO_SOLICITING, .take = take_solicit},
    {.keyword = "HOLDFOR", .extension = EXTENSION_FUTURERELEASE, .take = take_holdfor},
    {.keyword = "HOLDUNTIL", .extension = EXTENSION_FUTURERELEASE, .take = take_holduntil},
};

bool command_mail_parameters(const struct session *session, struct text rest, const char **ret, struct text *envid,
                             struct reply *reply) {
    struct mail_parameters parameters = {.session = session, .ret = *ret, .envid = *envid};
    bool good = command_take_parameters(session, rest, rows, sizeof rows / sizeof rows[0], &parameters, reply);

    *ret = parameters.ret;
    *envid = parameters.envid;
    return good;
}

/* SMTPUTF8 stands behind the path whose reading depends on it. */
static bool asks_for_utf8(struct text argument) {
    struct command_parameter parameter;
    struct text rest = text_from(argument, text_find(argument, ' '));

    for (;;) {
        enum command_parameter_result result = command_parameter_next(&rest, &parameter);
        if (result == COMMAND_PARAMETER_END)
            return false;
        if (result == COMMAND_PARAMETER_ITEM && text_equal_nocase(parameter.keyword, TEXT("SMTPUTF8")))
            return true;
    }
}

static void keep_parameters(struct transaction *transaction, const struct mail_parameters *parameters) {
    struct envelope *envelope = &transaction->envelope;

    transaction->utf8 = parameters->utf8;
    transaction->declared_size = parameters->size;
    transaction->chunks.binary = parameters->body == BODY_BINARYMIME;
    envelope->body = parameters->body;
    envelope->requiretls = parameters->requiretls;
    envelope->hold_until = parameters->hold_until;
    envelope_set(&envelope->future_release, text_of(parameters->future_release));
    envelope_set(&envelope->solicit, parameters->solicit);
    envelope_set(&envelope->ret, text_of(parameters->ret));
    envelope_set(&envelope->envid, parameters->envid);
}

/* mail = "MAIL FROM:" Reverse-path [SP Mail-parameters] CRLF */
void command_mail(struct session *session, struct text argument) {
    struct mail_parameters parameters = {.session = session, .ret = "", .envid = TEXT_NONE, .solicit = TEXT_NONE};
    struct address sender;
    struct text rest;
    struct reply reply;

    if (!command_take_path(argument, "FROM:", asks_for_utf8(argument), &sender, &rest, &reply) ||
        !command_take_parameters(session, rest, rows, sizeof rows / sizeof rows[0], &parameters, &reply)) {
        session_send(session, &reply, "syntax", VIOLATION_PLAIN);
        return;
    }
    session->facts.sender = &sender;
    session->facts.declared_size = parameters.size;
    session->policy_known = false;
    session->facts.solicitation = parameters.solicit;
    buffer_clear(&session->facts.sender_targets); /* where nobody asks about the sender, nobody is known */
    facts_forget(session, FACT_SENDER_STANDING | FACT_SENDER_LOGIN | FACT_SENDER_DOMAIN | FACT_DOMAIN_LISTINGS |
                              FACT_MESSAGE_RATE | FACT_ACCOUNT_MESSAGE | FACT_HEADER_FROM);
    const struct rule *rule = rule_evaluate(session, RULE_MAIL, &reply);
    session->facts.sender = NULL;
    session->facts.solicitation = TEXT_NONE;
    if (rule != NULL) {
        change_forget(session);
        session_send(session, &reply, rule->name, rule->mercy);
        return;
    }
    transaction_begin(session, &sender);
    keep_parameters(&session->transaction, &parameters);
    session_reply(session, 250, "2.1.0", "OK");
}
