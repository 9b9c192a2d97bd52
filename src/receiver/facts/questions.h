/* SPDX-License-Identifier: MIT
 * The DNS questions about a connection: its PTR name, the lists it may be on, its EHLO domain. They are asked in one go
 * and collected in one go, because answers that nobody waits for are dropped. */
#ifndef RECEIVER_QUESTIONS_H
#define RECEIVER_QUESTIONS_H
#include "receiver/rules/rule.h"
struct session;
void facts_free_questions(struct session *session);
/* Asks A and AAAA of the EHLO domain and collects them together with whatever else is under way. */
enum name_standing questions_ask_name(struct session *session, const char *name);
#endif
