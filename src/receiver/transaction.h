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
#include "smtp/chunk_decoder.h"
#include "spf/dmarc.h"

#define RULE_NAME_SIZE 64

struct session;
struct transaction {
    bool open;
    struct address from;
    char from_text[2 * ADDRESS_SIZE];
    bool utf8;                /* SMTPUTF8 was asked for (RFC 6531) */
    uint64_t declared_size;   /* SIZE=, 0 when absent (RFC 1870) */
    unsigned tried;           /* RCPT commands that named an address */
    unsigned accepted;        /* RCPT commands that were accepted, each address once */
    unsigned told;            /* refused recipients that were reported */
    struct envelope envelope; /* holds the accepted recipients */
    struct envelope merged; /* of them, what leads where another leads: in the envelope when that is removed; a list */
    struct message message;
    enum dmarc_result dmarc;        /* what it said, when it was asked */
    enum dmarc_policy dmarc_policy; /* of the From field's domain */
    bool complete;                  /* all of the message has come, */
    bool changeable;                /* and its signature was checked */
    bool header_judged;             /* the rules were asked about its header, */
    struct header_refusal *refusal; /* and this is what they objected; or NULL */
    struct chunk_decoder chunks;    /* of BDAT */
    bool chunk_refused;             /* and of what follows nothing is kept */
    struct owed_reply *owed;        /* LMTP: one for each accepted RCPT, in their order */
    size_t owed_count;
};
/* Said when the client reads a reply again: at the end of the data or of the chunk. */
struct header_refusal {
    char rule[RULE_NAME_SIZE];
    struct reply reply;
};
/* RFC 2033 4.2: what became of the message for one recipient. Strings are owned. */
struct owed_reply {
    struct address address;
    char *recipient, *rule; /* rule: NULL, or the one that refused the message for this recipient */
    struct reply *refusal;  /* with rule */
};
struct recipient {
    struct address address;
    char text[2 * ADDRESS_SIZE];
    struct text targets; /* where it goes: a list of struct address_target, borrowed from the facts; "": there */
    unsigned notify;     /* bits of enum dsn_notify */
    struct text orcpt;   /* RFC 3461, borrowed from the command line */
};

void transaction_begin(struct session *session, const struct address *from);
void transaction_free(struct transaction *transaction);
/* True when this recipient was accepted before: it gets one copy. */
bool transaction_has(const struct transaction *transaction, const struct recipient *recipient);
/* True when recipients were named, and none of them is left: there is nothing to send. */
bool transaction_is_refused(const struct transaction *transaction);
/* Adds what it leads to, less what is in the envelope already. False, and nothing is added, when an alias would make
 * more than `maximum` recipients. */
bool transaction_accept(struct transaction *transaction, const struct recipient *recipient, size_t maximum);
/* Takes out what was accepted for this address; what it leads to stays where another leads there too. False: nothing.
 */
bool transaction_remove(struct transaction *transaction, const struct address *address);
/* True when the message was forwarded by us before, for one of those whose mail would be forwarded again now. */
bool transaction_goes_in_circles(const struct transaction *transaction);
/* Tells the ledger why somebody's mail does not come; bounded by recipient_maximum a transaction. */
void transaction_refuse(struct session *session, const struct recipient *recipient, const struct reply *reply);
/* Fills what the session knows into the envelope, before it is formatted. */
void transaction_complete_envelope(struct session *session);
/* Asks the rules about a header section that is complete, once. What they refuse is not kept any further. */
void transaction_judge_header(struct session *session);
/* ---- transaction_notices.c ---- */
/* Puts into the envelope where notices go: to the sender, when he is one of ours, and to the owners of lists. Asks
 * lookup about whom nobody has asked yet. */
void transaction_name_targets(struct session *session);

/* ---- transaction_lmtp.c ---- */
/* A reply is due to this accepted RCPT when the data has ended; also to one that names a recipient again. */
void transaction_owe_reply(struct transaction *transaction, const struct recipient *recipient);
/* Asks the rules about the whole message for each recipient alone. Those that they refuse leave the envelope and get
 * their refusal in transaction_answer. */
void transaction_judge_each(struct session *session);
/* What follows the end of data: one reply, or with LMTP one for each accepted RCPT. */
void transaction_answer(struct session *session, const struct reply *reply, const char *rule,
                        enum violation_mercy mercy);
void transaction_free_owed(struct transaction *transaction);

/* ---- transaction_store.c ---- */
/* The first address of the one From field: good enough to choose a key by. False: there is no such one. */
bool transaction_author(struct text header, struct address *author);
/* Headers, signature, commit: what follows the end of data. Sends the reply. */
void transaction_store(struct session *session);
#endif
