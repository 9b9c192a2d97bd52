/* SPDX-License-Identifier: MIT
 * Verifying DKIM signatures, SPF and DMARC of mail from strangers. Called by transaction_store.c, confined; keys are
 * asked for at the resolver. A verdict that cannot be had is left out: mail is never refused for it. */
#include "receiver/facts/verdict.h"
#include "base/log.h"
#include "dkim/dkim.h"
#include "mail/header.h"
#include "mail/mailbox_list.h"
#include "receiver/facts/sender_policy.h"
#include "receiver/session.h"

#define RESULTS_MAXIMUM (24u * 1024)
#define FROM_MAXIMUM 8192
#define AUTHORS_MAXIMUM 5 /* domains that are asked about; each may wait for DNS */

static enum dkim_dns look_up(void *context, const char *name, struct buffer *record) {
    const struct session *session = context;
    struct dns_question question;
    struct dns_record first;
    enum dkim_dns found = DKIM_DNS_TEMPFAIL;

    enum dns_status status = dns_lookup(session->start->resolver, name, DNS_TYPE_TXT, &question);
    struct text records = question.answer.records;
    if (status == DNS_FOUND && dns_question_next(&records, &first) && buffer_append_text(record, first.value))
        found = DKIM_DNS_FOUND;
    else if (status == DNS_NO_DATA || status == DNS_NO_NAME || status == DNS_BAD_NAME)
        found = DKIM_DNS_NONE;
    dns_question_free(&question);
    return found;
}

static bool format_dkim(struct session *session, struct buffer *results) {
    const struct message *message = &session->transaction.message;
    uint64_t offset = message_body_offset(message);
    struct header_field field;
    const struct dkim_source source = {
        .headers = message_original_header(message),
        .fd = message->fd,
        .offset = offset,
        .length = message->length - offset,
        .body = text_from(message_content(message), (size_t)offset),
    };

    if (!header_find(source.headers, "DKIM-Signature", &field))
        return buffer_append_string(results, "dkim=none");
    if (dkim_verify_message(&source, look_up, session, results))
        return true;
    log_error("the message's DKIM signature could not be verified");
    return false;
}

/* RFC 8601 2.7.2 */
static bool format_spf(struct session *session, struct buffer *results) {
    bool null = address_is_null(&session->transaction.from);

    sender_policy_gather(session);
    return sender_policy_name(session)[0] != '\0' &&
           buffer_format(results, "%sspf=%s smtp.%s=%s", results->length > 0 ? "; " : "", sender_policy_name(session),
                         null ? "helo" : "mailfrom", sender_policy_domain(session));
}

static bool is_dmarc_wanted(const struct session *session) {
    const struct sql_rules *own = session->start->rules;
    const bool *named = own != NULL ? own->files[RULE_MESSAGE].named.facts : NULL;

    return session->config->dmarc_verify || (named != NULL && (named[SQL_FACT_DMARC] || named[SQL_FACT_DMARC_POLICY]));
}

/* RFC 8601 2.7, RFC 7489 11.2 */
static bool format_dmarc(const struct transaction *transaction, const char *domain, struct buffer *results) {
    return buffer_format(results, "%sdmarc=%s (p=%s)%s%s", results->length > 0 ? "; " : "",
                         dmarc_result_names[transaction->dmarc], dmarc_policy_names[transaction->dmarc_policy],
                         domain[0] != '\0' ? " header.from=" : "", domain);
}

/* ---- DMARC of every author: whoever reads the message sees one of them, and nobody knows which ---- */

struct authors {
    struct text dkim_results;
    unsigned count;
    bool unreadable;
    char domain[ADDRESS_DOMAIN_MAXIMUM + 1]; /* whose verdict is the transaction's: the worst (RFC 7489 6.6.1) */
};

static void judge_author(struct session *session, struct authors *authors, const struct address *author) {
    static const unsigned badness[DMARC_RESULTS] = {
        [DMARC_PASS] = 1, [DMARC_NONE] = 2, [DMARC_PERMERROR] = 3, [DMARC_TEMPERROR] = 4, [DMARC_FAIL] = 5};
    struct transaction *transaction = &session->transaction;
    enum dmarc_result result = transaction->dmarc;
    enum dmarc_policy policy = transaction->dmarc_policy;

    if (text_equal_nocase(text_of(author->domain), text_of(authors->domain)))
        return;
    authors->unreadable = authors->unreadable || ++authors->count > AUTHORS_MAXIMUM;
    if (authors->unreadable)
        return;
    sender_policy_dmarc(session, author->domain, authors->dkim_results);
    if (badness[transaction->dmarc] > badness[result] ||
        (transaction->dmarc == result && transaction->dmarc_policy > policy)) {
        (void)text_copy(authors->domain, sizeof authors->domain, text_of(author->domain));
        return;
    }
    transaction->dmarc = result;
    transaction->dmarc_policy = policy;
}

static void judge_field(struct session *session, struct authors *authors, const struct header_field *field) {
    char value[FROM_MAXIMUM];
    struct address author;
    unsigned found = 0;
    bool bad = !header_value(field, value, sizeof value);
    struct text rest = text_of(value);

    for (; !bad && !authors->unreadable && mailbox_list_author(&rest, &author, &bad); found++)
        judge_author(session, authors, &author);
    authors->unreadable = authors->unreadable || bad || found == 0;
}

static void judge_authors(struct session *session, struct text dkim_results, struct buffer *results) {
    struct transaction *transaction = &session->transaction;
    struct authors authors = {.dkim_results = dkim_results, .unreadable = transaction->message.author_hidden};
    struct text section = message_original_header(&transaction->message);
    struct header_field field;

    transaction->dmarc = DMARC_NOT_ASKED;
    transaction->dmarc_policy = DMARC_POLICY_NONE;
    while (header_next(&section, &field))
        if (text_equal_nocase(field.name, TEXT("From")))
            judge_field(session, &authors, &field);
    if (authors.unreadable && transaction->dmarc != DMARC_FAIL) {
        transaction->dmarc = DMARC_PERMERROR;
        transaction->dmarc_policy = DMARC_POLICY_NONE;
        authors.domain[0] = '\0';
    }
    if (transaction->dmarc != DMARC_NOT_ASKED && session->config->dmarc_verify)
        (void)format_dmarc(transaction, authors.domain, results);
}

bool verdict_format(struct session *session, struct buffer *results) {
    const struct config *config = session->config;
    struct buffer dkim;

    buffer_init(&dkim, RESULTS_MAXIMUM);
    bool dmarc = is_dmarc_wanted(session);
    if ((config->dkim_verify || dmarc) && format_dkim(session, &dkim) && config->dkim_verify)
        (void)buffer_append_text(results, buffer_text(&dkim));
    if (config->spf_verify)
        (void)format_spf(session, results);
    if (dmarc)
        judge_authors(session, buffer_text(&dkim), results);
    buffer_free(&dkim);
    return results->length > 0;
}
