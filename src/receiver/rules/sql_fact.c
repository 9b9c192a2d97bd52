/* SPDX-License-Identifier: MIT
 * The facts that the operator's rules name, one small getter each; those of a mail transaction are in sql_fact_mail.c.
 * Called by sql_rule.c, confined; what a stage cannot know is empty. The table of their names is in mail/sql_rule.c. */
#include "receiver/rules/sql_fact.h"
#include "base/clock.h"
#include "receiver/facts/facts.h"
#include "receiver/facts/sender_policy.h"
#include "receiver/facts/stranger.h"
#include "receiver/received.h"
#include "receiver/rules/sql_rule.h"
#include "receiver/session.h"
#include <time.h>

struct text sql_fact_number(struct buffer *scratch, uint64_t value) {
    (void)buffer_format(scratch, "%llu", (unsigned long long)value);
    return buffer_text(scratch);
}

STRING_FACT(remote_ip, session->client.peer_ip)
STRING_FACT(remote_name, session->remote_name)
STRING_FACT(contact, session->client.contact)
STRING_FACT(local_ip, session->client.local_ip)
NUMBER_FACT(port, session->client.local_port)
STRING_FACT(role, config_role_name(session->client.role))
STRING_FACT(server_name, session->config->server_name)
STRING_FACT(listed_in, session->facts.client_lists.allowed ? "" : session->facts.client_lists.listed_in)
STRING_FACT(reverse, stranger_reverse_name(session->facts.reverse))
NUMBER_FACT(trusted, session->client.trusted)
NUMBER_FACT(known_good, session->facts.known_good)
STRING_FACT(ehlo, session->facts.ehlo)
STRING_FACT(tls, session->tls ? session->tls_facts.version : "")
STRING_FACT(tls_sni, session->tls_facts.server_name)
STRING_FACT(tls_client, session->tls_facts.client)
STRING_FACT(tls_client_issuer, session->tls_facts.client_issuer)
STRING_FACT(tls_client_fingerprint, session->tls_facts.client_fingerprint)
STRING_FACT(tls_cipher, session->tls ? session->tls_facts.cipher : "")
NUMBER_FACT(authenticated, session->account[0] != '\0')
STRING_FACT(account, session->account)
NUMBER_FACT(proxied, session->client.proxied)
STRING_FACT(proxy_ip, session->client.proxy_ip)
NUMBER_FACT(ehlo_is_literal, address_is_literal(text_of(session->facts.ehlo)))
NUMBER_FACT(extended, session->extended)
NUMBER_FACT(session_seconds, (uint64_t)(clock_now_ms() - session->began) / 1000)
NUMBER_FACT(commands, session->counts.commands)
NUMBER_FACT(errors, session->counts.errors)
NUMBER_FACT(mails_sent, session->counts.mails)
NUMBER_FACT(rcpt_refused, session->counts.refused)

static struct text verb(const struct session *session, struct buffer *scratch) {
    (void)scratch;
    return session->unknown_verb;
}

/* The only number that may be below 0. */
static struct text dnsbl_score(const struct session *session, struct buffer *scratch) {
    const struct rule_facts *facts = &session->facts;

    int64_t score = facts->client_lists.score + facts->domain_lists.score;

    (void)buffer_format(scratch, "%lld", (long long)score);
    return buffer_text(scratch);
}

static struct text argument(const struct session *session, struct buffer *scratch) {
    (void)scratch;
    return session->argument;
}

static struct text now(const struct session *session, struct buffer *scratch) {
    char when[CLOCK_TEXT_SIZE];

    (void)session;
    clock_text(time(NULL), when);
    (void)buffer_append_string(scratch, when);
    return buffer_text(scratch);
}

/* The first day of 1970 was a Thursday. */
static struct text weekday(const struct session *session, struct buffer *scratch) {
    (void)session;
    return sql_fact_number(scratch, (uint64_t)(time(NULL) / 86400 + 3) % 7 + 1);
}

static struct text protocol(const struct session *session, struct buffer *scratch) {
    (void)scratch;
    return text_of(received_protocol(session->client.role == ROLE_LMTP, session->extended, session->tls,
                                     session->account[0] != '\0', session->transaction.utf8));
}

/* The contact's counts are looked up where the rules are. */
fact_function *const sql_session_facts[SQL_FACTS] = {
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
    [SQL_FACT_TLS_SNI] = tls_sni,
    [SQL_FACT_TLS_CLIENT] = tls_client,
    [SQL_FACT_TLS_CLIENT_ISSUER] = tls_client_issuer,
    [SQL_FACT_TLS_CLIENT_FINGERPRINT] = tls_client_fingerprint,
    [SQL_FACT_AUTHENTICATED] = authenticated,
    [SQL_FACT_ACCOUNT] = account,
    [SQL_FACT_TIME] = now,
    [SQL_FACT_WEEKDAY] = weekday,
    [SQL_FACT_PROXIED] = proxied,
    [SQL_FACT_PROXY_IP] = proxy_ip,
    [SQL_FACT_EHLO_IS_LITERAL] = ehlo_is_literal,
    [SQL_FACT_EXTENDED] = extended,
    [SQL_FACT_PROTOCOL] = protocol,
    [SQL_FACT_SESSION_SECONDS] = session_seconds,
    [SQL_FACT_COMMANDS] = commands,
    [SQL_FACT_ERRORS] = errors,
    [SQL_FACT_MAILS_SENT] = mails_sent,
    [SQL_FACT_RCPT_REFUSED] = rcpt_refused,
    [SQL_FACT_VERB] = verb,
    [SQL_FACT_ARGUMENT] = argument,
};

/* Known when the answers about the connection are in. */
static bool waits_for_dns(const struct sql_fact_set *wanted) {
    return wanted->facts[SQL_FACT_REMOTE_NAME] || wanted->facts[SQL_FACT_LISTED_IN] ||
           wanted->facts[SQL_FACT_DNSBL_SCORE] || wanted->facts[SQL_FACT_REVERSE];
}

bool sql_facts_list(struct session *session, const struct sql_fact_set *wanted, struct buffer *list) {
    struct buffer scratch;
    bool fits = true;

    buffer_init(&scratch, SQL_FACT_VALUE_MAXIMUM + 1);
    if (waits_for_dns(wanted))
        facts_collect_connection(session);
    if (wanted->facts[SQL_FACT_SPF])
        sender_policy_gather(session);
    for (size_t i = 0; i < SQL_FACTS && fits; i++) {
        fact_function *get = sql_session_facts[i] != NULL ? sql_session_facts[i] : sql_mail_facts[i];
        if (!wanted->facts[i] || get == NULL)
            continue;
        buffer_clear(&scratch);
        const struct fact_item item = {.fact = (uint32_t)i,
                                       .value = text_first(get(session, &scratch), SQL_FACT_VALUE_MAXIMUM)};
        fits = list_add_fact(list, &item);
    }
    buffer_free(&scratch);
    return fits;
}
