/* SPDX-License-Identifier: MIT
 * RCPT: one more recipient, accepted or refused on its own. Called by the dispatcher within a transaction, confined. */
#include "base/log.h"
#include "mail/dsn.h"
#include "receiver/change.h"
#include "receiver/commands/command.h"
#include "receiver/facts/facts.h"
#include "receiver/joiners/milter.h"
#include <stdlib.h>

/* RFC 3461 4.1 */
static bool take_notify(void *target, struct text value, struct reply *reply) {
    struct recipient *recipient = target;

    if (dsn_notify_parse(value, &recipient->notify))
        return true;
    reply_set(reply, 501, "5.5.4", "NOTIFY is NEVER, or any of SUCCESS,FAILURE,DELAY");
    return false;
}

/* RFC 3461 4.2 */
static bool take_orcpt(void *target, struct text value, struct reply *reply) {
    struct recipient *recipient = target;

    recipient->orcpt = value;
    if (dsn_orcpt_is_valid(value))
        return true;
    reply_set(reply, 501, "5.5.4", "ORCPT is a type, ';' and an address as xtext, at most %d bytes", DSN_ORCPT_MAXIMUM);
    return false;
}

static const struct parameter_row rows[] = {
    {.keyword = "NOTIFY", .extension = EXTENSION_DSN, .take = take_notify},
    {.keyword = "ORCPT", .extension = EXTENSION_DSN, .take = take_orcpt},
};

bool command_rcpt_parameters(const struct session *session, struct text rest, struct recipient *recipient,
                             struct reply *reply) {
    return command_take_parameters(session, rest, rows, sizeof rows / sizeof rows[0], recipient, reply);
}

static bool parse(struct session *session, struct text argument, struct recipient *recipient, struct reply *reply) {
    struct text rest;
    char shown[128];

    if (!command_take_path(argument, "TO:", session->transaction.utf8, &recipient->address, &rest, reply))
        return false;
    if (address_is_null(&recipient->address)) {
        (void)text_printable(shown, sizeof shown, text_trim(text_from(argument, sizeof "TO:" - 1)));
        reply_set(reply, 501, "5.1.3", "'%s' No proper recipient (<...>) on the RCPT TO line", shown);
        return false;
    }
    (void)address_text(&recipient->address, recipient->text, sizeof recipient->text);
    return command_rcpt_parameters(session, rest, recipient, reply);
}

bool command_rcpt_is_next(const struct session *session, struct address *recipient) {
    struct text pending = text_from(stream_pending(&session->stream), session->line_length);
    struct text line = text_first(pending, text_find(pending, '\r')), verb, argument, rest;
    struct reply reply;

    command_line_split(line, &verb, &argument);
    return line.length < pending.length && text_equal_nocase(verb, TEXT("RCPT")) &&
           command_take_path(argument, "TO:", false, recipient, &rest, &reply) && !address_is_null(recipient);
}

static const struct rule *judge(struct session *session, struct recipient *recipient, joiner_function *ask,
                                struct reply *reply) {
    struct rule_facts *facts = &session->facts;

    facts->recipient = &recipient->address;
    facts->recipient_count = session->transaction.accepted;
    facts_forget(session, FACT_RECIPIENT_STANDING | FACT_RECIPIENT_DOMAIN | FACT_RECIPIENT_RATE |
                              FACT_ACCOUNT_RECIPIENT | FACT_UNKNOWN_BUDGET | FACT_GREYLIST);
    const struct rule *rule = ask(session, RULE_RCPT, reply);
    facts->recipient = NULL;
    recipient->targets = buffer_text(&facts->recipient_targets);
    return rule;
}

/* RFC 3461 5.2.1: whoever changes an address says which it was. */
static bool take_other(struct session *session, struct recipient *recipient, char orcpt[DSN_ORCPT_MAXIMUM + 1]) {
    struct address other;
    bool good = session->other_recipient != NULL &&
                address_parse(text_of(session->other_recipient), true, &other) == ADDRESS_OK;

    free(session->other_recipient);
    session->other_recipient = NULL;
    if (!good)
        return false;
    if (recipient->orcpt.length == 0)
        recipient->orcpt = text_of(dsn_orcpt_of(recipient->text, orcpt));
    recipient->address = other;
    (void)address_text(&other, recipient->text, sizeof recipient->text);
    return true;
}

/* Where the operator's rules put another in the recipient's place, what the server itself refuses it refuses there too.
 */
static const struct rule *evaluate(struct session *session, struct recipient *recipient,
                                   char orcpt[DSN_ORCPT_MAXIMUM + 1], struct reply *reply) {
    const struct rule *rule = judge(session, recipient, rule_evaluate, reply);

    if (take_other(session, recipient, orcpt) && rule == NULL)
        rule = judge(session, recipient, rule_judge, reply);
    return rule;
}

/* rcpt = "RCPT TO:" ( "<Postmaster@" Domain ">" / "<Postmaster>" / Forward-path ) [SP Rcpt-parameters] CRLF */
void command_rcpt(struct session *session, struct text argument) {
    struct recipient recipient = {.targets = TEXT_NONE, .orcpt = TEXT_NONE};
    char orcpt[DSN_ORCPT_MAXIMUM + 1];
    struct reply reply;

    session->transaction.tried++;
    if (!parse(session, argument, &recipient, &reply)) {
        session_send(session, &reply, "syntax", VIOLATION_PLAIN);
        return;
    }
    const struct rule *rule = evaluate(session, &recipient, orcpt, &reply);
    /* Each refusal is a row of evidence, and many of them may count as one violation: nobody makes them without end. */
    if (rule != NULL && session->transaction.told >= (unsigned long)session->config->recipient_maximum) {
        session_reply(session, 452, "4.5.3", "Too many recipients: %ld refused ones at most",
                      session->config->recipient_maximum);
        return;
    }
    if (rule != NULL) {
        session->counts.refused++;
        milter_tell_refused(session, &recipient, rule, &reply);
        transaction_refuse(session, &recipient, &reply);
        session_send(session, &reply, rule->name, rule->mercy);
        return;
    }
    if (!transaction_has(&session->transaction, &recipient) &&
        !transaction_accept(&session->transaction, &recipient, (size_t)session->config->expansion_maximum)) {
        log_warn("<%s> leads to so many addresses that it needs a transaction of its own (expansion_maximum)",
                 recipient.text);
        session_reply(session, 452, "4.5.3", "Too many recipients: send to this one in another transaction");
        return;
    }
    if (session->client.role == ROLE_LMTP)
        transaction_owe_reply(&session->transaction, &recipient);
    change_settle(session);
    session_reply(session, 250, "2.1.5", "ACCEPTED");
}
