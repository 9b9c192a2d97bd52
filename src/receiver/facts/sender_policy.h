/* SPDX-License-Identifier: MIT
 * What the sender's domain says of the client's address: SPF (RFC 7208), asked once a MAIL, and what the author's says
 * of the message: DMARC (RFC 7489); each when somebody wants to know. */
#ifndef RECEIVER_SENDER_POLICY_H
#define RECEIVER_SENDER_POLICY_H
#include "base/text.h"
struct session;
/* Asks, when it has not been asked for this sender. Nobody asks about members and programs of this host. */
void sender_policy_gather(struct session *session);
/* DMARC (RFC 7489) of the message in hand: its result and the domain's policy are in the transaction afterwards.
 * dkim_results: as in Authentication-Results. */
void sender_policy_dmarc(struct session *session, const char *from_domain, struct text dkim_results);
/* "pass", "softfail" …; "" when it was not asked. */
const char *sender_policy_name(const struct session *session);
/* The domain that was asked about: the sender's, or the HELO name for <>. */
const char *sender_policy_domain(const struct session *session);
#endif
