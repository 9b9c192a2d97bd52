/* SPDX-License-Identifier: MIT
 * The SASL mechanisms (RFC 4422) as a server of SMTP speaks them: one row each in mechanism.c, with the function that
 * leads its exchange (mechanism_*.c). Which of them a client may use: auth_mechanisms, and what is behind them. */
#ifndef RECEIVER_MECHANISM_H
#define RECEIVER_MECHANISM_H
#include "base/buffer.h"
#include "mail/mechanism.h"
#include "receiver/session.h"

#define MECHANISM_LINE_MAXIMUM 12288 /* RFC 4954 4: of a line in base64 */
#define MECHANISM_MESSAGE_SIZE (MECHANISM_LINE_MAXIMUM / 4 * 3 + 1)

struct login_attempt {
    enum auth_mechanism mechanism;
    enum login_outcome outcome;
    bool judged;                    /* the outcome is the last word */
    const char *why;                /* for the log, behind the outcome; NULL: nothing to say */
    struct text initial;            /* base64, as it stood behind the mechanism; "": none */
    char *message;                  /* MECHANISM_MESSAGE_SIZE: what the client said last, decoded */
    char user[512];                 /* as he calls himself; for the log */
    char identity[512];             /* whom he wants to act for; "": himself */
    char account[2 * ADDRESS_SIZE]; /* whose login it is, also when the password was wrong; "": nobody's */
};
enum exchange {
    EXCHANGE_DONE,   /* the outcome is in the attempt */
    EXCHANGE_REPLIED /* cancelled, malformed, or the session is over */
};
struct mechanism_row {
    const char *shown; /* in the dialogue, instead of what was sent */
    enum exchange (*lead)(struct session *session, struct login_attempt *attempt);
    enum exchange (*refuse)(struct session *session, struct login_attempt *attempt); /* before the 535; or NULL */
    bool token; /* what oauth_check is asked about */
};
extern const struct mechanism_row mechanism_rows[AUTH_MECHANISMS];

/* Asks what checks logins what it can do, once a session. */
void mechanism_find_out(struct session *session);
/* Leads the exchange, here or with Dovecot. */
enum exchange mechanism_lead(struct session *session, struct login_attempt *attempt);
/* What is said before the 535. */
enum exchange mechanism_refuse(struct session *session, struct login_attempt *attempt);
/* Can this client use it now. */
bool mechanism_is_offered(const struct session *session, enum auth_mechanism mechanism);
/* Appends a blank and the name of each that is offered. */
void mechanism_list(const struct session *session, struct buffer *text);

/* ---- for those who lead an exchange ---- */
/* The client's first message: the initial response, or what it answers to an empty challenge. */
enum exchange mechanism_begin(struct session *session, struct login_attempt *attempt, struct text *message);
/* Sends a challenge and takes the answer, over which *message is borrowed until the next. */
enum exchange mechanism_ask(struct session *session, struct login_attempt *attempt, struct text challenge,
                            struct text *message);
/* The login's account is this name's, as lookup knows it; one that it does not know is taken as it is. */
void mechanism_take_account(struct session *session, struct login_attempt *attempt, struct text name);
/* Whether who is right is let in: not when he acts for another, nor while the account is locked. Done once, before the
 * client hears anything that depends on the outcome: a proof of ours is such a thing. */
void mechanism_judge(struct session *session, struct login_attempt *attempt);
/* The last message of who has been let in, which the client answers with nothing (RFC 4954 4). */
enum exchange mechanism_conclude(struct session *session, struct login_attempt *attempt, struct text message);
/* 501 5.5.2: what the client sent is none of this mechanism's messages. */
enum exchange mechanism_is_malformed(struct session *session, const char *what);

enum exchange mechanism_plain(struct session *session, struct login_attempt *attempt);
enum exchange mechanism_login(struct session *session, struct login_attempt *attempt);
enum exchange mechanism_scram(struct session *session, struct login_attempt *attempt);
enum exchange mechanism_scram_plus(struct session *session, struct login_attempt *attempt);
enum exchange mechanism_oauthbearer(struct session *session, struct login_attempt *attempt);
enum exchange mechanism_xoauth2(struct session *session, struct login_attempt *attempt);
enum exchange mechanism_bearer_refuse(struct session *session, struct login_attempt *attempt);
#endif
