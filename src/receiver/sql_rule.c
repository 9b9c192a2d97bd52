/* SPDX-License-Identifier: MIT
 * Asking the operator's rules: only facts that the stage's statements name are gathered and sent. Called behind the
 * built-in rules and by the dispatcher, confined. Lookup that is gone, or a rule that fails there, is a 451. */
#include "receiver/sql_rule.h"
#include "base/log.h"
#include "mail/header.h"
#include "mail/sql_rule.h"
#include "receiver/facts.h"
#include "receiver/session.h"
#include <stdio.h>

#define FACTS_MAXIMUM (32u * 1024)
#define VALUE_SIZE 1024
#define VALUE_SENT 2048 /* what ipc/list.c takes of one */

/* ---- facts ---- */

/* Values that are not strings of the session's are written into scratch. */
typedef struct text fact_function(const struct session *session, char scratch[VALUE_SIZE]);

static struct text number(char scratch[VALUE_SIZE], uint64_t value) {
    (void)snprintf(scratch, VALUE_SIZE, "%llu", (unsigned long long)value);
    return text_of(scratch);
}

#define STRING_FACT(name, expression)                                                                                  \
    static struct text name(const struct session *session, char scratch[VALUE_SIZE]) {                                 \
        (void)scratch;                                                                                                 \
        return text_of(expression);                                                                                    \
    }
#define NUMBER_FACT(name, expression)                                                                                  \
    static struct text name(const struct session *session, char scratch[VALUE_SIZE]) {                                 \
        return number(scratch, (expression));                                                                          \
    }

STRING_FACT(remote_ip, session->client.peer_ip)
STRING_FACT(remote_name, session->remote_name)
STRING_FACT(contact, session->client.contact)
STRING_FACT(local_ip, session->client.local_ip)
NUMBER_FACT(port, session->client.local_port)
STRING_FACT(role, config_role_name(session->client.role))
STRING_FACT(server_name, session->config->server_name)
STRING_FACT(listed_in, session->facts.allow_listed ? "" : session->facts.listed_in)
NUMBER_FACT(trusted, session->client.trusted)
STRING_FACT(ehlo, session->facts.ehlo)
STRING_FACT(tls, session->tls ? session->tls_facts.version : "")
STRING_FACT(tls_cipher, session->tls ? session->tls_facts.cipher : "")
NUMBER_FACT(authenticated, session->account[0] != '\0')
STRING_FACT(account, session->account)
STRING_FACT(mail_id, session->mail_id)
NUMBER_FACT(rcpt_count, session->transaction.envelope.recipient_count)
STRING_FACT(dkim, session->transaction.envelope.verdicts)

static struct text verb(const struct session *session, char scratch[VALUE_SIZE]) {
    (void)scratch;
    return text_first(session->unknown_verb, VALUE_SIZE - 1);
}

static struct text argument(const struct session *session, char scratch[VALUE_SIZE]) {
    (void)scratch;
    return text_first(session->argument, VALUE_SIZE - 1);
}

/* At MAIL there is no transaction yet. */
static const struct address *sender_of(const struct session *session) {
    return session->facts.sender != NULL ? session->facts.sender : &session->transaction.from;
}

static struct text address(const struct address *address, char scratch[VALUE_SIZE]) {
    return text_of(address_text(address, scratch, VALUE_SIZE));
}

static struct text domain(const struct address *address, char scratch[VALUE_SIZE]) {
    (void)text_copy(scratch, VALUE_SIZE, text_of(address->domain));
    text_lower(scratch);
    return text_of(scratch);
}

static struct text from(const struct session *session, char scratch[VALUE_SIZE]) {
    return address(sender_of(session), scratch);
}

static struct text from_domain(const struct session *session, char scratch[VALUE_SIZE]) {
    return domain(sender_of(session), scratch);
}

static struct text rcpt(const struct session *session, char scratch[VALUE_SIZE]) {
    return session->facts.recipient != NULL ? address(session->facts.recipient, scratch) : TEXT_NONE;
}

static struct text rcpt_domain(const struct session *session, char scratch[VALUE_SIZE]) {
    return session->facts.recipient != NULL ? domain(session->facts.recipient, scratch) : TEXT_NONE;
}

/* What came, once it has come; before that what the client declared. */
static struct text size(const struct session *session, char scratch[VALUE_SIZE]) {
    if (session->facts.sender != NULL)
        return number(scratch, session->facts.declared_size);
    return number(scratch, session->transaction.complete ? session->transaction.message.received
                                                         : session->transaction.declared_size);
}

static struct text header(const struct session *session, const char *name, char scratch[VALUE_SIZE]) {
    struct header_field field;

    scratch[0] = '\0';
    if (header_find(message_header(&session->transaction.message), name, &field))
        (void)header_value(&field, scratch, VALUE_SIZE);
    return text_trim(text_of(scratch));
}

static struct text subject(const struct session *session, char scratch[VALUE_SIZE]) {
    return header(session, "Subject", scratch);
}

static struct text message_id(const struct session *session, char scratch[VALUE_SIZE]) {
    return header(session, "Message-ID", scratch);
}

static struct text header_from(const struct session *session, char scratch[VALUE_SIZE]) {
    return header(session, "From", scratch);
}

/* The contact's counts are looked up where the rules are. */
static fact_function *const getters[SQL_FACTS] = {
    [SQL_FACT_REMOTE_IP] = remote_ip,
    [SQL_FACT_REMOTE_NAME] = remote_name,
    [SQL_FACT_CONTACT] = contact,
    [SQL_FACT_LOCAL_IP] = local_ip,
    [SQL_FACT_PORT] = port,
    [SQL_FACT_ROLE] = role,
    [SQL_FACT_SERVER_NAME] = server_name,
    [SQL_FACT_LISTED_IN] = listed_in,
    [SQL_FACT_TRUSTED] = trusted,
    [SQL_FACT_EHLO] = ehlo,
    [SQL_FACT_TLS] = tls,
    [SQL_FACT_TLS_CIPHER] = tls_cipher,
    [SQL_FACT_AUTHENTICATED] = authenticated,
    [SQL_FACT_ACCOUNT] = account,
    [SQL_FACT_VERB] = verb,
    [SQL_FACT_ARGUMENT] = argument,
    [SQL_FACT_MAIL_ID] = mail_id,
    [SQL_FACT_FROM] = from,
    [SQL_FACT_FROM_DOMAIN] = from_domain,
    [SQL_FACT_SIZE] = size,
    [SQL_FACT_RCPT] = rcpt,
    [SQL_FACT_RCPT_DOMAIN] = rcpt_domain,
    [SQL_FACT_RCPT_COUNT] = rcpt_count,
    [SQL_FACT_SUBJECT] = subject,
    [SQL_FACT_MESSAGE_ID] = message_id,
    [SQL_FACT_HEADER_FROM] = header_from,
    [SQL_FACT_DKIM] = dkim,
};

static bool list_facts(struct session *session, uint64_t wanted, struct buffer *list) {
    const uint64_t asked_elsewhere = UINT64_C(1) << SQL_FACT_REMOTE_NAME | UINT64_C(1) << SQL_FACT_LISTED_IN;
    char scratch[VALUE_SIZE];

    if (wanted & asked_elsewhere)
        facts_collect_connection(session);
    for (size_t i = 0; i < SQL_FACTS; i++) {
        if (!(wanted & UINT64_C(1) << i) || getters[i] == NULL)
            continue;
        const struct fact_item item = {.fact = (uint32_t)i,
                                       .value = text_first(getters[i](session, scratch), VALUE_SENT)};
        if (!list_add_fact(list, &item))
            return false;
    }
    return true;
}

/* ---- asking ---- */

static void ask_stage(struct session *session, enum rule_stage stage, uint64_t wanted,
                      struct lookup_rule_answer *answer) {
    struct buffer facts;

    buffer_init(&facts, FACTS_MAXIMUM);
    if (list_facts(session, wanted, &facts)) {
        ask_rule(session->start->lookup, stage, buffer_text(&facts), answer);
    } else {
        log_error("the facts for the rules of %s are too many bytes", rule_stage_names[stage]);
        *answer = (struct lookup_rule_answer){.outcome = RULE_ANSWER_FAILED, .rule = TEXT("sql")};
    }
    buffer_free(&facts);
}

const struct rule *sql_rule_answer(struct session *session, enum rule_stage stage, struct reply *reply) {
    uint64_t wanted = session->start->rules != NULL ? session->start->rules->files[stage].facts : 0;
    struct lookup_rule_answer answer;

    if (wanted == 0)
        return NULL;
    ask_stage(session, stage, wanted, &answer);
    if (answer.outcome == RULE_ANSWER_NONE)
        return NULL;
    (void)text_copy(session->sql_rule_name, sizeof session->sql_rule_name, answer.rule);
    session->sql_rule = (struct rule){.name = session->sql_rule_name, .stage = stage};
    if (answer.outcome == RULE_ANSWER_REPLY) {
        reply->code = answer.code;
        (void)text_copy(reply->enhanced, sizeof reply->enhanced, answer.enhanced);
        (void)text_copy(reply->text, sizeof reply->text, answer.text);
    } else {
        reply_set(reply, stage == RULE_CONNECT ? 421 : 451, "4.3.0",
                  "%s error: a rule of this server cannot be asked, try again later", session->config->server_name);
    }
    return &session->sql_rule;
}

const struct rule *sql_rule_evaluate(struct session *session, enum rule_stage stage, struct reply *reply) {
    const struct rule *rule = sql_rule_answer(session, stage, reply);

    return rule != NULL && reply->code >= 400 ? rule : NULL;
}
