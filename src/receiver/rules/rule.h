/* SPDX-License-Identifier: MIT
 * The built-in rules: one row each in rule.c, in the order of the dialogue, and one small function each that looks at
 * facts alone and says MATCH (it objects; the reply is set), NO_MATCH, or TEMPFAIL (it cannot know now; the reply is
 * set, a 4xx). Facts that cost a question are gathered only when a rule of this client's port needs them. */
#ifndef RECEIVER_RULE_H
#define RECEIVER_RULE_H
#include "config/config.h"
#include "ipc/messages.h"
#include "mail/address.h"
#include "mail/reply.h"
#include "mail/sql_rule.h"

enum rule_outcome { RULE_NO_MATCH, RULE_MATCH, RULE_TEMPFAIL };

/* What has to be asked of other processes. */
enum rule_fact {
    FACT_EHLO_DOMAIN = 1 << 0,        /* is the EHLO domain in the DNS */
    FACT_LISTINGS = 1 << 1,           /* DNS block and allow lists */
    FACT_SENDER_STANDING = 1 << 2,    /* what the sender is to us */
    FACT_SENDER_LOGIN = 1 << 3,       /* whether the sender belongs to the login */
    FACT_SENDER_DOMAIN = 1 << 4,      /* whether the sender's domain takes mail */
    FACT_RECIPIENT_STANDING = 1 << 5, /* what the recipient is to us */
    FACT_RECIPIENT_DOMAIN = 1 << 6,   /* whether the recipient's domain takes mail */
    FACT_DOMAIN_LISTINGS = 1 << 7,    /* lists of EHLO names and senders' domains */
    FACT_MESSAGE_RATE = 1 << 8,       /* one more message of this contact: is it too many */
    FACT_RECIPIENT_RATE = 1 << 9,     /* one more recipient */
    FACT_UNKNOWN_BUDGET = 1 << 10,    /* one more recipient that does not exist */
    FACT_GREYLIST = 1 << 11,          /* does this recipient have to wait */
    FACT_ACCOUNT_MESSAGE = 1 << 12,   /* one more message of this login: is it too many */
    FACT_ACCOUNT_RECIPIENT = 1 << 13, /* one more recipient */
    FACT_HEADER_FROM = 1 << 14        /* whether the From field belongs to the login */
};
enum name_standing { NAME_NOT_ASKED, NAME_EXISTS, NAME_MISSING, NAME_TEMPFAIL };
enum domain_standing {
    DOMAIN_NOT_ASKED, /* a literal, or something else decides where its mail goes */
    DOMAIN_TAKES_MAIL,
    DOMAIN_NULL_MX,   /* RFC 7505: says that it takes none */
    DOMAIN_MISSING,   /* NXDOMAIN */
    DOMAIN_NO_SERVER, /* it exists, but has no MX, A or AAAA */
    DOMAIN_TEMPFAIL
};
enum reverse_standing { /* of the client's address, by reverse look-up */
                        REVERSE_NOT_ASKED,
                        REVERSE_CONFIRMED,   /* it has a name that leads back to it */
                        REVERSE_UNCONFIRMED, /* it has a name, which does not */
                        REVERSE_UNVERIFIED,  /* it has a name, of which the DNS did not answer */
                        REVERSE_MISSING,     /* it has none */
                        REVERSE_TEMPFAIL
};
/* What DNS lists say of a client, or of a domain. */
struct listings {
    int64_t score;       /* the weights of those that list it */
    char listed_in[256]; /* those that list it with a weight above 0, separated by blanks; "" */
    char asked[256];     /* the name by which the first of them was asked */
    char text[256];      /* what the first of them says of it (TXT); asked only where it is to be refused */
    bool allowed;        /* one with allow = yes lists it */
};
struct rule_facts {
    const struct config *config;
    enum listen_role role;                /* whose rules hold: who has logged in on an mx port is a member */
    bool login_first;                     /* the listen block says so, for a port that is not for submission anyway */
    unsigned long port;                   /* to be named in replies */
    const char *peer_ip, *ehlo, *account; /* account: "" before a login */
    bool encrypted;
    bool trusted;     /* a trusted network on the internal port, or a local program */
    bool allowed;     /* a network of the key allow, or a local program */
    bool known_good;  /* allowed, or a message of the contact was accepted lately */
    bool sender_free; /* a local program of root or of our own user: any sender */
    enum name_standing ehlo_domain;
    enum reverse_standing reverse;
    struct listings client_lists, domain_lists; /* the second of the EHLO name and the sender's domain */
    enum contact_over message_rate, recipient_rate, unknown_budget;
    bool account_is_over;           /* it may not send or name so many an hour */
    enum login_outcome header_from; /* may this login say From whom it says */
    char header_from_shown[128];    /* and whom it may not; "": nobody that can be read */
    int64_t greylist_wait;          /* seconds */
    const struct address *sender, *recipient;
    enum address_standing sender_standing, recipient_standing;
    enum login_outcome sender_login; /* may this login send as this sender */
    enum domain_standing sender_domain, recipient_domain;
    struct buffer sender_targets, recipient_targets; /* where mail to them goes: lists of struct address_target */
    size_t recipient_count;                          /* accepted so far */
    uint64_t declared_size;                          /* SIZE= of the MAIL in hand */
    struct text solicitation;                        /* its keywords (RFC 3865), then those of the header */
};

typedef enum rule_outcome rule_function(const struct rule_facts *facts, struct reply *reply);
struct rule {
    const char *name; /* in logs and evidence */
    enum rule_stage stage;
    unsigned roles; /* bits of 1 << enum listen_role */
    unsigned needs; /* enum rule_fact bits */
    rule_function *judge;
    enum violation_mercy mercy;
};
extern const struct rule rules[];
extern const size_t rule_count;

struct session;
/* Somebody who may speak at a stage behind the built-in rules: returns as rule_evaluate does. */
typedef const struct rule *joiner_function(struct session *session, enum rule_stage stage, struct reply *reply);
/* Asks the rules of this stage in order, then the joiners. The first that objects or cannot know: returned, with its
 * reply; it lasts until the next question. NULL: none. */
joiner_function rule_evaluate;
/* The rules alone, without the joiners. */
joiner_function rule_judge;
/* The joiners alone, at stages whose built-in rules are the command's row. */
joiner_function rule_join;
/* The same for a command whose answer, also a good one, may be the operator's; also one that is unknown. */
joiner_function rule_join_answer;

rule_function rule_ehlo_domain;
rule_function rule_login_required;
rule_function rule_message_rate;
rule_function rule_reverse;
rule_function rule_listed;
rule_function rule_member_on_mx;
rule_function rule_stranger_on_submission;
rule_function rule_authentication;
rule_function rule_sender_login;
rule_function rule_sender_local;
rule_function rule_sender_domain;
rule_function rule_solicitation;
rule_function rule_recipient_limit;
rule_function rule_recipient_rate;
rule_function rule_account_rate;
rule_function rule_header_from;
rule_function rule_recipient_budget;
rule_function rule_greylist;
rule_function rule_relay;
rule_function rule_recipient_dangerous;
rule_function rule_recipient_unknown;
rule_function rule_recipient_domain;
#endif
