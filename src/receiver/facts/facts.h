/* SPDX-License-Identifier: MIT
 * Gathering the facts that rules look at: DNS questions that overlap, and what the lookup process knows. */
#ifndef RECEIVER_FACTS_H
#define RECEIVER_FACTS_H
#include "ipc/ask.h"
#include "receiver/rules/rule.h"

#define FACTS_TARGETS_MAXIMUM (8u << 20)

struct session;
/* Sends the questions about the connection itself (PTR, DNS lists), without waiting for their answers. */
void facts_ask_connection(struct session *session);
/* Gathers those of `wanted` that are not known yet. */
void facts_gather(struct session *session, unsigned wanted);
/* Forgets facts of what changed: a new EHLO, a new sender, a new recipient. */
void facts_forget(struct session *session, unsigned which);
/* Waits for the answers about the connection: remote_name is known afterwards. */
void facts_collect_connection(struct session *session);
void facts_free(struct session *session);

/* The judgements, from DNS statuses alone. */
enum name_standing facts_name_standing(enum dns_status a, enum dns_status aaaa);
enum domain_standing facts_domain_standing(enum dns_status mx, bool null_mx, enum dns_status a, enum dns_status aaaa);
/* A literal, <>, <postmaster> and an internationalised name that is not in ASCII have no domain to ask about. */
bool facts_can_be_asked(const char *domain);
#endif
