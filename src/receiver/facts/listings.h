/* SPDX-License-Identifier: MIT
 * What DNS lists (RFC 5782) say: answers that count, weights, words. */
#ifndef RECEIVER_LISTINGS_H
#define RECEIVER_LISTINGS_H
#include "ipc/ask.h"
#include "receiver/rules/rule.h"
struct session;
/* The name to ask a list about a domain; false when there is none. */
bool listings_domain_name(const struct config_dnsbl *list, const char *domain, char *name, size_t size);
/* True when a list's answer means "listed": one of its `answers`, or any of 127.0.0.0/8 without 127.255.255.0/24, which
 * RFC 5782 lists use to say that they were asked wrongly. */
bool listings_answer_counts(const struct config_dnsbl *list, struct text ip);
/* Adds what a list answered, or did not. */
void listings_take(struct listings *listings, const struct config_dnsbl *list, const struct dns_question *question);
/* All have been taken: asks for words where the score is one to be refused. */
void listings_explain(const struct session *session, struct listings *listings);
/* Asks the lists of EHLO names and senders' domains, for the MAIL in hand. */
void listings_ask_domains(struct session *session);
#endif
