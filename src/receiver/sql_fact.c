/* SPDX-License-Identifier: MIT
 * The facts that the operator's rules name, one small getter each. Called by sql_rule.c, confined; what a stage cannot
 * know is empty. The table of their names is in mail/sql_rule.c. */
#include "mail/header.h"
#include "receiver/facts.h"
#include "receiver/session.h"
#include "receiver/sql_rule.h"
#include <stdio.h>

#define VALUE_SIZE 1024
#define VALUE_SENT 2048 /* what ipc/list.c takes of one */

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
STRING_FACT(listed_in, session->facts.client_lists.allowed ? "" : session->facts.client_lists.listed_in)
NUMBER_FACT(trusted, session->client.trusted)
NUMBER_FACT(known_good, session->facts.known_good)
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

/* The only number that may be below 0. */
static struct text dnsbl_score(const struct session *session, char scratch[VALUE_SIZE]) {
    const struct rule_facts *facts = &session->facts;

    (void)snprintf(scratch, VALUE_SIZE, "%lld", (long long)(facts->client_lists.score + facts->domain_lists.score));
    return text_of(scratch);
}

static struct text reverse(const struct session *session, char scratch[VALUE_SIZE]) {
    static const char *const words[] = {[REVERSE_NOT_ASKED] = "",
                                        [REVERSE_CONFIRMED] = "confirmed",
                                        [REVERSE_UNCONFIRMED] = "unconfirmed",
                                        [REVERSE_UNVERIFIED] = "unverified",
                                        [REVERSE_MISSING] = "missing",
                                        [REVERSE_TEMPFAIL] = "unanswered"};

    (void)scratch;
    return text_of(words[session->facts.reverse]);
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
    [SQL_FACT_DNSBL_SCORE] = dnsbl_score,
    [SQL_FACT_REVERSE] = reverse,
    [SQL_FACT_KNOWN_GOOD] = known_good,
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

/* Known when the answers about the connection are in. */
static bool waits_for_dns(const struct sql_fact_set *wanted) {
    return wanted->facts[SQL_FACT_REMOTE_NAME] || wanted->facts[SQL_FACT_LISTED_IN] ||
           wanted->facts[SQL_FACT_DNSBL_SCORE] || wanted->facts[SQL_FACT_REVERSE];
}

bool sql_facts_list(struct session *session, const struct sql_fact_set *wanted, struct buffer *list) {
    char scratch[VALUE_SIZE];

    if (waits_for_dns(wanted))
        facts_collect_connection(session);
    for (size_t i = 0; i < SQL_FACTS; i++) {
        if (!wanted->facts[i] || getters[i] == NULL)
            continue;
        const struct fact_item item = {.fact = (uint32_t)i,
                                       .value = text_first(getters[i](session, scratch), VALUE_SENT)};
        if (!list_add_fact(list, &item))
            return false;
    }
    return true;
}
