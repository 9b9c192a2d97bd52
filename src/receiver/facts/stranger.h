/* SPDX-License-Identifier: MIT
 * Facts about strangers that the ledger knows: rates, and greylisting. Each is asked only where its key is set. */
#ifndef RECEIVER_STRANGER_H
#define RECEIVER_STRANGER_H
#include "mail/envelope.h"
#include "receiver/rules/rule.h"
struct session;
/* Whether the contact is on the key allow, and what the ledger said of it. */
void stranger_is_known(struct session *session, const struct contact_state *state);
/* The words for facts->reverse, as rules and rows have them. */
const char *stranger_reverse_name(enum reverse_standing reverse);
/* Notes in the envelope what reverse look-up and lists said. */
void stranger_record(const struct session *session, struct envelope *envelope);
/* Who misbehaved waits for each reply, and nobody else: this process has one client. */
void stranger_slow_down(struct session *session);
void stranger_count_message(struct session *session);
void stranger_count_recipient(struct session *session);
/* Counts only a recipient that does not exist. */
void stranger_count_unknown(struct session *session);
void stranger_try_greylist(struct session *session);
#endif
