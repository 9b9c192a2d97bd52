/* SPDX-License-Identifier: MIT
 * One client's session: what lasts from its connection to its end. Lifetimes: session, transaction (MAIL to the end of
 * its data or RSET), recipient (one RCPT). Called by receiver.c; all of it runs confined, on bytes from anybody. */
#ifndef RECEIVER_SESSION_H
#define RECEIVER_SESSION_H
#include "base/network.h"
#include "base/stream.h"
#include "config/config.h"
#include "ipc/ask.h"
#include "ipc/process.h"
#include "mail/mail_id.h"
#include "mail/reply.h"
#include "receiver/rules/rule.h"
#include "receiver/transaction.h"
#include "smtp/command_line.h"
#include "spf/spf.h"
#include "tls/tls.h"

enum session_state {
    SESSION_CONNECTED, /* nothing said yet */
    SESSION_GREETED,   /* 220 was sent; no EHLO yet */
    SESSION_READY,     /* EHLO or HELO accepted; no transaction */
    SESSION_MAIL,      /* a transaction is open */
    SESSION_DATA,      /* mail data is being read */
    SESSION_BDAT,      /* between the chunks of a message (RFC 3030) */
    SESSION_CLOSING,   /* what is in the output is still sent, nothing is read any more */
    SESSION_STATES
};

#define SESSION_DELAY_MAXIMUM 30000u /* milliseconds: well below what clients wait for (RFC 5321 4.5.3.2) */

/* RFC 5321 4.5.3.2: how long a client may be silent. */
enum session_phase { PHASE_COMMAND, PHASE_DATA_START, PHASE_DATA_BLOCK, PHASE_REPLY };

struct session_client {                  /* who is there; does not change */
    const struct config_listen *listens; /* the block it came by */
    enum listen_role role;
    enum listen_tls tls_mode;
    enum listen_auth auth;
    struct network_address peer, local;
    struct network_address connected; /* the peer, until XCLIENT names another */
    bool filter;                      /* and may say XCLIENT */
    bool spoken_for;                  /* it has */
    enum reverse_standing told_name;  /* and said its name, or that it has none; REVERSE_NOT_ASKED: it has not */
    char peer_ip[NETWORK_IP_SIZE], local_ip[NETWORK_IP_SIZE], contact[NETWORK_IP_SIZE], network[NETWORK_IP_SIZE];
    unsigned local_port;
    bool is_local;                  /* it came through a Unix socket */
    uint32_t uid;                   /* then: its peer's */
    bool trusted;                   /* by its network on the internal port, or by its uid */
    bool proxied;                   /* it came through a proxy's port, */
    char proxy_ip[NETWORK_IP_SIZE]; /* from this address; "" */
    bool for_itself;                /* it is the proxy: a check of whether this server lives */
    bool over_limit;
};

struct session {
    const struct process_start *start;
    const struct config *config;
    struct session_client client;
    struct stream stream;
    struct command_line_reader reader;
    unsigned lines_unlooked; /* read since the listener's stop was looked for */
    size_t line_length;      /* of the line in hand, still in the stream's input */
    bool mail_refused;       /* the last MAIL was, and nothing but what belongs to its transaction has come since */
    bool line_secret;        /* it may hold a password: nothing of it stays when it is taken off */
    bool first_line;         /* nothing has been read yet */
    unsigned delay_ms;       /* before the next reply */
    int64_t began;           /* clock_now_ms */
    struct {
        unsigned commands, errors, mails,
            refused; /* lines, 4xx and 5xx replies, messages accepted, recipients refused */
    } counts;
    bool peer_gone; /* the connection was lost: nobody reads any more */
    bool quit;      /* it has said QUIT */
    bool admitted;  /* not locked out: rules are asked about it, and about its end */
    enum session_state state;
    int64_t contact_id;       /* 0: not known to the ledger */
    unsigned violations;      /* of the contact, as far as this session knows */
    const char *verb;         /* the command in hand, for evidence */
    struct text argument;     /* and what stands behind it, borrowed from the line in hand */
    struct text unknown_verb; /* what stood in its place, borrowed too */
    bool extended;            /* EHLO, not HELO */
    char ehlo[ADDRESS_DOMAIN_MAXIMUM + 1];
    char remote_name[ADDRESS_DOMAIN_MAXIMUM + 1];  /* forward-confirmed PTR name, "" */
    char claimed_name[ADDRESS_DOMAIN_MAXIMUM + 1]; /* the PTR name, whether or not it leads back; "" */
    bool tls;
    struct tls_facts tls_facts;
    char account[2 * ADDRESS_SIZE]; /* the login, "" */
    const char *mechanism;          /* of the last login, "" before one */
    bool login_tried;               /* what follows an AUTH may be a password in the wrong place */
    struct rule_facts facts;
    unsigned facts_known; /* enum rule_fact bits */
    struct rule sql_rule; /* of the operator's that spoke last */
    char sql_rule_name[SQL_RULE_NAME_SIZE];
    char *banner, *ehlo_text; /* what rules put into the greeting, and into the reply to EHLO; or NULL */
    char *told_helo;          /* by XCLIENT; holds in place of each EHLO; or NULL */
    char *other_recipient;    /* what they put in place of the one in hand, or NULL */
    struct dovecot *dovecot;  /* dovecot.c's; NULL until it is asked */
    bool mechanisms_known;
    uint32_t mechanisms;         /* of AUTH that this client may use, bits of 1 << enum auth_mechanism */
    struct policies *policies;   /* policy.c's; NULL until one is asked */
    struct questions *questions; /* DNS questions under way since the connection; NULL when answered */
    char mail_id[MAIL_ID_SIZE];  /* of the transaction in hand, or of the next */
    enum spf_result policy;      /* what SPF says of the sender in hand, */
    bool policy_known;           /* when it was asked */
    struct transaction transaction;
    struct milters *milters; /* NULL: this listener has none */
    struct changes *changes; /* to the transaction, by those who join in; NULL: none */
};

/* Serves one client from greeting to end; fd is owned. */
void session_serve(const struct process_start *start, const struct hub_client *hub_client, int fd);
/* Who the client is, and where it connected to: what follows from both addresses is worked out anew. */
void session_set_client(struct session *session, const struct network_address *peer,
                        const struct network_address *local);
/* XCLIENT: ends what there is with the present client; greets the next one, which may be refused. */
void session_end_client(struct session *session);
void session_begin_again(struct session *session);
/* The only way to change the state; traces. */
void session_set_state(struct session *session, enum session_state state);
const char *session_state_name(enum session_state state);
/* A deadline for this phase: the standard's minimum, or receiver_timeout when that is shorter. */
int64_t session_deadline(const struct session *session, enum session_phase phase);
/* True when this client may send to the world: logged in, or trusted. */
bool session_may_relay(const struct session *session);
/* Of the MAIL or the transaction in hand. */
const struct address *session_sender(const struct session *session);
/* True within a transaction, whatever of it has come. */
bool session_in_transaction(const struct session *session);
/* Ends the transaction, if there is one, and readies the next mail id. */
void session_end_transaction(struct session *session);

/* ---- session_input.c ---- */
enum session_line {
    SESSION_LINE,       /* *line is it, borrowed until session_finish_line or the next read */
    SESSION_LINE_FAULT, /* it was refused, the reply is sent */
    SESSION_LINE_ENDED  /* the session is over */
};
enum session_line session_read_line(struct session *session, struct text *line);
/* Takes the line in hand off the input: before anything but a line is read. */
void session_finish_line(struct session *session);
/* Sends what is held back and waits for more of a message's data, which must come at data_minimum_rate, and end before
 * it is far too large. False when the session is over (state SESSION_CLOSING). */
struct session_pace {    /* zero it at the data's beginning */
    uint64_t bytes;      /* that have come */
    int64_t grace_until; /* how long they may have taken at first */
};
bool session_fill_data(struct session *session, enum session_phase phase, struct session_pace *pace);

/* ---- session_reply.c ---- */
/* Answers and goes on. A 5xx is a violation, and may turn into the 421 of a lockout; a 421 closes. */
void session_reply(struct session *session, unsigned code, const char *enhanced, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The same for a reply that is already made, with what the evidence is to say. */
void session_send(struct session *session, const struct reply *reply, const char *rule, enum violation_mercy mercy);
/* 334: a step of a login, which no log shows. */
void session_challenge(struct session *session, const char *challenge);
/* Closes without a word: the violation is logged and reported. */
void session_drop(struct session *session, const char *rule, const char *what);
void session_reply_lockout(struct session *session, int64_t expires_at);
/* Sends what is held back; false when that could not be done, and the session is over. */
bool session_flush(struct session *session);
/* What was to be said could not be: logged, unless the session was over anyway. */
void session_end_unread(struct session *session, enum stream_result result);
/* The next reply comes so many milliseconds later, SESSION_DELAY_MAXIMUM at most; the longest that was asked for
 * counts. */
void session_delay(struct session *session, uint64_t milliseconds);
#endif
