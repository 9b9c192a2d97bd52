/* SPDX-License-Identifier: MIT
 * Verifying DKIM signatures and SPF of mail from strangers. Called by transaction_store.c, confined; keys are asked for
 * at the resolver. A verdict that cannot be had is left out: mail is never refused for it. */
#include "receiver/verdict.h"
#include "base/log.h"
#include "dkim/dkim.h"
#include "mail/header.h"
#include "receiver/sender_policy.h"
#include "receiver/session.h"

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

bool verdict_format(struct session *session, struct buffer *results) {
    bool dkim = session->config->dkim_verify && format_dkim(session, results);
    bool spf = session->config->spf_verify && format_spf(session, results);

    return dkim || spf;
}
