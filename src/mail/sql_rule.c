/* SPDX-License-Identifier: MIT
 * The tables of stages and facts, see sql_rule.h. A new fact is a row here and its getter in receiver/rules/sql_fact.c;
 * a test compares this table with man/parcelpost-rules.5. */
#include "mail/sql_rule.h"
#include <stdlib.h>

#define AT(stage) (1u << (stage))
#define ANY ((1u << RULE_STAGES) - 1)
#define LATER (ANY & ~(AT(RULE_PROXY) | AT(RULE_CONNECT)))
#define WITH_HEADER (AT(RULE_HEADERS) | AT(RULE_MESSAGE))
#define IN_MAIL (AT(RULE_MAIL) | AT(RULE_RCPT) | AT(RULE_DATA) | WITH_HEADER)

const char *const rule_stage_names[RULE_FILES] = {
    [RULE_PROXY] = "proxy",
    [RULE_CONNECT] = "connect",
    [RULE_EHLO] = "ehlo",
    [RULE_STARTTLS] = "starttls",
    [RULE_AUTH] = "auth",
    [RULE_MAIL] = "mail_from",
    [RULE_RCPT] = "rcpt_to",
    [RULE_DATA] = "data",
    [RULE_HEADERS] = "headers",
    [RULE_MESSAGE] = "message",
    [RULE_RSET] = "rset",
    [RULE_VRFY] = "vrfy",
    [RULE_EXPN] = "expn",
    [RULE_HELP] = "help",
    [RULE_NOOP] = "noop",
    [RULE_UNKNOWN] = "unknown",
    [RULE_QUIT] = "quit",
    [RULE_DISCONNECT] = "disconnect",
    [RULE_CLIENT_LOOKUP] = "client_lookup",
};

/* clang-format off */
const struct sql_fact_row sql_facts[SQL_FACTS] = {
    [SQL_FACT_REMOTE_IP] = {"remote_ip", false, ANY, "The client's address; unix for a program of this host."},
    [SQL_FACT_REMOTE_NAME] = {"remote_name", false, ANY,
        "The client's name by reverse look-up, confirmed by its address; empty without one."},
    [SQL_FACT_CONTACT] = {"contact", false, ANY,
        "What the client counts under, contacts.remote_ip: its address, or for IPv6 its network."},
    [SQL_FACT_LOCAL_IP] = {"local_ip", false, ANY, "The address it came to."},
    [SQL_FACT_PORT] = {"port", true, ANY, "The port it came to."},
    [SQL_FACT_ROLE] = {"role", false, ANY, "The port's role: mx, internal, submission, sendmail or lmtp."},
    [SQL_FACT_SERVER_NAME] = {"server_name", false, ANY, "This server's name."},
    [SQL_FACT_LISTED_IN] = {"listed_in", false, ANY,
        "The DNS block lists that name the client, separated by blanks (dnsbl blocks, on the mx port); empty for none."},
    [SQL_FACT_DNSBL_SCORE] = {"dnsbl_score", true, ANY,
        "The sum of the weights of the DNS lists that name the client; from mail_from on with those that name its EHLO or sender."},
    [SQL_FACT_REVERSE] = {"reverse", false, ANY,
        "What the reverse look-up gave: confirmed, unconfirmed (a name that does not lead back), unverified (that could not be "
        "looked up), missing, unanswered; empty where none was made."},
    [SQL_FACT_KNOWN_GOOD] = {"known_good", true, ANY,
        "1 for a contact of which a message was accepted within history_days, or that is allowed; else 0."},
    [SQL_FACT_TRUSTED] = {"trusted", true, ANY,
        "1 on the internal port within trusted_networks, and for programs of this host; else 0."},
    [SQL_FACT_HITS] = {"hits", true, ANY, "Connections of this contact."},
    [SQL_FACT_LOCKS] = {"locks", true, ANY, "Times this contact was locked out."},
    [SQL_FACT_VIOLATIONS] = {"violations", true, ANY, "Violations that count against this contact now."},
    [SQL_FACT_ACCEPTED_AT] = {"accepted_at", false, ANY,
        "When a message of this contact was last accepted, UTC; NULL for never."},
    [SQL_FACT_EHLO] = {"ehlo", false, LATER, "What the client calls itself; empty before its EHLO."},
    [SQL_FACT_TLS] = {"tls", false, ANY, "The TLS version, such as TLSv1.3; empty in plain text."},
    [SQL_FACT_TLS_CIPHER] = {"tls_cipher", false, ANY, "The cipher suite; empty in plain text."},
    [SQL_FACT_TLS_SNI] = {"tls_sni", false, ANY, "The server name that the client asked for in its handshake; empty without one."},
    [SQL_FACT_TLS_CLIENT] = {"tls_client", false, ANY,
        "Whom the client's certificate is for (its subject, such as CN=a.example.net,O=A), when client_ca vouches for it; else empty."},
    [SQL_FACT_TLS_CLIENT_ISSUER] = {"tls_client_issuer", false, ANY, "Who issued that certificate; else empty."},
    [SQL_FACT_TLS_CLIENT_FINGERPRINT] = {"tls_client_fingerprint", false, ANY,
        "SHA-256 of the client's certificate, verified or not, as openssl x509 -fingerprint -sha256 prints it; empty without one."},
    [SQL_FACT_AUTHENTICATED] = {"authenticated", true, LATER, "1 after a login, else 0."},
    [SQL_FACT_ACCOUNT] = {"account", false, LATER, "The login; empty without one."},
    [SQL_FACT_TIME] = {"time", false, ANY, "Now, UTC, as in the tables: 2026-11-22 08:15:00."},
    [SQL_FACT_WEEKDAY] = {"weekday", true, ANY, "Today, UTC: 1 for Monday to 7 for Sunday."},
    [SQL_FACT_PROXIED] = {"proxied", true, ANY, "1 on a port behind a proxy, else 0."},
    [SQL_FACT_PROXY_IP] = {"proxy_ip", false, ANY, "The proxy's address; empty without one."},
    [SQL_FACT_EHLO_IS_LITERAL] = {"ehlo_is_literal", true, LATER, "1 when the client calls itself [192.0.2.7], else 0."},
    [SQL_FACT_EXTENDED] = {"extended", true, LATER, "1 after EHLO or LHLO, 0 after HELO."},
    [SQL_FACT_PROTOCOL] = {"protocol", false, LATER, "As in the Received field: SMTP, ESMTP, ESMTPS, ESMTPSA, LMTP and so on."},
    [SQL_FACT_SESSION_SECONDS] = {"session_seconds", true, ANY, "How long the connection has lasted."},
    [SQL_FACT_COMMANDS] = {"commands", true, LATER, "Command lines of this session, with this one."},
    [SQL_FACT_ERRORS] = {"errors", true, LATER, "4xx and 5xx replies in this session."},
    [SQL_FACT_MAILS_SENT] = {"mails_sent", true, LATER, "Messages accepted in this session."},
    [SQL_FACT_RCPT_REFUSED] = {"rcpt_refused", true, LATER, "Recipients refused in this session, for whatever reason."},
    [SQL_FACT_VERB] = {"verb", false, AT(RULE_UNKNOWN),
        "The word that is no command; empty where it may be a password."},
    [SQL_FACT_ARGUMENT] = {"argument", false,
        AT(RULE_VRFY) | AT(RULE_EXPN) | AT(RULE_HELP) | AT(RULE_NOOP) | AT(RULE_UNKNOWN),
        "What stands behind the verb."},
    [SQL_FACT_MAIL_ID] = {"mail_id", false, IN_MAIL, "The id that the message has, or will have."},
    [SQL_FACT_FROM] = {"from", false, IN_MAIL, "The envelope sender; empty for <>."},
    [SQL_FACT_FROM_DOMAIN] = {"from_domain", false, IN_MAIL, "Its domain in lower case."},
    [SQL_FACT_SIZE] = {"size", true, IN_MAIL,
        "Bytes: at message what came, until then what the client declared (SIZE=), 0 when it did not."},
    [SQL_FACT_UTF8] = {"utf8", true, AT(RULE_RCPT) | AT(RULE_DATA) | WITH_HEADER, "1 when SMTPUTF8 was asked for, else 0."},
    [SQL_FACT_BODY] = {"body", false, AT(RULE_RCPT) | AT(RULE_DATA) | WITH_HEADER,
        "7BIT or 8BITMIME: what the client said, or at message what it is."},
    [SQL_FACT_RCPT] = {"rcpt", false, AT(RULE_RCPT) | AT(RULE_MESSAGE),
        "The recipient; at message only with LMTP, which asks for each of them, else empty."},
    [SQL_FACT_RCPT_DOMAIN] = {"rcpt_domain", false, AT(RULE_RCPT) | AT(RULE_MESSAGE), "Its domain in lower case."},
    [SQL_FACT_RCPT_COUNT] = {"rcpt_count", true, AT(RULE_RCPT) | AT(RULE_DATA) | WITH_HEADER,
        "Recipients accepted so far."},
    [SQL_FACT_RCPT_TRIED] = {"rcpt_tried", true, AT(RULE_RCPT) | AT(RULE_DATA) | WITH_HEADER,
        "RCPT commands of this transaction, with this one."},
    [SQL_FACT_SUBJECT] = {"subject", false, WITH_HEADER, "The Subject field, unfolded; empty without one."},
    [SQL_FACT_MESSAGE_ID] = {"message_id", false, WITH_HEADER, "The Message-ID field; empty without one."},
    [SQL_FACT_HEADER_FROM] = {"header_from", false, WITH_HEADER, "The From field, unfolded; empty without one."},
    [SQL_FACT_HEADER_TO] = {"header_to", false, WITH_HEADER, "The To field."},
    [SQL_FACT_REPLY_TO] = {"reply_to", false, WITH_HEADER, "The Reply-To field."},
    [SQL_FACT_LIST_ID] = {"list_id", false, WITH_HEADER, "The List-Id field."},
    [SQL_FACT_CONTENT_TYPE] = {"content_type", false, WITH_HEADER, "The Content-Type field."},
    [SQL_FACT_AUTO_SUBMITTED] = {"auto_submitted", false, WITH_HEADER, "The Auto-Submitted field."},
    [SQL_FACT_HEADER] = {"header", false, WITH_HEADER,
        "Every field, unfolded, each ended by a line feed (char(10)), up to 32 KiB; 2 KiB of each."},
    [SQL_FACT_HEADER_COUNT] = {"header_count", true, WITH_HEADER, "How many fields there are."},
    [SQL_FACT_HEADER_SIZE] = {"header_size", true, WITH_HEADER, "Bytes of the header section."},
    [SQL_FACT_RECEIVED_COUNT] = {"received_count", true, WITH_HEADER, "How many Received fields there are: servers it has passed."},
    [SQL_FACT_SPF] = {"spf", false, IN_MAIL,
        "What the sender's domain says of the client's address (RFC 7208): pass, fail, softfail, neutral, none, temperror or "
        "permerror; empty for members."},
    [SQL_FACT_DKIM] = {"dkim", false, AT(RULE_MESSAGE),
        "The DKIM verdicts as in Authentication-Results, such as dkim=pass header.d=example.net; empty for members."},
    [SQL_FACT_DMARC] = {"dmarc", false, AT(RULE_MESSAGE),
        "Whether SPF or DKIM passed for the domain of the From field (RFC 7489): pass, fail, none, temperror or permerror; "
        "the worst of several authors', permerror where they cannot be read; empty for members, and without a From field."},
    [SQL_FACT_DMARC_POLICY] = {"dmarc_policy", false, AT(RULE_MESSAGE),
        "What that domain wants done with mail that fails: none, quarantine or reject."},
    [SQL_FACT_ADDRESS] = {"address", false, AT(RULE_CLIENT_LOOKUP),
        "The address that is looked up, or @domain for whoever else is in one, as in the table aliases."},
};
/* clang-format on */

enum sql_fact sql_fact_find(struct text name) {
    size_t fact = 0;
    while (fact < SQL_FACTS && !text_equal(name, text_of(sql_facts[fact].name)))
        fact++;
    return (enum sql_fact)fact;
}

enum rule_stage rule_file_find(struct text name) {
    size_t file = 0;
    while (file < RULE_FILES && !text_equal(name, text_of(rule_stage_names[file])))
        file++;
    return (enum rule_stage)file;
}

enum rule_stage rule_stage_find(struct text name) {
    enum rule_stage file = rule_file_find(name);
    return file < RULE_STAGES ? file : RULE_STAGES;
}

void sql_rules_free(struct sql_rules *rules) {
    for (size_t i = 0; i < RULE_FILES; i++) {
        free(rules->files[i].path);
        free(rules->files[i].text);
    }
    *rules = (struct sql_rules){0};
}
