/* SPDX-License-Identifier: MIT
 * The table of blocks, `name "TITLE" { … }`, and of the keys inside them. Only data; read by the other files of
 * config/. Every element struct begins with the title that its row names. */
#include "config/keys.h"
#include <string.h>

#define IN(type, member) .name = #member, .offset = offsetof(struct type, member)
#define COUNT(table) (sizeof(table) / sizeof(table)[0])

const struct key_word config_roles[] = {{"mx", ROLE_MX},
                                        {"internal", ROLE_INTERNAL},
                                        {"submission", ROLE_SUBMISSION},
                                        {"sendmail", ROLE_SENDMAIL},
                                        {"lmtp", ROLE_LMTP},
                                        {NULL, 0}};
static const struct key_word listen_tls_words[] = {{"implicit", LISTEN_TLS_IMPLICIT},
                                                   {"forbidden", LISTEN_TLS_FORBIDDEN},
                                                   {"optional", LISTEN_TLS_OPTIONAL},
                                                   {"required", LISTEN_TLS_REQUIRED},
                                                   {NULL, 0}};
static const struct key_word listen_auth_words[] = {{"forbidden", LISTEN_AUTH_FORBIDDEN},
                                                    {"optional", LISTEN_AUTH_OPTIONAL},
                                                    {"required", LISTEN_AUTH_REQUIRED},
                                                    {NULL, 0}};
static const struct key_word route_tls_words[] = {{"opportunistic", ROUTE_TLS_OPPORTUNISTIC},
                                                  {"required", ROUTE_TLS_REQUIRED},
                                                  {"verified", ROUTE_TLS_VERIFIED},
                                                  {NULL, 0}};
static const struct key_word transport_kinds[] = {{"maildir", 0}, {"lmtp", 1}, {"smtp", 2},
                                                  {"pipe", 3},    {"null", 4}, {NULL, 0}};

static const struct key_word when_down_words[] = {
    {"accept", WHEN_DOWN_ACCEPT}, {"tempfail", WHEN_DOWN_TEMPFAIL}, {NULL, 0}};
static const struct key_word dnsbl_subjects[] = {
    {"client", DNSBL_CLIENT}, {"ehlo", DNSBL_EHLO}, {"sender", DNSBL_SENDER}, {NULL, 0}};

/* clang-format off */
static const struct config_key listen_keys[] = {
    {IN(config_listen, role), .type = KEY_ENUM, .standard = "", .words = config_roles,
     .derived = "by the port; mx for another port",
     .help = "Which rules hold: mx for strangers, internal and submission for members, sendmail for local programs; lmtp speaks LMTP and takes mail for local recipients alone."},
    {IN(config_listen, mode), .type = KEY_MODE, .standard = "0666", .minimum = 0, .maximum = 0777,
     .help = "The permissions of a Unix socket."},
    {IN(config_listen, owner), .type = KEY_TEXT, .standard = "", .derived = "who starts the server",
     .help = "The owner of a Unix socket, USER or USER:GROUP."},
    {IN(config_listen, proxy), .type = KEY_SWITCH, .standard = "no",
     .help = "Whether every connection begins with a PROXY header (version 1 or 2), such as HAProxy sends, which says who the client is."},
    {IN(config_listen, proxy_networks), .type = KEY_NETWORKS, .standard = "",
     .help = "Where such proxies are; a connection from elsewhere is closed."},
    {IN(config_listen, policies), .type = KEY_TEXTS, .standard = "", .derived = "all of them with the role mx, else none",
     .help = "The policy blocks whose servers are asked about clients here, in the order of the blocks."},
    {IN(config_listen, milters), .type = KEY_TEXTS, .standard = "", .derived = "the key milters outside of blocks",
     .help = "The milter blocks whose programs sessions here talk to, in this order."},
    {IN(config_listen, tls), .type = KEY_ENUM, .standard = "", .words = listen_tls_words,
     .derived = "implicit on submissions_port, else optional",
     .help = "implicit: a connection begins with the TLS handshake; optional: STARTTLS is offered; required: nothing else is done before it; "
             "forbidden: it is not offered."},
    {IN(config_listen, auth), .type = KEY_ENUM, .standard = "", .words = listen_auth_words,
     .derived = "required with the role submission, optional with internal, forbidden with mx, lmtp and sendmail",
     .help = "Whether clients may log in (AUTH, only within TLS), and must before MAIL; who has logged in on an mx port is a member there."},
    {IN(config_listen, xclient_networks), .type = KEY_NETWORKS, .standard = "",
     .help = "Where filters are that may say by XCLIENT (as Postfix has it) who their client is, and who has logged in with them; empty for none."},
    {IN(config_listen, networks), .type = KEY_NETWORKS, .standard = "",
     .help = "Who may use the port: a client from elsewhere is told 554 and closed, or closed without a word where TLS is implicit; empty for everybody."},
};
static const struct config_key tls_certificate_keys[] = {
    {IN(config_certificate, certificate), .type = KEY_PATHS, .standard = "",
     .help = "The certificate chain (PEM); several with keys of different kinds."},
    {IN(config_certificate, private_key), .type = KEY_PATHS, .standard = "", .help = "Its private key (PEM); as many, in their order."},
};
static const struct config_key dkim_keys[] = {
    {IN(config_dkim, selector), .type = KEY_DOMAIN, .standard = "mail", .help = "The key's selector."},
    {IN(config_dkim, private_key_file), .type = KEY_PATH, .standard = "", .help = "The key (PEM, RSA or Ed25519)."},
};
static const struct config_key route_keys[] = {
    {IN(config_route, host), .type = KEY_HOST, .standard = "",
     .help = "The server that takes this domain's mail, host:port or the path of a Unix socket; without it the domain's own."},
    {IN(config_route, lmtp), .type = KEY_SWITCH, .standard = "no", .help = "Whether it speaks LMTP."},
    {IN(config_route, tls), .type = KEY_ENUM, .standard = "opportunistic", .words = route_tls_words,
     .derived = "required with a user, else opportunistic",
     .help = "Whether mail waits until there is TLS; verified: with a certificate that an authority vouches for."},
    {IN(config_route, source_addresses), .type = KEY_ADDRESSES, .standard = "",
     .help = "The addresses that this mail is sent from, in place of those of the key source_addresses."},
    {IN(config_route, user), .type = KEY_TEXT, .standard = "",
     .help = "The login at this server, by AUTH PLAIN or LOGIN and never without TLS; empty for none."},
    {IN(config_route, password_file), .type = KEY_PATH, .standard = "",
     .help = "The file whose first line is its password; nobody but root need be able to read it."},
    {IN(config_route, transport), .type = KEY_TEXT, .standard = "",
     .help = "A transport block, or smtp, that takes this domain's mail, be it local or remote, without what is said here of servers; empty for the usual one."},
    {IN(config_route, retry_schedule), .type = KEY_TIMES, .standard = "", .derived = "the key outside of blocks",
     .help = "The pauses before each new attempt."},
    {IN(config_route, queue_lifetime), .type = KEY_SECONDS, .standard = "0", .maximum = 31536000,
     .derived = "the key outside of blocks", .help = "How long delivery is tried."},
    {IN(config_route, delay_warning), .type = KEY_SECONDS, .standard = "0", .maximum = 31536000,
     .derived = "the key outside of blocks", .help = "When senders are told that it takes long; 0 for never."},
    {IN(config_route, limit), .type = KEY_NUMBER, .standard = "0", .maximum = 1000,
     .derived = "destination_limit", .help = "Delivery agents at one time."},
    {IN(config_route, rate), .type = KEY_NUMBER, .standard = "0", .maximum = 1000000,
     .derived = "destination_rate", .help = "Messages a minute; 0 for as many as it takes."},
};
static const struct config_key transport_keys[] = {
    {IN(config_transport, kind), .type = KEY_WORDS, .standard = "maildir", .words = transport_kinds,
     .help = "The program code that delivers."},
    {IN(config_transport, target), .type = KEY_TEXT, .standard = "",
     .help = "A Maildir pattern, a server's host:port or socket, or a command with its arguments, as the kind wants it."},
    {IN(config_transport, user), .type = KEY_TEXT, .standard = "",
     .help = "The system user that a maildir or pipe transport delivers as; empty for maildir_user."},
    {IN(config_transport, timeout), .type = KEY_SECONDS, .standard = "5m", .minimum = 1, .maximum = 86400,
     .help = "How long a pipe's program may take for one recipient; then it is killed, and the mail tried again later."},
    {IN(config_transport, memory_maximum), .type = KEY_SIZE, .standard = "1G", .minimum = 0, .maximum = INT64_C(1) << 50,
     .help = "How much memory (address space) a pipe's program may have; 0 for no limit."},
};
static const struct config_key policy_keys[] = {
    {IN(config_policy, endpoint), .type = KEY_OUTSIDE, .standard = "",
     .help = "The server, host:port or the path of a Unix socket, or | and a command with its arguments, which is run for each "
             "session without a shell, as outside_user, and talked to on its standard input and output."},
    {IN(config_policy, stages), .type = KEY_TEXTS, .standard = "rcpt_to",
     .help = "When it is asked: names of rule files without their ending, such as connect, ehlo, mail_from, rcpt_to, data, message, vrfy."},
    {IN(config_policy, timeout), .type = KEY_SECONDS, .standard = "30s", .minimum = 1, .maximum = 280,
     .help = "How long one answer may take."},
    {IN(config_policy, when_down), .type = KEY_ENUM, .standard = "tempfail", .words = when_down_words,
     .help = "What happens when it cannot be asked or answers nonsense: accept goes on as if it had no objection, tempfail is a 451."},
};
static const struct config_key milter_keys[] = {
    {IN(config_milter, endpoint), .type = KEY_OUTSIDE, .standard = "",
     .help = "Where it listens: host:port or the path of a Unix socket."},
    {IN(config_milter, connect_timeout), .type = KEY_SECONDS, .standard = "10s", .minimum = 1, .maximum = 60,
     .help = "How long the connection may take, and then its answer to what we offer."},
    {IN(config_milter, command_timeout), .type = KEY_SECONDS, .standard = "30s", .minimum = 1, .maximum = 280,
     .help = "How long its answer to anything but the end of a message may take."},
    {IN(config_milter, content_timeout), .type = KEY_SECONDS, .standard = "5m", .minimum = 1, .maximum = 3600,
     .help = "How long its answer to the end of a message may take; it can ask for more time, up to twice as much."},
    {IN(config_milter, when_down), .type = KEY_ENUM, .standard = "tempfail", .words = when_down_words,
     .help = "What happens when it cannot be reached, breaks off or answers nonsense: accept goes on without it, tempfail is a 451 "
             "(421 in place of the greeting). A message that it has begun to change is a 451 in any case."},
};
static const struct config_key dnsbl_keys[] = {
    {IN(config_dnsbl, zone), .type = KEY_DOMAIN, .standard = "", .derived = "the block's name",
     .help = "The list's zone; two blocks of one zone can weigh its answers differently."},
    {IN(config_dnsbl, allow), .type = KEY_SWITCH, .standard = "no",
     .help = "Whether the list is one of good clients, which other lists then do not count for."},
    {IN(config_dnsbl, weight), .type = KEY_NUMBER, .standard = "1", .minimum = -1000000, .maximum = 1000000,
     .help = "What being on it adds to the client's score; negative for a list of good clients; with allow = yes it is not added."},
    {IN(config_dnsbl, answers), .type = KEY_TEXTS, .standard = "",
     .help = "Which of its answers count: addresses whose numbers may be choices, such as 127.0.0.[2..4;9]; empty for all but 127.255.255.x."},
    {IN(config_dnsbl, subject), .type = KEY_ENUM, .standard = "client", .words = dnsbl_subjects,
     .help = "What is looked up in it: the client's address, the name of its EHLO, or the domain of the sender."},
};

#define BLOCK(block, type, array, number, member) .name = #block, .keys = block##_keys, .key_count = COUNT(block##_keys), \
    .items = offsetof(struct config, array), .count = offsetof(struct config, number), \
    .title = offsetof(struct type, member), .size = sizeof(struct type)

const struct config_block config_blocks[] = {
    {BLOCK(listen, config_listen, listens, listen_count, address), .title_name = "ADDRESS",
     .help = "An address to listen on: port, v4:port, [v6]:port, host:port for all addresses of a name, or the path of a Unix socket. Without one for a "
             "port the three ports above are used on all addresses."},
    {BLOCK(tls_certificate, config_certificate, certificates, certificate_count, name), .title_name = "SERVER NAME",
     .help = "Another certificate for clients that ask for this name (SNI), or for one label below \"*.example.com\"; an exact name counts "
             "before one with a star, and all other names get the key certificate's."},
    {BLOCK(dkim, config_dkim, dkims, dkim_count, domain), .title_name = "DOMAIN",
     .help = "A DKIM key for what members in this domain send."},
    {BLOCK(route, config_route, routes, route_count, domain), .title_name = "DOMAIN",
     .help = "Where a domain's mail is sent instead of to its mail exchangers, and how; \".example.com\" for all domains below "
             "one, \"*\" for all remote domains; the closest one counts."},
    {BLOCK(transport, config_transport, transports, transport_count, name), .title_name = "NAME",
     .help = "A way of delivering local mail, to be named in local_transport."},
    {BLOCK(policy, config_policy, policies, policy_count, name), .title_name = "NAME",
     .help = "A server that speaks Postfix's policy delegation protocol, such as postgrey, and is asked about clients; see "
             "parcelpost-rules(5)."},
    {BLOCK(milter, config_milter, milters, milter_count, name), .title_name = "NAME",
     .help = "A program that speaks the milter protocol, such as rspamd or OpenDKIM, and may answer, change, hold and discard."},
    {BLOCK(dnsbl, config_dnsbl, dnsbls, dnsbl_count, name), .title_name = "ZONE",
     .help = "A DNS list of clients or domains (RFC 5782), asked on the mx port. Whose weights come to dnsbl_threshold is refused."},
};
/* clang-format on */
const size_t config_block_count = COUNT(config_blocks);

const struct config_block *config_block_find(const char *name) {
    for (size_t i = 0; i < config_block_count; i++)
        if (strcmp(config_blocks[i].name, name) == 0)
            return &config_blocks[i];
    return NULL;
}
