/* SPDX-License-Identifier: MIT
 * Overlapping DNS questions of one connection. Called by facts.c, confined; the answers become facts and remote_name,
 * and the questions' memory is given back. A list that does not answer lists nobody. */
#include "receiver/facts/questions.h"
#include "base/log.h"
#include "base/memory.h"
#include "receiver/facts/facts.h"
#include "receiver/facts/listings.h"
#include "receiver/session.h"
#include <stdlib.h>
#include <string.h>

#define CONFIRM_MAXIMUM 3 /* PTR names that are looked at */

enum { QUESTION_PTR, QUESTION_A, QUESTION_AAAA, QUESTION_LISTS };
struct questions {
    size_t count;
    struct dns_question items[]; /* PTR, A, AAAA, then one for each of config->dnsbls */
};

static struct questions *questions_new(size_t list_count) {
    size_t count = QUESTION_LISTS + list_count;
    struct questions *questions = memory_new(1, sizeof *questions + count * sizeof questions->items[0]);

    questions->count = count;
    for (size_t i = 0; i < count; i++) { /* not asked: nothing to wait for */
        questions->items[i].done = true;
        questions->items[i].answer.status = DNS_BAD_NAME;
    }
    return questions;
}

void facts_free_questions(struct session *session) {
    for (size_t i = 0; session->questions != NULL && i < session->questions->count; i++)
        dns_question_free(&session->questions->items[i]);
    free(session->questions);
    session->questions = NULL;
}

static void ask(struct session *session, size_t which, const char *name, enum dns_type type) {
    (void)dns_question_ask(session->start->resolver, &session->questions->items[which], name, type);
}

void facts_ask_connection(struct session *session) {
    const struct config *config = session->config;
    struct text ip = text_of(session->client.peer_ip);
    size_t lists = session->client.role == ROLE_MX ? config->dnsbl_count : 0;
    bool reverse = config->reverse_lookup && session->client.told_name == REVERSE_NOT_ASKED;
    char name[256];

    if (session->client.is_local || (!reverse && lists == 0))
        return;
    session->questions = questions_new(lists);
    if (reverse && network_reverse_name(ip, NULL, name, sizeof name))
        ask(session, QUESTION_PTR, name, DNS_TYPE_PTR);
    for (size_t i = 0; i < lists; i++)
        if (config->dnsbls[i].subject == DNSBL_CLIENT &&
            network_reverse_name(ip, config->dnsbls[i].zone, name, sizeof name))
            ask(session, QUESTION_LISTS + i, name, DNS_TYPE_A);
}

enum name_standing questions_ask_name(struct session *session, const char *name) {
    if (session->questions == NULL)
        session->questions = questions_new(0);
    struct questions *questions = session->questions;
    ask(session, QUESTION_A, name, DNS_TYPE_A);
    ask(session, QUESTION_AAAA, name, DNS_TYPE_AAAA);
    dns_question_collect(session->start->resolver, questions->items, questions->count);
    return facts_name_standing((enum dns_status)questions->items[QUESTION_A].answer.status,
                               (enum dns_status)questions->items[QUESTION_AAAA].answer.status);
}

static void take_lists(struct session *session) {
    const struct questions *questions = session->questions;
    struct listings *listings = &session->facts.client_lists;

    for (size_t i = QUESTION_LISTS; i < questions->count; i++)
        listings_take(listings, &session->config->dnsbls[i - QUESTION_LISTS], &questions->items[i]);
    if (questions->count > QUESTION_LISTS)
        listings_explain(session, listings);
}

static bool holds_ip(const struct dns_question *question, const char *ip) {
    struct text records = question->answer.records;
    struct dns_record record;

    while (question->answer.status == DNS_FOUND && dns_question_next(&records, &record))
        if (text_equal_nocase(record.value, text_of(ip)))
            return true;
    return false;
}

static bool is_failure(const struct dns_question *question) {
    return question->answer.status == DNS_SERVFAIL || question->answer.status == DNS_TIMEOUT;
}

/* A PTR name counts when it leads back to the address: anybody may write any name into his reverse zone. */
static enum reverse_standing confirm_name(struct session *session) {
    struct dns_question confirming[CONFIRM_MAXIMUM] = {{.name = ""}};
    bool v6 = strchr(session->client.peer_ip, ':') != NULL, failed = false;
    struct text records = session->questions->items[QUESTION_PTR].answer.records;
    struct dns_record record;
    size_t count = 0;

    while (count < CONFIRM_MAXIMUM && dns_question_next(&records, &record)) {
        char name[256];
        bool valid = text_copy(name, sizeof name, record.value) && address_domain_is_valid(record.value, false);
        if (valid && session->claimed_name[0] == '\0')
            (void)text_copy(session->claimed_name, sizeof session->claimed_name, record.value);
        if (valid)
            (void)dns_question_ask(session->start->resolver, &confirming[count++], name,
                                   v6 ? DNS_TYPE_AAAA : DNS_TYPE_A);
    }
    dns_question_collect(session->start->resolver, confirming, count);
    for (size_t i = 0; i < count; i++) {
        if (session->remote_name[0] == '\0' && holds_ip(&confirming[i], session->client.peer_ip))
            (void)text_copy(session->remote_name, sizeof session->remote_name, text_of(confirming[i].name));
        failed = failed || is_failure(&confirming[i]);
        dns_question_free(&confirming[i]);
    }
    return session->remote_name[0] != '\0' ? REVERSE_CONFIRMED : failed ? REVERSE_UNVERIFIED : REVERSE_UNCONFIRMED;
}

static enum reverse_standing take_name(struct session *session) {
    const struct dns_question *question = &session->questions->items[QUESTION_PTR];

    if (question->name[0] == '\0')
        return REVERSE_NOT_ASKED;
    if (is_failure(question))
        return REVERSE_TEMPFAIL;
    return question->answer.status == DNS_FOUND ? confirm_name(session) : REVERSE_MISSING;
}

void facts_collect_connection(struct session *session) {
    struct questions *questions = session->questions;

    if (questions == NULL)
        return;
    dns_question_collect(session->start->resolver, questions->items, questions->count);
    take_lists(session);
    if (session->facts.reverse == REVERSE_NOT_ASKED) /* a second EHLO asks nothing more of the connection */
        session->facts.reverse = take_name(session);
    facts_free_questions(session);
}
