/* SPDX-License-Identifier: MIT
 * The SMTP commands: one row each in command.c with its verb, its handler (command_*.c), when it is allowed and which
 * extension it belongs to. The dispatcher enforces the row; handlers never repeat it. */
#ifndef RECEIVER_COMMAND_H
#define RECEIVER_COMMAND_H
#include "base/buffer.h"
#include "mail/extension.h"
#include "receiver/session.h"
#include "smtp/data_decoder.h"

typedef void command_handler(struct session *session, struct text argument);
enum command_flag {
    COMMAND_NO_ARGUMENT = 1 << 0,     /* 501 when there is one */
    COMMAND_MEMBERS_ONLY = 1 << 1,    /* only on ports where one may log in: 502 elsewhere */
    COMMAND_AFTER_TLS = 1 << 2,       /* 538 before */
    COMMAND_BEFORE_TLS = 1 << 3,      /* 503 after, 454 without a certificate */
    COMMAND_BEFORE_LOGIN = 1 << 4,    /* 503 after */
    COMMAND_NEEDS_RECIPIENT = 1 << 5, /* 554 when none was accepted, 503 before the first RCPT */
    COMMAND_RULES_ANSWER = 1 << 6,    /* a rule's 2xx is sent in place of the handler's reply */
    COMMAND_SMTP_ONLY = 1 << 7,       /* unknown where LMTP is spoken (RFC 2033 4.1) */
    COMMAND_LMTP_ONLY = 1 << 8,       /* unknown elsewhere */
    COMMAND_WITHOUT_TLS = 1 << 10,    /* also before TLS where it is required (RFC 3207 4); 530 for others */
    COMMAND_LINES_ONLY = 1 << 11,     /* 503 when MAIL has said BODY=BINARYMIME (RFC 3030 3) */
    COMMAND_FILTERS_ONLY = 1 << 12,   /* unknown to who is not in the block's xclient_networks */
    COMMAND_HAS_DATA = 1 << 9         /* bytes follow the line, which are taken also when it is refused */
};
struct command {
    const char *verb;
    command_handler *handle;
    unsigned states;       /* bits of 1 << enum session_state in which it may come; 503 in others */
    unsigned flags;        /* enum command_flag */
    enum rule_stage stage; /* whose rules are asked before the handler; RULE_PROXY, 0: the handler asks them itself */
    enum extension extension; /* the one that adds the command; without it: 502 */
};
extern const struct command commands[];
extern const size_t command_count;

/* Reads the next command and carries it out. */
void command_next(struct session *session);
const struct command *command_find(struct text verb);
/* False for a verb of the other protocol: SMTP has EHLO and HELO, LMTP has LHLO. */
bool command_is_spoken(const struct session *session, const struct command *command);
/* True when the row could be used by this client at some time, now or after logging in: EHLO lists it. */
bool command_is_offered(const struct session *session, const struct command *command);
/* True, and the reply is set, when the row does not allow the command now. */
bool command_is_refused(const struct session *session, const struct command *command, struct text argument,
                        struct reply *reply);
/* A method or a field of HTTP (RFC 9110): somebody's web client was made to talk to us. */
bool command_is_http(struct text verb);
/* The ESMTP parameters of MAIL and RCPT: one row a keyword. */
struct parameter_row {
    const char *keyword;
    enum extension extension; /* without it the keyword is unknown */
    /* False, and the reply is set, when the value is not acceptable. */
    bool (*take)(void *target, struct text value, struct reply *reply);
};
bool command_take_parameters(const struct session *session, struct text rest, const struct parameter_row *rows,
                             size_t count, void *target, struct reply *reply);
/* Those of MAIL that may be changed later, and those of RCPT. */
bool command_mail_parameters(const struct session *session, struct text rest, const char **ret, struct text *envid,
                             struct reply *reply);
bool command_rcpt_parameters(const struct session *session, struct text rest, struct recipient *recipient,
                             struct reply *reply);
/* Whether the line behind the one in hand has come already, and is a RCPT of an address: a guess, which judges nothing.
 */
bool command_rcpt_is_next(const struct session *session, struct address *recipient);
/* The string of VRFY or EXPN: one that is not ASCII comes with SMTPUTF8 behind it (RFC 6531 3.7.4.2). False: answered.
 */
bool command_string_is_understood(struct session *session, struct text argument);
/* Parses "FROM:<path> parameters" or "TO:…". what: "sender" or "recipient"; enhanced: for its errors. */
bool command_take_path(struct text argument, const char *keyword, bool utf8, struct address *address, struct text *rest,
                       struct reply *reply);

command_handler command_ehlo, command_helo, command_lhlo, command_mail, command_rcpt, command_data, command_bdat,
    command_rset, command_noop, command_quit, command_vrfy, command_expn, command_help, command_auth, command_starttls,
    command_xclient;
/* What may stand in a trace field: names, also those with '_', and literals. */
bool command_is_domain_text(struct text domain);
/* BDAT when it is refused: takes the bytes that follow its line, then answers. */
void command_bdat_refuse(struct session *session, struct text argument, const struct reply *reply, const char *rule,
                         enum violation_mercy mercy);
/* What DATA and BDAT share. A piece of the message: keeps it, and asks about its header once that is complete. */
void command_data_take(struct session *session, struct text piece);
/* The rule, and the reply is set, when what has come so far is not kept; or NULL. */
const char *command_data_fault(const struct session *session, enum data_fault fault, struct reply *reply);
/* All data has come, and is really `body`: stores it, or refuses it; the reply is sent. */
void command_data_store(struct session *session, enum data_fault fault, enum envelope_body body);
#endif
