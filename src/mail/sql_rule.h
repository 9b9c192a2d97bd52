/* SPDX-License-Identifier: MIT
 * The operator's rules (DESIGN: SQL is the policy language), as values: the stages of a session at which rules are
 * asked, and the table of facts that a statement may name. No I/O; the database part is in store/sql_rules.h. */
#ifndef MAIL_SQL_RULE_H
#define MAIL_SQL_RULE_H
#include "base/text.h"
#include <stdint.h>

/* In the order of a session; the name of each is the name of its file, NAME.sql. */
enum rule_stage {
    RULE_PROXY,   /* after a proxy's header, on its ports */
    RULE_CONNECT, /* before the greeting */
    RULE_EHLO,
    RULE_STARTTLS, /* before the handshake */
    RULE_AUTH,     /* after a right password */
    RULE_MAIL,
    RULE_RCPT,
    RULE_DATA,    /* before the message */
    RULE_HEADERS, /* its header section is complete */
    RULE_MESSAGE, /* all of it has come, it is not stored yet */
    RULE_RSET,
    RULE_VRFY,
    RULE_EXPN,
    RULE_HELP,
    RULE_NOOP,
    RULE_UNKNOWN, /* a command that is none */
    RULE_QUIT,
    RULE_DISCONNECT, /* after the end: nobody reads a reply */
    RULE_STAGES,
    RULE_CLIENT_LOOKUP = RULE_STAGES, /* no moment of a session: what an address is to us, asked by lookup itself */
    RULE_FILES
};
enum sql_fact {
    SQL_FACT_REMOTE_IP,
    SQL_FACT_REMOTE_NAME,
    SQL_FACT_CONTACT,
    SQL_FACT_LOCAL_IP,
    SQL_FACT_PORT,
    SQL_FACT_ROLE,
    SQL_FACT_SERVER_NAME,
    SQL_FACT_LISTED_IN,
    SQL_FACT_DNSBL_SCORE,
    SQL_FACT_REVERSE,
    SQL_FACT_KNOWN_GOOD,
    SQL_FACT_TRUSTED,
    SQL_FACT_HITS,
    SQL_FACT_LOCKS,
    SQL_FACT_VIOLATIONS,
    SQL_FACT_ACCEPTED_AT,
    SQL_FACT_EHLO,
    SQL_FACT_TLS,
    SQL_FACT_TLS_CIPHER,
    SQL_FACT_TLS_SNI,
    SQL_FACT_TLS_CLIENT,
    SQL_FACT_TLS_CLIENT_ISSUER,
    SQL_FACT_TLS_CLIENT_FINGERPRINT,
    SQL_FACT_AUTHENTICATED,
    SQL_FACT_ACCOUNT,
    SQL_FACT_TIME,
    SQL_FACT_WEEKDAY,
    SQL_FACT_PROXIED,
    SQL_FACT_PROXY_IP,
    SQL_FACT_EHLO_IS_LITERAL,
    SQL_FACT_EXTENDED,
    SQL_FACT_PROTOCOL,
    SQL_FACT_SESSION_SECONDS,
    SQL_FACT_COMMANDS,
    SQL_FACT_ERRORS,
    SQL_FACT_MAILS_SENT,
    SQL_FACT_RCPT_REFUSED,
    SQL_FACT_VERB,
    SQL_FACT_ARGUMENT,
    SQL_FACT_MAIL_ID,
    SQL_FACT_FROM,
    SQL_FACT_FROM_DOMAIN,
    SQL_FACT_SIZE,
    SQL_FACT_UTF8,
    SQL_FACT_BODY,
    SQL_FACT_RCPT,
    SQL_FACT_RCPT_DOMAIN,
    SQL_FACT_RCPT_COUNT,
    SQL_FACT_RCPT_TRIED,
    SQL_FACT_SUBJECT,
    SQL_FACT_MESSAGE_ID,
    SQL_FACT_HEADER_FROM,
    SQL_FACT_HEADER_TO,
    SQL_FACT_REPLY_TO,
    SQL_FACT_LIST_ID,
    SQL_FACT_CONTENT_TYPE,
    SQL_FACT_AUTO_SUBMITTED,
    SQL_FACT_HEADER,
    SQL_FACT_HEADER_COUNT,
    SQL_FACT_HEADER_SIZE,
    SQL_FACT_RECEIVED_COUNT,
    SQL_FACT_SPF,
    SQL_FACT_DKIM,
    SQL_FACT_DMARC,
    SQL_FACT_DMARC_POLICY,
    SQL_FACT_ADDRESS,
    SQL_FACTS
};
struct sql_fact_row {
    const char *name; /* a statement says :name */
    bool number;      /* bound as an integer, else as text */
    unsigned stages;  /* bits of 1 << enum rule_stage at which it is known */
    const char *help; /* one sentence */
};
#define SQL_FACT_VALUE_MAXIMUM (32u * 1024) /* bytes */
extern const struct sql_fact_row sql_facts[SQL_FACTS];
extern const char *const rule_stage_names[RULE_FILES];

#define SQL_RULE_NAME_SIZE 32 /* "sql:mail_from:12" */
struct sql_fact_set {
    bool facts[SQL_FACTS];
    bool asks; /* there is a statement, whatever it names */
};
/* The rules as they were read when the server started or reloaded; every process inherits them. */
struct sql_rules {
    struct sql_rule_file {
        char *path, *text; /* NULL: no such file */
        struct sql_fact_set named;
    } files[RULE_FILES];
};
/* SQL_FACTS, RULE_STAGES or RULE_FILES when there is none of this name. */
enum sql_fact sql_fact_find(struct text name);
enum rule_stage rule_stage_find(struct text name);
enum rule_stage rule_file_find(struct text name);
/* Releases the texts; the struct is then as if nothing had been read. */
void sql_rules_free(struct sql_rules *rules);
#endif
