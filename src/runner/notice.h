/* SPDX-License-Identifier: MIT
 * The notice about recipients that could not be reached: a multipart/report (RFC 3461 6, RFC 3462, RFC 3464), one for
 * all recipients that failed in one attempt. Values only; the runner sends it to the ledger together with the result,
 * which stores both or neither. */
#ifndef RUNNER_NOTICE_H
#define RUNNER_NOTICE_H
#include "base/buffer.h"
#include "mail/envelope.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NOTICE_HEADERS_MAXIMUM (32u * 1024) /* of the original that it quotes */

struct notice_failure { /* borrowed */
    const char *to_url, *target, *orcpt;
    const char *reply; /* one line, "550 5.1.1 …" */
};
struct notice {
    const char *server_name, *server_title, *postmaster;
    char id[MAIL_ID_SIZE]; /* of the notice */
    const char *mail_id;   /* of what could not be delivered */
    const char *sender;    /* its reverse-path: who gets the notice */
    const char *envid, *message_id;
    const char *host;                /* the server that said no, "" when it was us */
    enum envelope_delivery delivery; /* of the notice: is the sender one of ours */
    const char *target;              /* where it goes then: the sender's account; NULL: his address */
    int64_t arrived_at, now;
    struct text original; /* header section of the original, "" when it cannot be read */
    const struct notice_failure *failures;
    size_t count;
};
struct notice_lengths {
    size_t message, headers, envelope;
};
/* Appends the cargo: message, added headers, envelope. False when it does not fit into the buffer. */
bool notice_build(const struct notice *notice, struct buffer *cargo, struct notice_lengths *lengths);
/* RFC 3461 4.1: does NOTIFY ask for failures to be told? "" does. */
bool notice_is_wanted(const char *notify);
/* The enhanced code of a reply line, "5.0.0" or "4.0.0" by its code when it has none. */
void notice_status(const char *reply, char status[12]);
#endif
