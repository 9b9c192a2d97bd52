/* SPDX-License-Identifier: MIT
 * Answers in the name of somebody who is away (RFC 3834): whether one may go out, and what it says. Values only; the
 * runner sends it to the ledger together with the delivery's result, which stores both or neither. */
#ifndef RUNNER_VACATION_H
#define RUNNER_VACATION_H
#include "runner/notice.h"

/* Why no answer goes out. */
enum vacation_verdict {
    VACATION_ANSWERS,
    VACATION_NO_SENDER,    /* <>, or a name that programs use */
    VACATION_LIST,         /* List-* fields, Precedence bulk, junk or list */
    VACATION_AUTOMATIC,    /* Auto-Submitted other than "no", or the like */
    VACATION_NOT_ADDRESSED /* none of his addresses stands in To or Cc: it may have been sent to anybody */
};
struct vacation_question {
    const char *sender;           /* reverse-path */
    struct text header;           /* the message's header section */
    const char *const *addresses; /* his */
    size_t count;
};
enum vacation_verdict vacation_judge(const struct vacation_question *question);
/* "coco+shop@…" is coco's: the address without its tag, in room of the given size; without one it is the address. */
void vacation_owner(const char *address, const char *delimiter, char *owner, size_t size);

struct vacation_answer { /* borrowed */
    const char *server_name;
    char id[MAIL_ID_SIZE];
    const char *account;           /* who is away */
    const char *correspondent;     /* who wrote */
    struct text targets;           /* where mail to him is delivered, as envelope->sender_targets has it */
    const char *subject, *message; /* UTF-8; subject "": the message's own, behind "Re:" */
    struct text header;            /* of the message that is answered */
    bool requiretls, tls_optional; /* what that message asked of its way */
    int64_t now;
};
/* Appends the cargo: message, added headers, envelope. False when it does not fit into the buffer. */
bool vacation_build(const struct vacation_answer *answer, struct buffer *cargo, struct notice_lengths *lengths);
#endif
