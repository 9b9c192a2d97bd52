/* SPDX-License-Identifier: MIT
 * Asking SPF and DMARC of the resolver. Called for the facts :spf and :dmarc and for Authentication-Results, confined,
 * on records of anybody's; all of it takes TIME_LIMIT_MS at most, and what cannot be known by then is a temporary
 * error. */
#include "receiver/facts/sender_policy.h"
#include "base/clock.h"
#include "base/log.h"
#include "receiver/session.h"
#include "spf/spf.h"

#define TIME_LIMIT_MS 20000 /* RFC 7208 4.6.4 */

struct asking {
    int resolver;
    int64_t deadline;
};

static enum spf_dns look_up(void *context, const char *name, enum spf_type type, struct buffer *values) {
    const struct asking *asking = context;
    struct dns_question question;
    struct dns_record record;
    enum spf_dns found = SPF_DNS_FAILED;

    if (clock_now_ms() >= asking->deadline)
        return SPF_DNS_FAILED;
    enum dns_status status = dns_lookup(asking->resolver, name, (enum dns_type)type, &question);
    struct text records = question.answer.records;
    if (status == DNS_FOUND) {
        found = SPF_DNS_FOUND;
        while (dns_question_next(&records, &record))
            if (!spf_add_value(values, record.value))
                found = SPF_DNS_FAILED;
    } else if (status == DNS_NO_DATA || status == DNS_NO_NAME || status == DNS_BAD_NAME) {
        found = SPF_DNS_NONE;
    }
    dns_question_free(&question);
    return found;
}

const char *sender_policy_domain(const struct session *session) {
    const struct address *sender = session_sender(session);

    return sender->domain[0] != '\0' ? sender->domain : session->ehlo;
}

void sender_policy_gather(struct session *session) {
    const struct address *sender = session_sender(session);
    struct asking asking = {session->start->resolver, clock_deadline(TIME_LIMIT_MS)};
    const struct spf_question question = {.client = &session->client.peer,
                                          .helo = session->ehlo,
                                          .local = sender->local,
                                          .domain = sender->domain,
                                          .look_up = look_up,
                                          .context = &asking};

    if (session->policy_known || session_may_relay(session) || session->client.is_local)
        return;
    session->policy_known = true;
    session->policy = spf_check(&question);
    log_info("SPF of %s for %s: %s", sender_policy_domain(session), session->client.peer_ip,
             sender_policy_name(session));
}

const char *sender_policy_name(const struct session *session) {
    return session->policy_known ? spf_result_names[session->policy] : "";
}

void sender_policy_dmarc(struct session *session, const char *from_domain, struct text dkim_results) {
    struct transaction *transaction = &session->transaction;
    struct asking asking = {session->start->resolver, clock_deadline(TIME_LIMIT_MS)};

    sender_policy_gather(session);
    const struct dmarc_question question = {
        .from = from_domain,
        .spf = session->policy_known && session->policy == SPF_PASS ? sender_policy_domain(session) : "",
        .dkim_results = dkim_results,
        .look_up = look_up,
        .context = &asking};
    transaction->dmarc = dmarc_check(&question, &transaction->dmarc_policy);
    log_info("DMARC of %s: %s, p=%s", from_domain, dmarc_result_names[transaction->dmarc],
             dmarc_policy_names[transaction->dmarc_policy]);
}
