/* SPDX-License-Identifier: MIT
 * Gathering facts. Called by the rules' evaluation and at the session's start, confined; asks resolver and lookup. What
 * can be asked at the same time is: the questions about a connection go out before its greeting and are collected with
 * those about its EHLO domain. A service that is gone gives TEMPFAIL facts. */
#include "receiver/facts/facts.h"
#include "base/log.h"
#include "base/memory.h"
#include "receiver/commands/command.h"
#include "receiver/facts/listings.h"
#include "receiver/facts/member.h"
#include "receiver/facts/questions.h"
#include "receiver/facts/stranger.h"
#include "receiver/session.h"
#include <stdlib.h>

void facts_forget(struct session *session, unsigned which) {
    session->facts_known &= ~which;
}

static bool is_failure(enum dns_status status) {
    return status == DNS_SERVFAIL || status == DNS_TIMEOUT;
}

enum name_standing facts_name_standing(enum dns_status a, enum dns_status aaaa) {
    bool exists = a == DNS_FOUND || a == DNS_NO_DATA || aaaa == DNS_FOUND || aaaa == DNS_NO_DATA;

    if (exists)
        return NAME_EXISTS;
    /* NXDOMAIN is said of the name, whatever the type (RFC 8020): one answer is enough. */
    return is_failure(a) && is_failure(aaaa) ? NAME_TEMPFAIL : NAME_MISSING;
}

enum domain_standing facts_domain_standing(enum dns_status mx, bool null_mx, enum dns_status a, enum dns_status aaaa) {
    if (mx == DNS_FOUND)
        return null_mx ? DOMAIN_NULL_MX : DOMAIN_TAKES_MAIL;
    if (is_failure(mx)) /* RFC 5321 5.1: only when the MX look-up succeeded is A of any meaning */
        return DOMAIN_TEMPFAIL;
    if (mx != DNS_NO_DATA)
        return DOMAIN_MISSING;
    if (a == DNS_FOUND || aaaa == DNS_FOUND)
        return DOMAIN_TAKES_MAIL;
    return is_failure(a) || is_failure(aaaa) ? DOMAIN_TEMPFAIL : DOMAIN_NO_SERVER;
}

/* RFC 7505 3: one record of preference 0 whose exchanger is the root. */
static bool is_null_mx(const struct dns_question *mx) {
    struct text records = mx->answer.records;
    struct dns_record record;
    bool root = false;
    unsigned count = 0;

    while (dns_question_next(&records, &record)) {
        count++;
        root = record.value.length == 0 || text_equal(record.value, TEXT("."));
    }
    return count == 1 && root;
}

static enum domain_standing ask_domain(const struct session *session, const char *domain) {
    enum { MX, A, AAAA, QUESTIONS };
    static const enum dns_type types[QUESTIONS] = {DNS_TYPE_MX, DNS_TYPE_A, DNS_TYPE_AAAA};
    struct dns_question *questions = memory_new(QUESTIONS, sizeof *questions);
    int resolver = session->start->resolver;

    for (size_t i = 0; i < QUESTIONS; i++)
        (void)dns_question_ask(resolver, &questions[i], domain, types[i]);
    dns_question_collect(resolver, questions, QUESTIONS);
    enum domain_standing standing = facts_domain_standing(
        (enum dns_status)questions[MX].answer.status, is_null_mx(&questions[MX]),
        (enum dns_status)questions[A].answer.status, (enum dns_status)questions[AAAA].answer.status);
    for (size_t i = 0; i < QUESTIONS; i++)
        dns_question_free(&questions[i]);
    free(questions);
    return standing;
}

bool facts_can_be_asked(const char *domain) {
    struct text name = text_of(domain);

    return name.length > 0 && !address_is_literal(name) && !text_has_eight_bit(name);
}

/* What a filter calls itself says nothing of its clients. */
static void gather_ehlo_domain(struct session *session) {
    struct rule_facts *facts = &session->facts;
    bool speaks_for_itself = !session->client.filter || session->client.spoken_for;

    facts->ehlo_domain = NAME_NOT_ASKED;
    if (speaks_for_itself && facts->config->ehlo_domain_verifies && facts_can_be_asked(facts->ehlo))
        facts->ehlo_domain = questions_ask_name(session, facts->ehlo);
    facts_collect_connection(session);
}

/* The recipient that a pipelining client has named already is asked about with what is asked now (RFC 2920). */
static void look_ahead(const struct session *session, const char *sender, char recipient[2 * ADDRESS_SIZE],
                       struct address_known *known) {
    struct address next;

    if (command_rcpt_is_next(session, &next)) {
        known->next = address_text(&next, recipient, 2 * ADDRESS_SIZE);
        known->next_sender = sender;
    }
}

static void gather_sender_standing(struct session *session) {
    char address[2 * ADDRESS_SIZE], next[2 * ADDRESS_SIZE];
    struct rule_facts *facts = &session->facts;
    struct address_known known = {.targets = &facts->sender_targets};

    facts->sender_standing = STANDING_REMOTE;
    buffer_clear(&facts->sender_targets);
    if (address_is_null(facts->sender))
        return;
    look_ahead(session, address_text(facts->sender, address, sizeof address), next, &known);
    facts->sender_standing = ask_address(session->start->lookup, address, "", &known);
    known.next = NULL;
    /* A sender of ours that nobody is, as root's in mail from cron: the postmaster hears of what becomes of it. */
    if (facts->sender_standing == STANDING_UNKNOWN)
        (void)ask_address(session->start->lookup, "postmaster", "", &known);
}

static void gather_sender_login(struct session *session) {
    char address[2 * ADDRESS_SIZE];
    struct rule_facts *facts = &session->facts;

    facts->sender_login = LOGIN_OK;
    if (facts->account[0] != '\0' && !address_is_null(facts->sender))
        facts->sender_login =
            ask_may_send(session->start->lookup, facts->account, address_text(facts->sender, address, sizeof address));
}

static void gather_sender_domain(struct session *session) {
    struct rule_facts *facts = &session->facts;

    facts_gather(session, FACT_SENDER_STANDING);
    facts->sender_domain = DOMAIN_NOT_ASKED;
    if (facts->config->sender_domain_verifies && facts->sender_standing == STANDING_REMOTE &&
        facts_can_be_asked(facts->sender->domain))
        facts->sender_domain = ask_domain(session, facts->sender->domain);
}

static void gather_recipient_standing(struct session *session) {
    char address[2 * ADDRESS_SIZE], next[2 * ADDRESS_SIZE];
    struct rule_facts *facts = &session->facts;
    struct address_known known = {.targets = &facts->recipient_targets};

    look_ahead(session, session->transaction.from_text, next, &known);
    facts->recipient_standing =
        ask_address(session->start->lookup, address_text(facts->recipient, address, sizeof address),
                    session->transaction.from_text, &known);
}

/* Not by the domain's own servers. */
static bool leads_elsewhere(const struct config_route *route) {
    return route->transport[0] != '\0' && !text_equal(text_of(route->transport), TEXT("smtp"));
}

/* A route of the operator's decides where the mail goes; one for all domains leaves the domain's own refusal valid. */
static enum domain_standing with_routes(const struct config *config, const char *domain,
                                        enum domain_standing standing) {
    const struct config_route *route = config_route_find(config, text_of(domain));

    if (route == NULL || (route->host[0] == '\0' && !leads_elsewhere(route)))
        return standing;
    return text_equal(text_of(route->domain), TEXT("*")) && standing == DOMAIN_NULL_MX ? standing : DOMAIN_NOT_ASKED;
}

static void gather_recipient_domain(struct session *session) {
    struct rule_facts *facts = &session->facts;
    const char *domain = facts->recipient->domain;

    facts_gather(session, FACT_RECIPIENT_STANDING);
    facts->recipient_domain = DOMAIN_NOT_ASKED;
    if (facts->recipient_standing == STANDING_REMOTE && facts_can_be_asked(domain))
        facts->recipient_domain = with_routes(facts->config, domain, ask_domain(session, domain));
}

void facts_free(struct session *session) {
    facts_free_questions(session);
    buffer_free(&session->facts.sender_targets);
    buffer_free(&session->facts.recipient_targets);
}

static const struct {
    enum rule_fact fact;
    void (*gather)(struct session *session);
} gatherers[] = {
    {FACT_EHLO_DOMAIN, gather_ehlo_domain},           {FACT_LISTINGS, facts_collect_connection},
    {FACT_SENDER_STANDING, gather_sender_standing},   {FACT_SENDER_LOGIN, gather_sender_login},
    {FACT_SENDER_DOMAIN, gather_sender_domain},       {FACT_RECIPIENT_STANDING, gather_recipient_standing},
    {FACT_RECIPIENT_DOMAIN, gather_recipient_domain}, {FACT_DOMAIN_LISTINGS, listings_ask_domains},
    {FACT_MESSAGE_RATE, stranger_count_message},      {FACT_RECIPIENT_RATE, stranger_count_recipient},
    {FACT_UNKNOWN_BUDGET, stranger_count_unknown},    {FACT_GREYLIST, stranger_try_greylist},
    {FACT_ACCOUNT_MESSAGE, member_count_message},     {FACT_ACCOUNT_RECIPIENT, member_count_recipient},
    {FACT_HEADER_FROM, member_check_header},
};

void facts_gather(struct session *session, unsigned wanted) {
    for (size_t i = 0; i < sizeof gatherers / sizeof gatherers[0]; i++) {
        unsigned fact = gatherers[i].fact;
        if (!(wanted & fact) || (session->facts_known & fact))
            continue;
        gatherers[i].gather(session);
        session->facts_known |= fact;
    }
}
