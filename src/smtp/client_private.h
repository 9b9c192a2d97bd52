/* SPDX-License-Identifier: MIT
 * What the client's files share: waiting for replies, writing commands, ending a connection. */
#ifndef SMTP_CLIENT_PRIVATE_H
#define SMTP_CLIENT_PRIVATE_H
#include "smtp/client.h"

/* RFC 5321 4.5.3.2 minima, in seconds. */
enum client_phase {
    PHASE_GREETING,
    PHASE_HELLO,
    PHASE_AUTH,
    PHASE_MAIL,
    PHASE_RCPT,
    PHASE_DATA_INIT,
    PHASE_DATA_BLOCK,
    PHASE_DATA_END,
    PHASE_RSET,
    PHASE_QUIT,
    CLIENT_PHASES
};
/* Sees each line of a reply before it is joined to the one line in client->reply. */
typedef void client_line(struct client *client, unsigned number, struct text text);

int64_t client_deadline(const struct client *client, enum client_phase phase);
/* Appends one command line to the output. False when the connection is lost (client->reply says how). */
bool client_command(struct client *client, enum client_phase phase, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for a line nobody may read: `shown` is what the trace sees. */
bool client_secret(struct client *client, enum client_phase phase, const char *shown, struct text before,
                   struct text secret);
/* Appends bytes to the output, which flushes itself when full. Failing is told as by client_flush. */
bool client_write(struct client *client, enum client_phase phase, struct text bytes);
/* Writes what is held back. False when the connection is lost; in PHASE_DATA_BLOCK code and reply are what the server
 * had to say about the data before it closed, if anything. */
bool client_flush(struct client *client, enum client_phase phase);
/* Reads one whole reply into client->code and client->reply. False when there was none: timeout, lost, malformed; then
 * the connection is closed, code is 0 and reply holds our words. A 421 is returned as a reply, with open false. */
bool client_read_reply(struct client *client, enum client_phase phase, client_line *seen);
/* What came without being asked for would be taken for the answer to what is said next, such as a 250 before the end of
 * the data for its verdict. True when nothing did; else the connection is lost, and in PHASE_DATA_BLOCK an error is the
 * verdict. False also when the connection is lost already. */
bool client_hears_nothing(struct client *client, enum client_phase phase);
/* Closes without QUIT. */
void client_drop(struct client *client);
/* Sets code 0 and our own words ("451 4.4.2 …"), and closes. */
void client_lose(struct client *client, const char *format, ...) __attribute__((format(printf, 2, 3)));
void client_note(struct client *client, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* EHLO, HELO, LHLO with their replies (client_hello.c). */
bool client_hello(struct client *client);
/* TLS and login, as the settings ask (client_auth.c). */
enum client_opening client_meet_route(struct client *client);
#endif
