/* SPDX-License-Identifier: MIT
 * What the sender's domain says of the client's address: SPF (RFC 7208), asked once a MAIL, when somebody wants to
 * know.
 */
#ifndef RECEIVER_SENDER_POLICY_H
#define RECEIVER_SENDER_POLICY_H
struct session;
/* Asks, when it has not been asked for this sender. Nobody asks about members and programs of this host. */
void sender_policy_gather(struct session *session);
/* "pass", "softfail" …; "" when it was not asked. */
const char *sender_policy_name(const struct session *session);
/* The domain that was asked about: the sender's, or the HELO name for <>. */
const char *sender_policy_domain(const struct session *session);
#endif
