/* SPDX-License-Identifier: MIT
 * Every message that one process may send another, as structs; messages.c has their field tables, and whitelist.c
 * says who may ask whom for what. Text is borrowed from the receive buffer. Lists are packed into one text by
 * ipc/list.h. Times are seconds since 1970 unless named _ms. */
#ifndef IPC_MESSAGES_H
#define IPC_MESSAGES_H
#include "ipc/channel.h"

#define TARGETS_MAXIMUM (64u * 1024) /* of one LOOKUP_ADDRESS_ANSWER; more are asked for */
#define SIGNED_MAXIMUM 4096u         /* of one TLS_SIGN: a group of 4096 bits takes 1.1 KiB */
#define NOTICES_MAXIMUM (88u * 1024) /* all of one MAIL_RESULT, which has up to 100 results beside them */

enum message_kind {
    /* hub: between the listener and each service it started (first channel of every process) */
    HUB_PEER = 1,      /* listener → service: a new asker; fd: its channel */
    HUB_RELOAD,        /* listener → ledger, runner: fd: the new configuration file, already checked */
    HUB_LOG,           /* listener → service: fd: the reopened log */
    HUB_LOCKED,        /* ledger → listener: this contact is locked out until … */
    HUB_UNLOCKED,      /* ledger → listener */
    HUB_LOCK_BEGAN,    /* ledger → listener: lock_command is due for this contact */
    HUB_LOCK_ENDED,    /* ledger → listener: unlock_command is due; and back: it has run */
    HUB_HITS,          /* listener → ledger: connections of locked-out contacts, in batches */
    HUB_RECEIVER_DIED, /* listener → ledger: by a signal */
    HUB_AGENT_WANTED,  /* runner → listener: fork an agent for this transport */
    HUB_AGENT,         /* listener → runner: fd: the new agent's job channel, or none when it could not be forked */
    HUB_CLIENT,        /* listener → receiver: a client; fd: its connection */
    HUB_READY,         /* service → listener: started, recovered, ready to be asked */
    HUB_PING,          /* listener → service: are you there? */
    HUB_PONG,          /* service → listener: my loop turns */
    HUB_FINISHED,      /* runner → listener: cron mode, nothing left to do */
    /* ledger */
    CONTACT_OPEN,      /* receiver: a contact connected; answered by CONTACT_STATE */
    CONTACT_VIOLATION, /* receiver: a violation; answered by CONTACT_STATE */
    CONTACT_LOGIN,     /* receiver: a successful login clears; answered by CONTACT_STATE */
    LOGIN_TRY,         /* receiver: a login was right or wrong; answered by LOGIN_VERDICT */
    LOGIN_VERDICT,
    CONTACT_CLOSE, /* receiver: the contact that came through a proxy is gone; no answer */
    CONTACT_STATE,
    CONTACT_COUNT, /* receiver: one more message or recipient of a contact; answered by CONTACT_COUNTED */
    CONTACT_COUNTED,
    GREYLIST_TRY, /* receiver: does this recipient have to wait; answered by GREYLIST_ANSWER */
    GREYLIST_ANSWER,
    RECIPIENT_REFUSED, /* receiver: a row with delivery none, also for one whose mail is discarded; no answer */
    SPOOL_OPEN,        /* receiver: a file for a large message; answered by SPOOL_FILE */
    SPOOL_FILE,
    MAIL_COMMIT, /* receiver: store this message; answered by MAIL_COMMITTED */
    MAIL_COMMITTED,
    MAIL_FETCH, /* runner, operator: a message's content; answered by MAIL_CONTENT */
    MAIL_CONTENT,
    MAIL_RESULT, /* runner: what became of recipients, perhaps with a notice; answered by MAIL_RECORDED */
    MAIL_RECORDED,
    PARCELS_NEW,     /* ledger → runner: parcels just committed or changed (retry, release) */
    CONTROL_REQUEST, /* operator: a change (queue retry, contacts forgive, …); answered by CONTROL_ANSWER */
    CONTROL_ANSWER,
    /* lookup */
    LOOKUP_ADDRESS, /* receiver: what is this recipient or sender to us; answered by LOOKUP_ADDRESS_ANSWER */
    LOOKUP_ADDRESS_ANSWER,
    LOOKUP_LOGIN, /* receiver: check a password; answered by LOOKUP_LOGIN_ANSWER */
    LOOKUP_LOGIN_ANSWER,
    LOOKUP_SCRAM_BEGIN, /* receiver: a SCRAM login begins (RFC 5802); answered by LOOKUP_SCRAM_SALT */
    LOOKUP_SCRAM_SALT,
    LOOKUP_SCRAM_FINISH, /* receiver: is this proof right; nothing is kept in between; answered by LOOKUP_SCRAM_VERDICT
                          */
    LOOKUP_SCRAM_VERDICT,
    LOOKUP_MAY_SEND, /* receiver: may this login send as this address; answered by LOOKUP_LOGIN_ANSWER */
    LOOKUP_RULE,     /* receiver: what do the operator's rules of this stage say; answered by LOOKUP_RULE_ANSWER */
    LOOKUP_RULE_ANSWER,
    /* resolver */
    DNS_ASK, /* receiver, agent: one question; answered by DNS_ANSWER (any order) */
    DNS_ANSWER,
    /* signer */
    SIGN_MAIL, /* receiver: DKIM-Sign; fd when not inline; answered by SIGN_ANSWER */
    SIGN_ANSWER,
    TLS_SIGN, /* receiver: a TLS handshake's signature; answered by TLS_SIGNATURE */
    TLS_SIGNATURE,
    TLS_KEYS_ANSWER, /* key reader → listener: the keys were read; fd: they, or none and why not */
    /* connector */
    CONNECT_ASK, /* receiver: open what the configuration names; answered by CONNECT_ANSWER; fd: the connection */
    CONNECT_ANSWER,
    /* agent */
    AGENT_JOB,    /* runner → agent: deliver one message to some recipients; fd: content unless inline */
    AGENT_RESULT, /* agent → runner: the job is done, every recipient's result */
    /* the hub's further ones: corpora and tests keep the numbers of those above */
    HUB_CHANNEL, /* listener → nursery: whom receivers ask; fd: a channel to it */
    HUB_FORK,    /* listener → nursery: so many receivers */
    HUB_BORN,    /* nursery → listener: a receiver; fd: our end of its hub, none when there cannot be one now */
    ROWS_WANTED, /* runner → ledger: write the rows of all that it has been told of; answered by ROWS_WRITTEN */
    ROWS_WRITTEN,
    MESSAGE_KINDS
};

struct hub_peer {
    uint32_t peer; /* enum peer_kind */
    uint32_t pid;
};
struct hub_channel {
    uint32_t process; /* enum process_kind, ipc/process.h */
};
struct hub_fork {
    uint32_t count;
};
struct hub_born {
    uint32_t pid;
};
struct hub_contact {
    struct text contact; /* network_contact form */
    int64_t until;
    int64_t began;
};
struct hub_hits {
    struct text contact;
    uint32_t hits;
    int64_t last_at;
};
struct hub_receiver_died {
    struct text contact;
    uint32_t signal;
};
struct hub_agent {
    struct text transport; /* a row's name: lmtp, smtp, maildir … */
    uint32_t token;        /* the runner's */
};
struct hub_client {
    uint32_t listener;       /* index of config->listens */
    struct text peer, local; /* struct network_address bytes */
    uint32_t over_limit;
    uint32_t uid; /* unix peers */
};
struct empty_message {
    uint32_t unused;
};

struct contact_open {
    struct text contact;
    uint32_t port;
    uint32_t proxied; /* 1: through a proxy, so that the listener could not count its connections */
    struct text network;
};
enum violation_mercy {
    VIOLATION_PLAIN,
    VIOLATION_UNKNOWN_RECIPIENT,
    VIOLATION_BROKEN, /* timeout, lost connection */
    VIOLATION_ALWAYS, /* plain, and a reply that says so counts also when it is no 5xx */
    VIOLATION_NEVER   /* a 5xx that follows from one before it; never reported */
};
struct contact_violation {
    int64_t contact_id;
    struct text contact, verb, rule, reply, account, mail_id;
    uint32_t port, mercy;
};
struct contact_login {
    int64_t contact_id;
    struct text account;
};
/* Before the client learns how its login came out. */
struct login_try {
    struct text account; /* whose it is; for nobody's, the name that was given */
    struct text contact;
    uint32_t right;
};
struct login_verdict {
    uint32_t locked; /* 1: it is refused, right or wrong */
};
enum contact_verdict { CONTACT_ADMITTED, CONTACT_WARNED /* 421 and close */, CONTACT_CLOSED /* silently */ };
struct contact_state {
    int64_t contact_id, expires_at;
    uint32_t violations, verdict, allowed /* on the allow list */;
    uint32_t connections; /* CONTACT_OPEN of one that is proxied: those it has through proxies, with this one, */
    uint32_t over;        /* and which rate it is over, enum contact_over */
    uint32_t known_good;  /* a message of it was accepted within history_days */
};
/* What is counted against a rate, and whose rate is used up. */
enum contact_event {
    CONTACT_CONNECTION,
    CONTACT_MESSAGE,
    CONTACT_RECIPIENT,
    CONTACT_UNKNOWN_RECIPIENT,
    ACCOUNT_MESSAGE, /* these two: contact is the account, and there is no network */
    ACCOUNT_RECIPIENT,
    CONTACT_EVENTS
};
enum contact_over { CONTACT_WITHIN, CONTACT_OVER, CONTACT_NETWORK_OVER };
struct contact_count {
    struct text contact, network;
    uint32_t event; /* enum contact_event */
};
struct contact_counted {
    uint32_t over; /* enum contact_over; what is over was not counted */
};
struct greylist_ask {
    struct text network, sender, recipient;
};
struct greylist_answer {
    int64_t wait; /* seconds; 0: it is taken */
};
struct recipient_refused {
    int64_t contact_id;
    uint32_t discarded; /* 1: accepted and forgotten */
    struct text mail_id, from_url, to_url, reply;
};

/* Cargo: message, added headers, envelope text, one behind the other; inline, or in fd (a sealed memfd, or the spool
 * file). */
enum cargo_place { CARGO_INLINE, CARGO_MEMFD, CARGO_SPOOL_FILE };
struct spool_open {
    struct text mail_id;
};
struct spool_file {
    uint32_t outcome; /* enum commit_outcome */
};
struct mail_commit {
    uint32_t place;
    int64_t message_length, headers_length, envelope_length;
    struct text cargo;
};
enum commit_outcome {
    COMMIT_OK,
    COMMIT_FAILED /* 451 4.3.0 */,
    COMMIT_FULL /* 452 4.3.1 */,
    COMMIT_INVALID /* a bug of the asker */,
    COMMIT_UNKNOWN /* never sent: what an asker makes of an answer that did not come */
};
struct mail_committed {
    uint32_t outcome;
};

struct mail_fetch {
    struct text mail_id;
};
enum content_found {
    CONTENT_MISSING,
    CONTENT_FOUND,
    CONTENT_LATER /* rows are refused: what becomes of it could not be recorded */
};
struct mail_content {
    uint32_t found;
    int64_t offset /* in fd */, message_length, headers_length, envelope_length;
    struct text cargo;
};
/* What an attempt says of its destination as a whole. */
enum destination_standing {
    DESTINATION_UNTOUCHED,  /* nothing: it was not asked */
    DESTINATION_ANSWERED,   /* a server there greeted us: what it says of one mail is no reason to spare the others */
    DESTINATION_UNREACHABLE /* no exchanger could be found, reached, greeted or talked to in the TLS we need */
};
/* What a destination has shown of TLS; its sudden absence is taken for an attack. */
enum tls_memory { TLS_MEMORY_NONE, TLS_MEMORY_OFFERED, TLS_MEMORY_VERIFIED };
/* One attempt for some recipients of one mail. results: a list of struct result_item. */
struct mail_result {
    struct text mail_id, results, route, host, address, tls;
    int64_t started_at, milliseconds;
    uint32_t untried;        /* 1: deferred without an attempt (its destination rests, a rate is used up) */
    struct text notices;     /* a list of struct notice_item: mail that is stored with these results or not at all */
    struct text destination; /* whose row in destinations this touches: a domain, "" for local mail */
    uint32_t standing;       /* enum destination_standing */
    int64_t rests_until;     /* DESTINATION_UNREACHABLE: not tried before then */
    uint32_t tls_memory;     /* enum tls_memory: what the destination has shown */
};
struct mail_recorded {
    uint32_t outcome; /* enum commit_outcome */
};
/* recipients: a list of struct parcel_item. */
struct parcels_new {
    struct text mail_id, from_url, account;
    int64_t size, received_at, expires_at;
    uint32_t auto_generated;
    struct text recipients;
};
struct control_request {
    struct text verb, argument, detail;
    uint32_t uid;
};
struct control_answer {
    uint32_t exit_status;
    int64_t affected; /* how many parcels, contacts, rows */
    struct text text;
};

enum address_standing {
    STANDING_REMOTE,  /* not in a domain of ours */
    STANDING_MEMBER,  /* a user of ours; canonical says where it goes */
    STANDING_UNKNOWN, /* our domain, no such user */
    STANDING_RETURN,  /* a sender that we rewrote (SRS): mail to it goes back to him */
    STANDING_TEMPFAIL /* the lookup could not be made */
};
struct lookup_address {
    struct text address;
    struct text
        sender;    /* the reverse-path that forwarding may have to rewrite (SRS); "" for <> or when nothing is sent */
    uint32_t skip; /* targets that the asker has already */
};
struct lookup_address_answer {
    uint32_t standing;
    struct text canonical; /* MEMBER, RETURN: the user's own address, or the alias's */
    struct text targets;   /* MEMBER, RETURN: a list of struct address_target, where mail to it goes */
    uint32_t more;         /* 1: there are more targets than fitted */
};
enum login_outcome { LOGIN_OK, LOGIN_REFUSED, LOGIN_TEMPFAIL };
struct lookup_login {
    struct text user, password;
};
struct lookup_may_send {
    struct text account, address;
};
struct lookup_login_answer {
    uint32_t outcome;
    struct text account; /* canonical login; with LOGIN_REFUSED: whose password it was not, "" for nobody's */
};
struct lookup_scram_begin {
    struct text user;
};
struct lookup_scram_salt {
    uint32_t outcome, iterations;
    struct text salt;
};
struct lookup_scram_finish {
    struct text user, auth_message, proof;
};
struct lookup_scram_verdict {
    uint32_t outcome;
    struct text account;   /* as in lookup_login_answer */
    struct text signature; /* LOGIN_OK: the server's, else "" */
};
struct lookup_rule {
    uint32_t stage;    /* enum rule_stage */
    struct text facts; /* a list of struct fact_item */
};
enum rule_answer { RULE_ANSWER_NONE, RULE_ANSWER_REPLY, RULE_ANSWER_FAILED /* tempfail: it could not be asked */ };
#define ACTIONS_MAXIMUM (32u * 1024) /* bytes */
struct lookup_rule_answer {
    uint32_t outcome;                 /* enum rule_answer */
    uint32_t code;                    /* of the reply */
    struct text enhanced, text, rule; /* text: lines separated by '\n'; rule: which one spoke or failed */
    struct text actions;              /* a list of struct action_item */
};

/* RFC 1035 types that may be asked. */
enum dns_type { DNS_TYPE_A = 1, DNS_TYPE_PTR = 12, DNS_TYPE_MX = 15, DNS_TYPE_TXT = 16, DNS_TYPE_AAAA = 28 };
enum dns_status {
    DNS_FOUND,
    DNS_NO_DATA,  /* the name exists, this type does not */
    DNS_NO_NAME,  /* NXDOMAIN */
    DNS_SERVFAIL, /* a server said it failed, or refused */
    DNS_TIMEOUT,  /* nobody answered */
    DNS_BAD_NAME  /* not a name that can be asked */
};
struct dns_ask {
    struct text name;
    uint32_t type;
};
struct dns_answer {
    uint32_t status, ttl, authentic /* AD bit */;
    struct text records; /* a list of struct dns_record */
};

struct sign_mail {
    uint32_t place;
    int64_t message_length, headers_length;
    struct text domain, cargo;
};
/* headers: complete DKIM-Signature fields with CRLF, "" when no key is for the domain. outcome 0: could not (tempfail).
 */
struct sign_answer {
    uint32_t outcome;
    struct text headers;
};

/* One signature of a handshake; never of a key that signs mail, and of nothing but what a TLS server signs. */
struct tls_sign {
    uint32_t key, scheme; /* its number (tls/keys.h); RFC 8446 4.2.3 */
    struct text content;  /* what is signed, before any hashing */
};
struct tls_signature {
    struct text signature; /* "" when it could not be made */
};
struct tls_keys_answer {
    struct text self_signed; /* DER, when a certificate was made */
    struct text error;
};

struct connect_ask {
    uint32_t kind, index; /* enum outside_kind, and which of that kind: never an address */
};
struct connect_answer {
    uint32_t connected; /* 0: there is no descriptor, and why */
    struct text why;
};

/* recipients: a list of struct job_recipient. The agent decides the route at the attempt. */
struct agent_job {
    struct text mail_id, from_url, destination /* domain, or "" for the local transport */, recipients, cargo;
    uint32_t place, body /* enum envelope_body */, utf8, requiretls, tls_optional;
    int64_t offset, message_length, headers_length;
    struct text ret, envid, solicit;
    uint32_t tls_memory; /* enum tls_memory: what the destination has shown before */
    uint32_t local;      /* for mailboxes of ours, whatever the transport is */
};
struct agent_result {
    struct text mail_id, results, route, host, address, tls;
    int64_t started_at, milliseconds;
    uint32_t reusable;
    uint32_t standing;   /* enum destination_standing */
    uint32_t tls_memory; /* enum tls_memory: what the destination showed this time */
};

union channel_values {
    struct hub_peer hub_peer;
    struct hub_channel hub_channel;
    struct hub_fork hub_fork;
    struct hub_born hub_born;
    struct hub_contact hub_contact;
    struct hub_hits hub_hits;
    struct hub_receiver_died hub_receiver_died;
    struct hub_agent hub_agent;
    struct hub_client hub_client;
    struct empty_message empty;
    struct contact_open contact_open;
    struct contact_violation contact_violation;
    struct contact_login contact_login;
    struct login_try login_try;
    struct login_verdict login_verdict;
    struct contact_state contact_state;
    struct contact_count contact_count;
    struct contact_counted contact_counted;
    struct greylist_ask greylist_ask;
    struct greylist_answer greylist_answer;
    struct recipient_refused recipient_refused;
    struct spool_open spool_open;
    struct spool_file spool_file;
    struct mail_commit mail_commit;
    struct mail_committed mail_committed;
    struct mail_fetch mail_fetch;
    struct mail_content mail_content;
    struct mail_result mail_result;
    struct mail_recorded mail_recorded;
    struct parcels_new parcels_new;
    struct control_request control_request;
    struct control_answer control_answer;
    struct lookup_address lookup_address;
    struct lookup_address_answer lookup_address_answer;
    struct lookup_login lookup_login;
    struct lookup_may_send lookup_may_send;
    struct lookup_login_answer lookup_login_answer;
    struct lookup_scram_begin lookup_scram_begin;
    struct lookup_scram_salt lookup_scram_salt;
    struct lookup_scram_finish lookup_scram_finish;
    struct lookup_scram_verdict lookup_scram_verdict;
    struct lookup_rule lookup_rule;
    struct lookup_rule_answer lookup_rule_answer;
    struct dns_ask dns_ask;
    struct dns_answer dns_answer;
    struct sign_mail sign_mail;
    struct sign_answer sign_answer;
    struct tls_sign tls_sign;
    struct tls_signature tls_signature;
    struct tls_keys_answer tls_keys_answer;
    struct connect_ask connect_ask;
    struct connect_answer connect_answer;
    struct agent_job agent_job;
    struct agent_result agent_result;
};
/* Indexed by kind; name == NULL where there is no such kind. */
extern const struct channel_type channel_types[MESSAGE_KINDS];
#endif
