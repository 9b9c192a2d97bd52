/* SPDX-License-Identifier: MIT
 * A notice: a multipart/report (RFC 3461 6, RFC 3462, RFC 3464) that tells one addressee of one kind of outcome for all
 * recipients that had it in one attempt. Values only; the runner sends it to the ledger together with the result, which
 * stores both or neither. */
#ifndef RUNNER_NOTICE_H
#define RUNNER_NOTICE_H
#include "base/buffer.h"
#include "mail/envelope.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NOTICE_HEADERS_MAXIMUM (32u * 1024) /* of the original that it quotes */
#define NOTICE_LEAST (6u * 1024)            /* room that a notice usually needs beside its recipients */

enum notice_kind {
    NOTICE_FAILED,
    NOTICE_DELAYED,
    NOTICE_EXPANDED, /* an alias led to several addresses; what becomes of them is not told as success any more */
    NOTICE_DELIVERED,
    NOTICE_RELAYED, /* handed to a server that will not tell */
    NOTICE_KINDS
};
struct notice_recipient { /* borrowed */
    const char *to_url, *target, *orcpt;
    struct text reply; /* one line, "550 5.1.1 …" */
    bool from_server;  /* reply is what the other server said */
    bool expired;      /* it was tried for as long as the queue's patience lasts; reply is the last one */
};
struct notice { /* borrowed */
    enum notice_kind kind;
    bool copy; /* for the postmaster, of what its addressee gets */
    const char *server_name, *server_title, *postmaster;
    char id[MAIL_ID_SIZE]; /* of the notice */
    const char *mail_id;   /* of what it is about */
    const char *addressee; /* who is told */
    struct text targets;   /* where that is delivered, as envelope->sender_targets has it; not empty */
    const char *envid, *message_id;
    const char *future_release; /* RFC 4865; NULL or "" when it was not asked for */
    const char *host;           /* the server that was talked to, "" for none */
    int64_t arrived_at, tried_since, attempted_at /* 0: nothing was tried just now */, expires_at, now;
    bool requiretls;      /* it goes on as what it is about does (RFC 8689 5) */
    struct text original; /* what is returned: the header section, or the whole message; "" when it cannot be read */
    bool whole;
    const struct notice_recipient *recipients;
    size_t count;
};
struct notice_lengths {
    size_t message, headers, envelope;
};
/* Appends the cargo: message, added headers, envelope. With less room than it could use it tells less of each recipient
 * and returns fewer headers. False when it does not fit into the buffer. */
bool notice_build(const struct notice *notice, struct buffer *cargo, struct notice_lengths *lengths);
/* One recipient for each place: "local:TARGET remote:TARGET …"; of a sender that stands for very many, the first ones.
 */
void notice_add_recipients(struct envelope *envelope, const char *addressee, struct text targets);
/* The bytes that do, with what RFC 3464 demands of each recipient. */
size_t notice_least(const struct notice_recipient *recipients, size_t count);
/* RFC 3463, of the right class for the kind: the enhanced code of a reply line, else "5.0.0" or the like. */
void notice_status(enum notice_kind kind, const struct notice_recipient *recipient, char status[12]);
/* A plain sentence for an enhanced code; "" when there is nothing to say beyond the reply itself. */
const char *notice_sentence(const char *status);
#endif
