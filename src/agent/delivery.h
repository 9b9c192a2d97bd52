/* SPDX-License-Identifier: MIT
 * One job inside the agent: a message, the recipients it is for, and what became of each. Filled from AGENT_JOB, worked
 * on by a transport, sent back as AGENT_RESULT. */
#ifndef AGENT_DELIVERY_H
#define AGENT_DELIVERY_H
#include "ipc/list.h"
#include "mail/envelope.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DELIVERY_REPLY_SIZE 512
#define DELIVERY_PIECE (32u * 1024)
#define DELIVERY_TRACE_SIZE 1024

struct delivery_recipient { /* strings owned */
    uint32_t index;         /* in the envelope */
    char *target, *to_url, *notify, *orcpt;
    bool done; /* kind and reply are set */
    enum result_kind kind;
    enum result_onward onward; /* of RESULT_DELIVERED */
    bool from_server;          /* reply is what the other server said */
    char reply[DELIVERY_REPLY_SIZE];
};
/* Added headers, then the message, read piece by piece from memory or a descriptor. */
struct delivery_content {
    int fd;              /* -1: all of it is in cargo */
    int job;             /* the channel to the runner; 0: none */
    struct buffer cargo; /* owned copy when inline */
    uint64_t offset;     /* of the message in fd */
    uint64_t message_length, headers_length;
    bool binary;                     /* BODY=BINARYMIME: what stands between its line ends is not ours to change */
    char trace[DELIVERY_TRACE_SIZE]; /* a field on top of all others, for this delivery alone */
    size_t trace_length;             /* 0: none */
    uint64_t position;               /* 0 … all lengths, in delivery order */
    char piece[DELIVERY_PIECE];
};
struct delivery {
    char mail_id[MAIL_ID_SIZE];
    char *from_url, *destination, *ret, *envid, *solicit; /* owned */
    enum envelope_body body;
    bool utf8, requiretls, tls_optional; /* as the envelope has them */
    bool local;                          /* for mailboxes of ours: local_filter is for them */
    struct delivery_content content;
    struct delivery_recipient *recipients;
    size_t count;
    enum tls_memory tls_memory; /* what the destination has shown of TLS before */
    /* what the attempt says of the destination */
    enum destination_standing standing;
    enum tls_memory tls_shown;
    /* facts for the attempts table */
    char route[200], host[256], address[64], tls[256];
    int64_t started_at, started_ms;
};
/* Takes a job apart; message->fd becomes the delivery's. False when it is malformed. */
bool delivery_read(struct delivery *delivery, struct channel_message *message);
void delivery_free(struct delivery *delivery);
/* Sends AGENT_RESULT; whoever has no result is deferred. False when the runner is gone. */
bool delivery_report(struct delivery *delivery, int job, uint32_t serial, bool reusable);
void delivery_set(struct delivery_recipient *recipient, enum result_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* For every recipient without a result. */
void delivery_set_remaining(struct delivery *delivery, enum result_kind kind, const char *reply);
/* Forgets all results, so that another exchanger can be tried. */
void delivery_reset(struct delivery *delivery);

/* Puts "NAME: ADDRESS" on top. False, and there is none, when it is too long or not in ASCII. */
bool delivery_content_trace(struct delivery_content *content, const char *name, const char *address);
uint64_t delivery_content_size(const struct delivery_content *content);
void delivery_content_rewind(struct delivery_content *content);
/* The next piece, borrowed until the next call; empty at the end. False when it cannot be read, and at the end when the
 * runner is gone: a delivery whose result nobody hears of would only be made once more. */
bool delivery_content_next(struct delivery_content *content, struct text *piece);
/* Looks at every byte; false when it cannot be read. */
bool delivery_content_has_eight_bit(struct delivery_content *content, bool *eight_bit);
#endif
