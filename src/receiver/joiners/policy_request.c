/* SPDX-License-Identifier: MIT
 * A request of the policy delegation protocol: "name=value" lines and an empty one, with every attribute of Postfix 3.7
 * in its order. Called by policy.c, confined; values are what strangers sent, so bytes that would end a line become
 * '?'. */
#include "base/log.h"
#include "mail/dsn.h"
#include "receiver/facts/facts.h"
#include "receiver/joiners/policy.h"
#include "receiver/session.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define VALUE_SIZE 1024
#define VALUE_MAXIMUM 4096 /* the argument of a command may be as long as line_maximum: no name is */

/* A value that is no string of the session's is written into scratch. */
typedef struct text attribute_function(const struct session *session, enum rule_stage stage, char scratch[VALUE_SIZE]);

#define ATTRIBUTE(name, expression)                                                                                    \
    static struct text name(const struct session *session, enum rule_stage stage, char scratch[VALUE_SIZE]) {          \
        (void)session;                                                                                                 \
        (void)stage;                                                                                                   \
        (void)scratch;                                                                                                 \
        return (expression);                                                                                           \
    }

static struct text number(char scratch[VALUE_SIZE], uint64_t value) {
    (void)snprintf(scratch, VALUE_SIZE, "%llu", (unsigned long long)value);
    return text_of(scratch);
}

static bool has_transaction(enum rule_stage stage) {
    return stage == RULE_RCPT || stage == RULE_DATA || stage == RULE_HEADERS || stage == RULE_MESSAGE;
}

static struct text if_known(const char *name) {
    return name[0] != '\0' ? text_of(name) : TEXT("unknown");
}

static bool is_etrn(const struct session *session, enum rule_stage stage) {
    return stage == RULE_UNKNOWN && text_equal_nocase(session->unknown_verb, TEXT("ETRN"));
}

/* While EHLO itself is judged, the session does not know of it yet. */
static bool is_extended(const struct session *session, enum rule_stage stage) {
    return stage == RULE_EHLO ? strcmp(session->verb, "HELO") != 0 : session->extended;
}

/* Postfix's names; at moments that it does not ask about, those of the rule files. */
static struct text protocol_state(const struct session *session, enum rule_stage stage, char scratch[VALUE_SIZE]) {
    static const char *const names[RULE_STAGES] = {
        [RULE_MAIL] = "MAIL", [RULE_RCPT] = "RCPT", [RULE_MESSAGE] = "END-OF-MESSAGE"};
    if (is_etrn(session, stage))
        return TEXT("ETRN");
    if (stage == RULE_EHLO && !is_extended(session, stage))
        return TEXT("HELO");
    if (names[stage] != NULL)
        return text_of(names[stage]);
    (void)text_copy(scratch, VALUE_SIZE, text_of(rule_stage_names[stage]));
    for (char *at = scratch; *at != '\0'; at++)
        *at = (char)toupper((unsigned char)*at);
    return text_of(scratch);
}

/* To the separator behind the first attribute of a distinguished name (RFC 4514). */
static size_t attribute_length(struct text name) {
    size_t end = 0;
    while (end < name.length && name.data[end] != ',' && name.data[end] != '+')
        end += name.data[end] == '\\' ? 2 : 1;
    return end;
}

/* As xtext; the whole name where it has none. What stands within another attribute, its owner may have chosen. */
static struct text common_name(const char *name, char scratch[VALUE_SIZE]) {
    struct text rest = text_of(name), value = rest;
    while (rest.length > 0 && !text_starts_nocase(rest, TEXT("CN=")))
        rest = text_from(rest, attribute_length(rest) + 1);
    if (rest.length > 0)
        value = text_from(text_first(rest, attribute_length(rest)), sizeof "CN=" - 1);
    return dsn_xtext_encode(value, scratch, VALUE_SIZE) ? text_of(scratch) : TEXT_NONE;
}

ATTRIBUTE(request, TEXT("smtpd_access_policy"))
ATTRIBUTE(protocol_name, session->client.role == ROLE_LMTP ? TEXT("LMTP")
                         : is_extended(session, stage)     ? TEXT("ESMTP")
                                                           : TEXT("SMTP"))
ATTRIBUTE(client_address, text_of(session->client.is_local ? "127.0.0.1" : session->client.peer_ip))
ATTRIBUTE(client_name, session->client.is_local ? TEXT("localhost") : if_known(session->remote_name))
ATTRIBUTE(reverse_client_name, session->client.is_local ? TEXT("localhost") : if_known(session->claimed_name))
ATTRIBUTE(client_port, number(scratch, network_port(&session->client.peer)))
ATTRIBUTE(helo_name, text_of(session->facts.ehlo))
ATTRIBUTE(queue_id, has_transaction(stage) && session->transaction.accepted > 0 ? text_of(session->mail_id) : TEXT_NONE)
ATTRIBUTE(instance, text_of(session->mail_id))
ATTRIBUTE(etrn_domain, is_etrn(session, stage) ? text_trim(session->argument) : TEXT_NONE)
ATTRIBUTE(sasl_username, text_of(session->account))
ATTRIBUTE(sasl_method, session->account[0] != '\0' ? text_of(session->mechanism) : TEXT_NONE)
ATTRIBUTE(ccert_subject, common_name(session->tls_facts.client, scratch))
ATTRIBUTE(ccert_issuer, common_name(session->tls_facts.client_issuer, scratch))
ATTRIBUTE(ccert_fingerprint, text_of(session->tls_facts.client_fingerprint))
ATTRIBUTE(encryption_protocol, session->tls ? text_of(session->tls_facts.version) : TEXT_NONE)
ATTRIBUTE(encryption_cipher, session->tls ? text_of(session->tls_facts.cipher) : TEXT_NONE)
ATTRIBUTE(encryption_keysize, number(scratch, session->tls ? session->tls_facts.cipher_bits : 0))
ATTRIBUTE(policy_context, text_of(config_role_name(session->client.role)))
ATTRIBUTE(server_address, text_of(session->client.is_local ? "127.0.0.1" : session->client.local_ip))
ATTRIBUTE(server_port, number(scratch, session->client.local_port))
ATTRIBUTE(nothing, TEXT_NONE)

/* At MAIL there is no transaction yet. */
static struct text sender(const struct session *session, enum rule_stage stage, char scratch[VALUE_SIZE]) {
    if (session->facts.sender != NULL)
        return text_of(address_text(session->facts.sender, scratch, VALUE_SIZE));
    return has_transaction(stage) ? text_of(session->transaction.from_text) : TEXT_NONE;
}

/* With DATA and later: when there is one only, as in Postfix. */
static struct text recipient(const struct session *session, enum rule_stage stage, char scratch[VALUE_SIZE]) {
    const struct transaction *transaction = &session->transaction;
    if (session->facts.recipient != NULL)
        return text_of(address_text(session->facts.recipient, scratch, VALUE_SIZE));
    if (stage == RULE_VRFY || stage == RULE_EXPN)
        return text_trim(session->argument);
    if (has_transaction(stage) && transaction->accepted == 1 && transaction->envelope.recipient_count > 0)
        return text_of(transaction->envelope.recipients[0].to_url);
    return TEXT_NONE;
}

/* Not zero from DATA on. */
static struct text recipient_count(const struct session *session, enum rule_stage stage, char scratch[VALUE_SIZE]) {
    bool all = has_transaction(stage) && stage != RULE_RCPT;
    uint64_t count = all ? session->transaction.accepted : 0;
    return number(scratch, session->facts.recipient != NULL && all ? 1 : count);
}

static struct text size(const struct session *session, enum rule_stage stage, char scratch[VALUE_SIZE]) {
    if (session->facts.sender != NULL)
        return number(scratch, session->facts.declared_size);
    if (stage == RULE_MESSAGE)
        return number(scratch, session->transaction.message.received);
    return number(scratch, has_transaction(stage) ? session->transaction.declared_size : 0);
}

static const struct {
    const char *name;
    attribute_function *value;
} attributes[] = {
    {"request", request},
    {"protocol_state", protocol_state},
    {"protocol_name", protocol_name},
    {"client_address", client_address},
    {"client_name", client_name},
    {"client_port", client_port},
    {"reverse_client_name", reverse_client_name},
    {"server_address", server_address},
    {"server_port", server_port},
    {"helo_name", helo_name},
    {"sender", sender},
    {"recipient", recipient},
    {"recipient_count", recipient_count},
    {"queue_id", queue_id},
    {"instance", instance},
    {"size", size},
    {"etrn_domain", etrn_domain},
    {"stress", nothing},
    {"sasl_method", sasl_method},
    {"sasl_username", sasl_username},
    {"sasl_sender", nothing},
    {"ccert_subject", ccert_subject},
    {"ccert_issuer", ccert_issuer},
    {"ccert_fingerprint", ccert_fingerprint},
    {"ccert_pubkey_fingerprint", nothing},
    {"encryption_protocol", encryption_protocol},
    {"encryption_cipher", encryption_cipher},
    {"encryption_keysize", encryption_keysize},
    {"policy_context", policy_context},
};

static bool append(struct buffer *request_text, const char *name, struct text value) {
    bool good = buffer_append_string(request_text, name) && buffer_append_byte(request_text, '=');
    value = text_first(value, VALUE_MAXIMUM);
    for (size_t i = 0; i < value.length && good; i++) {
        unsigned char byte = (unsigned char)value.data[i];
        good = buffer_append_byte(request_text, byte < 0x20 || byte == 0x7f ? '?' : value.data[i]);
    }
    return good && buffer_append_byte(request_text, '\n');
}

bool policy_format_request(struct session *session, enum rule_stage stage, struct buffer *request_text) {
    char scratch[VALUE_SIZE];
    bool good = true;
    facts_collect_connection(session);
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0] && good; i++)
        good = append(request_text, attributes[i].name, attributes[i].value(session, stage, scratch));
    return good && buffer_append_byte(request_text, '\n');
}
