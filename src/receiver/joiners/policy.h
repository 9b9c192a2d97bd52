/* SPDX-License-Identifier: MIT
 * Policy servers (Postfix's SMTPD_POLICY_README), asked behind the built-in and the operator's rules. A session without
 * policies has no struct policies, and asks nobody. */
#ifndef RECEIVER_POLICY_H
#define RECEIVER_POLICY_H
#include "base/stream.h"
#include "receiver/rules/rule.h"
#include "receiver/transaction.h"
#include "smtp/policy_action.h"

#define POLICY_REQUEST_MAXIMUM (32u * 1024)

/* A joiner: asks the policies of this listener that are due at the stage, in the order of their blocks. */
joiner_function policy_evaluate;
/* A joiner too, with LMTP at the end of a message: does what waited until each recipient was asked about. */
joiner_function policy_settle;
/* Ends the session's connections to them. */
void policy_free(struct session *session);

/* ---- shared by the files policy*.c ---- */
struct policy_link { /* the session's connection to one of them */
    bool open;
    struct stream stream;
    int64_t rests_until; /* it was down: not asked before then */
};
/* What was put off until the message is judged: by stages that bind the whole session, or one transaction. */
enum policy_place { PLACE_CONNECTION, PLACE_EHLO, PLACE_MAIL, PLACES, PLACE_NOW = PLACES };
struct policy_deferral {
    bool set;
    struct reply reply;
    char rule[RULE_NAME_SIZE];
};
struct policy_change {
    enum rule_stage stage; /* where it was said */
    enum policy_verdict verdict;
    char *text;
};
struct policies {
    struct policy_link *links; /* as many as the configuration has policies */
    struct policy_deferral if_permit[PLACES + 1], if_reject[PLACES + 1];
    struct policy_change *lasting; /* made to every message of the session */
    size_t lasting_count;
    char *redirect;     /* who gets the message in hand instead of its recipients, or NULL */
    uint32_t prepended; /* to the message in hand */
    struct rule rule;   /* the one that spoke last */
    char rule_name[RULE_NAME_SIZE];
};

/* policy_request.c: appends the request, every attribute of Postfix 3.7 and the empty line. False when it does not fit.
 */
bool policy_format_request(struct session *session, enum rule_stage stage, struct buffer *request);
/* policy_link.c: asks, and reads the value of "action=", which lasts until the next question. False: it is down, or
 * answers nonsense, and the log says so. */
bool policy_ask(struct session *session, struct policy_link *link, uint32_t index, struct text request,
                struct text *action);
void policy_link_close(struct policy_link *link);
/* policy_change.c: makes the change of this action, or has it made to each message when there is none yet. False: it
 * cannot be made. */
bool policy_change(struct session *session, enum rule_stage stage, const struct policy_action *action);
/* A new message: forgets what was meant for the last, and makes the lasting changes. */
void policy_change_begin(struct session *session);
/* When all recipients are known: does what was put off until then. False: it cannot be done. */
bool policy_change_recipients(struct session *session, enum rule_stage stage);
/* EHLO comes again (behind STARTTLS at the latest): what was said at the former one holds no more. */
void policy_change_again(struct session *session, enum rule_stage stage);
void policy_change_free(struct policies *policies);
#endif
