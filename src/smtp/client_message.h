/* SPDX-License-Identifier: MIT
 * What the files that send one message share: verdicts, what the message needs of the server, its data. */
#ifndef SMTP_CLIENT_MESSAGE_H
#define SMTP_CLIENT_MESSAGE_H
#include "smtp/client_private.h"

enum client_verdict client_verdict_of(unsigned code);
/* Our own words. */
void client_set_verdict(struct client_recipient *recipient, enum client_verdict verdict, const char *reply);
/* By the last reply, or what stands in its place. */
void client_set_answered(struct client_recipient *recipient, enum client_verdict verdict, const struct client *client);
/* The same for everybody who has no verdict yet. */
void client_set_remaining(struct client_message *message, enum client_verdict verdict, const struct client *client);
void client_refuse_remaining(struct client_message *message, enum client_verdict verdict, const char *reply);
size_t client_count(const struct client_message *message, enum client_verdict verdict);
/* What an extension's absence decides before anything is sent; nothing is ever converted (client_needs.c). */
void client_refuse_without_asking(const struct client *client, struct client_message *message);
/* MAIL with its parameters. */
bool client_perform_mail(struct client *client, const struct client_message *message);
/* The mail data behind 354, with its end; or as one chunk (RFC 3030). False when it could not all be sent
 * (client_content.c). */
bool client_send_lines(struct client *client, struct client_message *message);
bool client_send_chunk(struct client *client, struct client_message *message);
/* SMTP: one reply for all. LMTP (RFC 2033 4.2): one for each accepted recipient, in the order of the RCPTs. */
void client_response_content(struct client *client, struct client_message *message);
#endif
