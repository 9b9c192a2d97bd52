/* SPDX-License-Identifier: MIT
 * DNS lists, see listings.h. Called by questions.c for the client and by facts.c for domains, confined; a list that
 * does not answer lists nobody, and is logged. */
#include "receiver/facts/listings.h"
#include "base/log.h"
#include "base/memory.h"
#include "receiver/facts/facts.h"
#include "receiver/session.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRONG_QUESTIONS "127.255.255.[0..255]"

bool listings_domain_name(const struct config_dnsbl *list, const char *domain, char *name, size_t size) {
    int length;

    if (!facts_can_be_asked(domain))
        return false;
    length = snprintf(name, size, "%s.%s", domain, list->zone);
    return length > 0 && (size_t)length < size;
}

bool listings_answer_counts(const struct config_dnsbl *list, struct text ip) {
    if (list->answers.count == 0)
        return text_starts_nocase(ip, TEXT("127.")) && !network_pattern_matches(TEXT(WRONG_QUESTIONS), ip);
    for (size_t i = 0; i < list->answers.count; i++)
        if (network_pattern_matches(text_of(list->answers.items[i]), ip))
            return true;
    return false;
}

static bool is_listed(const struct config_dnsbl *list, const struct dns_question *question) {
    struct text records = question->answer.records;
    struct dns_record record;

    while (question->answer.status == DNS_FOUND && dns_question_next(&records, &record))
        if (listings_answer_counts(list, record.value))
            return true;
    return false;
}

static void add_name(struct listings *listings, const char *zone) {
    size_t used = strlen(listings->listed_in);

    (void)snprintf(listings->listed_in + used, sizeof listings->listed_in - used, "%s%s", used > 0 ? " " : "", zone);
}

void listings_take(struct listings *listings, const struct config_dnsbl *list, const struct dns_question *question) {
    unsigned status = question->answer.status;

    if (status == DNS_SERVFAIL || status == DNS_TIMEOUT)
        log_warn("the list %s does not answer", list->zone);
    if (!is_listed(list, question))
        return;
    if (list->allow) {
        listings->allowed = true;
        return;
    }
    listings->score += list->weight;
    if (list->weight <= 0)
        return;
    if (listings->listed_in[0] == '\0')
        (void)text_copy(listings->asked, sizeof listings->asked, text_of(question->name));
    add_name(listings, list->zone);
}

void listings_explain(const struct session *session, struct listings *listings) {
    struct dns_question question = {.name = ""};
    struct dns_record record;

    if (listings->allowed || listings->asked[0] == '\0' || listings->score < session->config->dnsbl_threshold)
        return;
    if (dns_lookup(session->start->resolver, listings->asked, DNS_TYPE_TXT, &question) == DNS_FOUND) {
        struct text records = question.answer.records;
        if (dns_question_next(&records, &record))
            (void)text_printable(listings->text, sizeof listings->text, record.value);
    }
    dns_question_free(&question);
}

/* One question each, asked in one go and collected in one go. */
void listings_ask_domains(struct session *session) {
    const struct config *config = session->config;
    struct listings *listings = &session->facts.domain_lists;
    struct dns_question *questions;
    char name[256];

    *listings = (struct listings){.score = 0};
    if (config->dnsbl_domain_count == 0 || session->facts.allowed)
        return;
    questions = memory_new(config->dnsbl_count, sizeof *questions);
    for (size_t i = 0; i < config->dnsbl_count; i++) {
        const struct config_dnsbl *list = &config->dnsbls[i];
        const char *domain = list->subject == DNSBL_EHLO ? session->facts.ehlo : session->facts.sender->domain;
        questions[i].done = true; /* not asked: nothing to wait for */
        questions[i].answer.status = DNS_BAD_NAME;
        if (list->subject != DNSBL_CLIENT && listings_domain_name(list, domain, name, sizeof name))
            (void)dns_question_ask(session->start->resolver, &questions[i], name, DNS_TYPE_A);
    }
    dns_question_collect(session->start->resolver, questions, config->dnsbl_count);
    for (size_t i = 0; i < config->dnsbl_count; i++) {
        listings_take(listings, &config->dnsbls[i], &questions[i]);
        dns_question_free(&questions[i]);
    }
    free(questions);
    listings_explain(session, listings);
}
