/* SPDX-License-Identifier: MIT
 * What a policy server answers (Postfix, SMTPD_POLICY_README and access(5)): the value of "action=", as a verdict. */
#ifndef SMTP_POLICY_ACTION_H
#define SMTP_POLICY_ACTION_H
#include "mail/reply.h"

enum policy_verdict {
    POLICY_DUNNO,           /* no objection: the next one is asked */
    POLICY_OK,              /* accepted: no further policy is asked at this stage */
    POLICY_REPLY,           /* the client reads reply, a 4xx or 5xx */
    POLICY_DEFER_IF_PERMIT, /* so too, unless somebody rejects it */
    POLICY_DEFER_IF_REJECT, /* a rejection becomes reply */
    POLICY_PREPEND,         /* text: a header field */
    POLICY_HOLD,            /* text: why */
    POLICY_DISCARD,         /* text: why */
    POLICY_REDIRECT,        /* text: the address that gets it instead of its recipients */
    POLICY_BCC,             /* text: an address that gets it too */
    POLICY_WARN,            /* text goes to the log, as warn or info */
    POLICY_INFO,
    POLICY_WRONG /* none of these, or without what it needs */
};
struct policy_action {
    enum policy_verdict verdict;
    struct reply reply;
    struct text text; /* borrowed from the value */
};
void policy_action_parse(struct text value, struct policy_action *action);
#endif
