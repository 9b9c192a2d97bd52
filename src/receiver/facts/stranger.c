/* SPDX-License-Identifier: MIT
 * Asking the ledger about strangers. Called by facts.c and session.c, confined. Whoever is on the key allow is no
 * stranger; a ledger that cannot be asked limits nobody. */
#include "receiver/facts/stranger.h"
#include "receiver/facts/facts.h"
#include "receiver/session.h"
#include <stdio.h>

void stranger_is_known(struct session *session, const struct contact_state *state) {
    session->facts.allowed = state->allowed != 0;
    session->facts.known_good = state->allowed != 0 || state->known_good != 0;
    session->violations = state->violations;
}

const char *stranger_reverse_name(enum reverse_standing reverse) {
    static const char *const words[] = {[REVERSE_NOT_ASKED] = "",
                                        [REVERSE_CONFIRMED] = "confirmed",
                                        [REVERSE_UNCONFIRMED] = "unconfirmed",
                                        [REVERSE_UNVERIFIED] = "unverified",
                                        [REVERSE_MISSING] = "missing",
                                        [REVERSE_TEMPFAIL] = "unanswered"};

    return words[reverse];
}

void stranger_record(const struct session *session, struct envelope *envelope) {
    const struct rule_facts *facts = &session->facts;
    int64_t score = facts->client_lists.score + facts->domain_lists.score;
    char shown[24];

    envelope_set(&envelope->reverse, text_of(stranger_reverse_name(facts->reverse)));
    envelope_set(&envelope->listed_in, text_of(facts->client_lists.listed_in));
    if (session->client.role != ROLE_MX || session->config->dnsbl_count == 0)
        return;
    (void)snprintf(shown, sizeof shown, "%lld", (long long)score);
    envelope_set(&envelope->dnsbl_score, text_of(shown));
}

void stranger_slow_down(struct session *session) {
    if (!session->facts.allowed && session->client.role != ROLE_LMTP)
        session_delay(session, (uint64_t)session->config->slow_reply_ms * session->violations);
}

static enum contact_over count(const struct session *session, enum contact_event event, bool limited) {
    const struct contact_count question = {
        .contact = text_of(session->client.contact), .network = text_of(session->client.network), .event = event};

    return limited && !session->facts.allowed ? ask_contact_count(session->start->ledger, &question) : CONTACT_WITHIN;
}

void stranger_count_message(struct session *session) {
    const struct config *config = session->config;

    session->facts.message_rate =
        count(session, CONTACT_MESSAGE, config->contact_message_rate > 0 || config->network_message_rate > 0);
}

void stranger_count_recipient(struct session *session) {
    const struct config *config = session->config;

    session->facts.recipient_rate =
        count(session, CONTACT_RECIPIENT, config->contact_recipient_rate > 0 || config->network_recipient_rate > 0);
}

void stranger_count_unknown(struct session *session) {
    facts_gather(session, FACT_RECIPIENT_STANDING);
    session->facts.unknown_budget =
        count(session, CONTACT_UNKNOWN_RECIPIENT,
              session->config->unknown_recipients_maximum > 0 && session->facts.recipient_standing == STANDING_UNKNOWN);
}

void stranger_try_greylist(struct session *session) {
    struct rule_facts *facts = &session->facts;
    char recipient[2 * ADDRESS_SIZE];

    facts->greylist_wait = 0;
    if (!session->config->greylisting || facts->known_good)
        return;
    facts_gather(session, FACT_LISTINGS);
    if (facts->client_lists.allowed)
        return;
    const struct greylist_ask question = {
        .network = text_of(session->client.network),
        .sender = text_of(session->transaction.from_text),
        .recipient = text_of(address_text(facts->recipient, recipient, sizeof recipient)),
    };
    facts->greylist_wait = ask_greylist(session->start->ledger, &question);
}
