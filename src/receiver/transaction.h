/* SPDX-License-Identifier: MIT
 * One mail transaction: reverse-path, accepted recipients, message; and one recipient, which lives for its RCPT only.
 */
#ifndef RECEIVER_TRANSACTION_H
#define RECEIVER_TRANSACTION_H
#include "ipc/messages.h"
#include "mail/address.h"
#include "mail/envelope.h"
#include "mail/reply.h"
#include "receiver/message.h"

struct session;
struct transaction {
    bool open;
    struct address from;
    char from_text[2 * ADDRESS_SIZE];
    bool utf8;                /* SMTPUTF8 was asked for (RFC 6531) */
    uint64_t declared_size;   /* SIZE=, 0 when absent (RFC 1870) */
    unsigned tried;           /* RCPT commands that named an address */
    unsigned told;            /* refused recipients that were reported */
    struct envelope envelope; /* holds the accepted recipients */
    struct message message;
};
struct recipient {
    struct address address;
    char text[2 * ADDRESS_SIZE];
    enum envelope_delivery delivery;
    const char *target; /* where it goes; borrowed from the facts */
    unsigned notify;    /* bits of enum dsn_notify */
    struct text orcpt;  /* RFC 3461, borrowed from the command line */
};

void transaction_begin(struct session *session, const struct address *from);
void transaction_free(struct transaction *transaction);
/* True when this recipient was accepted before: it gets one copy. */
bool transaction_has(const struct transaction *transaction, const struct recipient *recipient);
void transaction_accept(struct transaction *transaction, const struct recipient *recipient);
/* Tells the ledger why somebody's mail does not come; bounded by recipient_maximum a transaction. */
void transaction_refuse(struct session *session, const struct recipient *recipient, const struct reply *reply);
/* Fills what the session knows into the envelope, before it is formatted. */
void transaction_complete_envelope(struct session *session);
/* Headers, signature, commit: what follows the end of data. Sends the reply. */
void transaction_store(struct session *session);
#endif
