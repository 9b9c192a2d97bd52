/* SPDX-License-Identifier: MIT
 * The table of every key that stands outside a block. To add a key: a field in struct config, a row here, its line in
 * etc/parcelpost.conf. Only data; read by the other files of config/. */
#include "config/keys.h"
#include "base/log.h"
#include "tls/tls.h"
#include <limits.h>
#include <string.h>

#define AT(member) .offset = offsetof(struct config, member)
#define ROW(member, key_type, default_text) .name = #member, .type = key_type, AT(member), .standard = default_text
#define BETWEEN(low, high) .minimum = (low), .maximum = (high)
#define LARGE INT64_C(1) << 50

static const struct key_word log_lives[] = {{"none", LOG_LIFE_NONE},
                                            {"daily", LOG_LIFE_DAILY},
                                            {"weekly", LOG_LIFE_WEEKLY},
                                            {"monthly", LOG_LIFE_MONTHLY},
                                            {NULL, 0}};
static const struct key_word log_levels[] = {{"debug", LOG_LEVEL_DEBUG}, {"info", LOG_LEVEL_INFO},
                                             {"warn", LOG_LEVEL_WARN},   {"error", LOG_LEVEL_ERROR},
                                             {"fatal", LOG_LEVEL_FATAL}, {NULL, 0}};
static const struct key_word runner_modes[] = {{"resident", RUNNER_RESIDENT}, {"cron", RUNNER_CRON}, {NULL, 0}};
static const struct key_word tls_presets[] = {
    {"modern", TLS_PRESET_MODERN}, {"intermediate", TLS_PRESET_INTERMEDIATE}, {"old", TLS_PRESET_OLD}, {NULL, 0}};
static const struct key_word client_certificates[] = {{"no", 0}, {"ask", 1}, {NULL, 0}};
static const struct key_word dangers[] = {{"refuse", DANGEROUS_REFUSED}, {"allow", DANGEROUS_ALLOWED}, {NULL, 0}};
static const struct key_word bare_line_ends[] = {
    {"refuse", BARE_LINE_ENDS_REFUSED}, {"normalise", BARE_LINE_ENDS_NORMALISED}, {NULL, 0}};
static const struct key_word reverses[] = {
    {"no", REVERSE_NOT_REQUIRED}, {"name", REVERSE_NAME}, {"confirmed", REVERSE_CONFIRMED_NAME}, {NULL, 0}};
static const struct key_word id_bases[] = {{"62", 62}, {"36", 36}, {NULL, 0}};

/* clang-format off */
const struct config_key config_keys[] = {
    {ROW(server_title, KEY_TEXT, "Parcelpost"), .heading = "Identity",
     .help = "The organisation's name, used in replies (\"TITLE members must use port I or S to send mail\")."},
    {ROW(server_name, KEY_DOMAIN, ""), .derived = "the machine's host name",
     .help = "The name this server greets with, and puts into Received and Authentication-Results fields."},
    {ROW(postmaster, KEY_TEXT, ""), .derived = "postmaster at the first local domain",
     .help = "The mailbox that gets mail for postmaster in every local domain."},
    {ROW(local_domains, KEY_DOMAINS, ""), .derived = "the server's name",
     .help = "The domains whose mail is ours, \".example.com\" for all below one, \"*\" for all; more can be added to the table domains."},

    {ROW(recipient_delimiter, KEY_TEXT, "+"), .heading = "Names",
     .help = "The character between a user and a tag: user+tag is user where nobody has the whole name; empty for none."},
    {ROW(expansion_maximum, KEY_NUMBER, "10000"), BETWEEN(1, 20000),
     .help = "Addresses that aliases may make of the recipients of one message."},
    {ROW(srs_domain, KEY_DOMAIN, ""), .derived = "the first of local_domains",
     .help = "The domain of the senders that forwarded mail of strangers gets (SRS), so that SPF of their own does not fail."},
    {ROW(srs_secret_file, KEY_PATH, ""), .derived = "srs.secret beside users_database",
     .help = "The secret of those senders, made at the first start; the first line signs, up to three older ones are still believed."},

    {ROW(standard_mail_port, KEY_NUMBER, "25"), BETWEEN(0, 65535), .heading = "Ports and addresses",
     .help = "The port for mail from strangers (role mx); 0 for none."},
    {ROW(internal_submit_port, KEY_NUMBER, "467"), BETWEEN(0, 65535),
     .help = "The port for members in trusted networks (role internal); 0 for none."},
    {ROW(submission_port, KEY_NUMBER, "587"), BETWEEN(0, 65535),
     .help = "The port for members, encrypted and authenticated (role submission); 0 for none."},
    {ROW(submissions_port, KEY_NUMBER, "0"), BETWEEN(0, 65535),
     .help = "The port for members whose connections begin with TLS (RFC 8314, usually 465; role submission, tls implicit); 0 for none."},
    {ROW(remote_smtp_port, KEY_NUMBER, "25"), BETWEEN(1, 65535),
     .help = "The port of other servers, to which remote mail is delivered."},
    {ROW(trusted_networks, KEY_NETWORKS, "127.0.0.0/8,::1"),
     .help = "Networks whose clients may send members' mail through the internal port without a login."},
    {.name = "allow", .type = KEY_NETWORKS, AT(allow_networks), .standard = "",
     .help = "Networks that are never locked out, nor met by what strangers have to bear; loopback is not among them unless it is written here."},

    {ROW(lmtp, KEY_HOST, ""), .heading = "Local delivery",
     .help = "Where local mail goes by LMTP, for instance Dovecot: host:port or the path of a Unix socket."},
    {ROW(local_transport, KEY_TEXT, ""), .derived = "lmtp where lmtp is set, else maildir",
     .help = "How local mail is delivered: lmtp, maildir, null, or the name of a transport block."},
    {ROW(maildir, KEY_PATH, ""), .derived = "mail/%d/%u/Maildir beside the queue",
     .help = "The Maildir of a recipient for the transport maildir; %u is the local part, %d the domain."},
    {ROW(maildir_user, KEY_TEXT, ""), .derived = "user_name",
     .help = "The system user that owns the Maildir folders and delivers into them."},
    {ROW(local_filter, KEY_TEXT, ""),
     .help = "A program with its arguments, such as \"/usr/bin/spamc -x\", that mail is passed through before local delivery."},
    {ROW(local_filter_timeout, KEY_SECONDS, "60"), BETWEEN(1, 3600),
     .help = "How long it may take; after that, as after any failure of it, the mail is delivered unchanged."},

    {ROW(user_name, KEY_TEXT, "parcelpost"), .heading = "Processes and users",
     .help = "The system user of ledger and queue runner: owns the database and the queue."},
    {ROW(group_name, KEY_TEXT, ""), .help = "Its group; empty for the user's own."},
    {ROW(network_user, KEY_TEXT, "parcelpost-net"), .help = "The system user of receivers, the resolver and agents."},
    {ROW(auth_user, KEY_TEXT, "parcelpost-auth"), .help = "The system user of lookup, which reads users and rules."},
    {ROW(key_user, KEY_TEXT, "parcelpost-key"), .help = "The system user of the signer, which holds private keys."},
    {ROW(outside_user, KEY_TEXT, "parcelpost-out"),
     .help = "The system user, with its groups, of the connector, which opens connections to policy servers and milters."},
    {ROW(chroot_directory, KEY_PATH, "/var/lib/parcelpost/empty"),
     .help = "The empty directory that network processes are locked into (as root only); made when it is missing."},
    {ROW(lock_file_path, KEY_PATH, "/run/parcelpost/parcelpost.lock"),
     .help = "The file whose lock says that a daemon or a queue run owns the spool."},
    {ROW(pid_path, KEY_PATH, "/run/parcelpost/parcelpostd.pid"), .help = "The daemon's pid file."},
    {ROW(control_directory, KEY_PATH, "/run/parcelpost"),
     .help = "The directory of the sockets by which parcelpost and parcelpost-queue talk to the daemon."},
    {ROW(receiver_sessions, KEY_NUMBER, "1"), BETWEEN(1, 1000000),
     .help = "Connections that one receiver serves before it ends; 1 keeps clients apart, more is faster."},
    {ROW(receiver_spare, KEY_NUMBER, "4"), BETWEEN(0, 1000), .help = "Receivers that are kept ready ahead of need."},
    {ROW(session_limit, KEY_NUMBER, "0"), BETWEEN(0, 1000000),
     .help = "Sessions at one time; who connects above that waits for the greeting; 0 for as many as connection_limit."},
    {ROW(connection_limit, KEY_NUMBER, "1000"), BETWEEN(1, 1000000), .help = "Connections at one time in all, also those that wait; above it they read 421."},
    {ROW(contact_connection_limit, KEY_NUMBER, "50"), BETWEEN(1, 1000000),
     .help = "Connections at one time from one contact."},
    {ROW(listen_backlog, KEY_NUMBER, "512"), BETWEEN(1, 65535), .help = "Connections that wait to be accepted."},
    {ROW(lookup_workers, KEY_NUMBER, "2"), BETWEEN(1, 64), .help = "Lookup processes, among which receivers are shared out."},
    {ROW(service_timeout, KEY_SECONDS, "60"), BETWEEN(1, 3600),
     .help = "Lookup, resolver or signer that does not react for so long is ended and replaced; ledger and queue runner "
             "after five times as long."},
    {ROW(lookup_timeout, KEY_SECONDS, "10"), BETWEEN(1, 600),
     .help = "A lookup process that takes longer over one question is ended and replaced."},
    {ROW(stop_timeout, KEY_SECONDS, "30"), BETWEEN(1, 3600),
     .help = "How long a stopping server waits for sessions in hand."},
    {ROW(runner, KEY_ENUM, "resident"), .words = runner_modes,
     .help = "Whether the daemon keeps a queue runner, or parcelpost-queue is run by cron."},

    {ROW(database, KEY_PATH, "/var/lib/parcelpost/parcelpost.db"), .heading = "Files",
     .help = "The SQLite database of contacts, mails and parcels."},
    {ROW(users_database, KEY_PATH, "/var/lib/parcelpost/users.db"), .help = "The SQLite database of logins."},
    {ROW(queue, KEY_PATH, "/var/lib/parcelpost/queue"), .help = "The spool."},
    {ROW(certificate, KEY_PATHS, ""),
     .help = "The TLS certificate chain (PEM); several, with keys of different kinds (RSA, ECDSA), for the client to choose from."},
    {ROW(private_key, KEY_PATHS, ""), .help = "The certificate's private key (PEM); as many as certificates, in their order."},
    {ROW(self_signed_certificate, KEY_SWITCH, "yes"),
     .help = "Make a self-signed certificate at the start when there is none, for trying out: nobody can verify it; with no, there is no TLS then."},
    {ROW(dkim_private_key_file, KEY_PATH, ""),
     .help = "The DKIM key (PEM) of every local domain that has no dkim block."},
    {ROW(dkim_selector, KEY_DOMAIN, "mail"), .help = "The selector of that key."},

    {ROW(tls_preset, KEY_ENUM, "intermediate"), .words = tls_presets, .heading = "TLS of clients",
     .help = "Which versions and ciphers clients may use, as Mozilla's guidelines name them; see TLS PRESETS."},
    {ROW(tls_session_lifetime, KEY_SECONDS, "3600"), BETWEEN(0, 604800),
     .help = "How long a client can resume a TLS session by a ticket; a new key for tickets is made as often, and the one before is still taken; "
             "0 for no tickets."},
    {ROW(client_certificates, KEY_ENUM, "no"), .words = client_certificates,
     .help = "Ask clients for a certificate (ask); what they show is a fact for rules, and none is no error."},
    {ROW(client_ca, KEY_PATH, ""), .help = "Certificates (PEM) of those who may vouch for clients."},

    {ROW(log_path_and_file, KEY_PATH, ""), .heading = "Log",
     .help = "The log file; empty or \"-\" for standard error."},
    {ROW(log_file_life, KEY_ENUM, "none"), .words = log_lives,
     .help = "When a new log file begins; none where logrotate moves it and sends SIGHUP."},
    {ROW(log_level, KEY_ENUM, "info"), .words = log_levels, .help = "The lowest severity that is logged."},
    {ROW(show_incoming_data, KEY_SWITCH, "no"), .help = "Log every line of message data as it comes."},
    {ROW(dump_mail_into_log, KEY_SWITCH, "no"), .help = "Log what is known of each message once it is stored."},
    {ROW(display_receiver_dialog, KEY_SWITCH, "no"), .help = "Write sessions with clients to standard error."},
    {ROW(log_receiver_conversation, KEY_SWITCH, "no"), .help = "Log sessions with clients."},
    {ROW(display_queue_runner_dialog, KEY_SWITCH, "no"), .help = "Write sessions with other servers to standard error."},
    {ROW(log_queue_runner_conversation, KEY_SWITCH, "no"), .help = "Log sessions with other servers."},

    {ROW(dns_servers, KEY_SERVERS, ""), .heading = "DNS",
     .help = "Name servers, each an address or address:port; empty for those of /etc/resolv.conf."},
    {ROW(dns_timeout_ms, KEY_NUMBER, "5000"), BETWEEN(10, 60000), .help = "Milliseconds for one try of a question."},
    {ROW(dns_tries, KEY_NUMBER, "2"), BETWEEN(1, 10), .help = "Tries for each name server."},
    {ROW(dns_cache_size, KEY_NUMBER, "10000"), BETWEEN(0, 10000000), .help = "Answers that are remembered."},
    {ROW(reverse_lookup, KEY_SWITCH, "yes"), .help = "Look the client's name up, and confirm it by its address."},

    {ROW(receiver_timeout, KEY_SECONDS, "0"), BETWEEN(0, 3600), .heading = "Sessions",
     .help = "How long a client may be silent, or take over one command line; 0 for the minima of RFC 5321 4.5.3.2, which differ by command."},
    {ROW(ehlo_domain_required, KEY_SWITCH, "yes"), .help = "Refuse EHLO and HELO without a domain."},
    {ROW(ehlo_domain_verifies, KEY_SWITCH, "yes"), .help = "On the mx port, refuse an EHLO domain that is not in DNS."},
    {ROW(sender_domain_verifies, KEY_SWITCH, "yes"),
     .help = "On the mx port, refuse a sender whose domain is not in DNS or takes no mail."},
    {ROW(dangerous_recipients, KEY_ENUM, "refuse"), .words = dangers,
     .help = "Recipients whose local part another program might take for a path, a route or a command."},
    {ROW(bare_line_ends, KEY_ENUM, "refuse"), .words = bare_line_ends,
     .help = "What becomes of a message with a CR or LF that stands alone; normalise makes each CRLF, which breaks signatures over it. "
             "Neither ever ends a line of the dialogue, or the data."},
    {ROW(accepted_text, KEY_TEXT, "OK id=%i"), .help = "The text of the 250 for an accepted message; %i is its id."},
    {ROW(line_maximum, KEY_SIZE, "2048"), BETWEEN(512, 65536), .help = "Bytes of a command line with its CRLF."},
    {ROW(recipient_maximum, KEY_NUMBER, "1000"), BETWEEN(100, 50000),
     .help = "Recipients of one message; RFC 5321 4.5.3.1.8 wants at least 100."},
    {ROW(message_maximum, KEY_SIZE, "50M"), BETWEEN(1024, INT32_MAX), .help = "Bytes of a message (SIZE)."},
    {ROW(received_maximum, KEY_NUMBER, "50"), BETWEEN(5, 1000),
     .help = "Received fields above which a message is taken for one that runs in circles."},
    {.name = "message_id_base", .type = KEY_CHOICE, AT(mail_id_base), .standard = "62", .words = id_bases,
     .help = "The base of mail ids; 36 for file systems that do not tell upper from lower case."},
    {ROW(extensions_off, KEY_TEXTS, ""),
     .help = "Extensions that are neither announced nor understood, by their keyword, such as SMTPUTF8 or DSN."},
    {ROW(ehlo_keywords, KEY_TEXTS, ""), .help = "Further lines of the answer to EHLO, each a keyword with its parameters."},
    {ROW(no_soliciting, KEY_TEXTS, ""),
     .help = "Solicitation keywords (RFC 3865), such as net.example:ADV: mail that says them of itself is refused."},
    {ROW(future_release_maximum, KEY_SECONDS, "0"), BETWEEN(0, 31536000),
     .help = "How long members who have logged in may have a message held before it is delivered (FUTURERELEASE, RFC 4865); 0 for not at all."},
    {ROW(tls_required_header, KEY_SWITCH, "yes"),
     .help = "A message whose header says TLS-Required: No (RFC 8689) goes out although its destination had TLS before and now has not."},
    {ROW(dkim_verify, KEY_SWITCH, "yes"), .help = "Verify DKIM signatures and say so in Authentication-Results."},
    {ROW(spf_verify, KEY_SWITCH, "no"),
     .help = "Ask SPF of every sender and say so in Authentication-Results; rules that name :spf ask it in any case."},
    {ROW(dmarc_verify, KEY_SWITCH, "no"),
     .help = "Evaluate DMARC of every message and say so in Authentication-Results; rules that name :dmarc do in any case."},

    {ROW(auth_mechanisms, KEY_TEXTS, "SCRAM-SHA-256-PLUS,SCRAM-SHA-256,PLAIN,LOGIN"), .heading = "Logins",
     .help = "The mechanisms of AUTH that are offered, always within TLS only, as far as what checks logins can do them."},
    {ROW(auth_failure_delay_ms, KEY_NUMBER, "1000"), BETWEEN(0, 30000),
     .help = "Milliseconds before a login is refused, twice as many for each violation of the contact, 30 seconds at most; 0 for none."},
    {ROW(account_failures_maximum, KEY_NUMBER, "20"), BETWEEN(0, 1000000),
     .help = "Failed logins to one account, from whatever addresses, after which further ones are refused, right or wrong, but from where it was used before; 0 for any number."},
    {ROW(account_lock_seconds, KEY_SECONDS, "15m"), BETWEEN(1, 31536000),
     .help = "How long a failed login counts so, and how long the account stays locked."},
    {ROW(account_message_rate, KEY_NUMBER, "0"), BETWEEN(0, 1000000),
     .help = "Messages (MAIL commands) an hour that are taken from one login: so many at once, then evenly spaced; 0 for no limit."},
    {ROW(account_recipient_rate, KEY_NUMBER, "0"), BETWEEN(0, 1000000), .help = "Recipients (RCPT commands) an hour likewise."},
    {ROW(header_from_check, KEY_SWITCH, "yes"),
     .help = "Refuse a message of a login whose From field names an address that is not the login's own."},
    {ROW(scram_iterations, KEY_NUMBER, "100000"), BETWEEN(4096, 10000000),
     .help = "What guessing a password costs whoever gets hold of its SCRAM verifier, and each login its client; for passwords set from now on."},

    {ROW(rules_directory, KEY_PATH, "/etc/parcelpost/rules"), .heading = "Rules",
     .help = "Where the operator's own rules are, one file of SELECT statements a stage; see parcelpost-rules(5)."},
    {ROW(rules_timeout_ms, KEY_NUMBER, "1000"), BETWEEN(1, 60000),
     .help = "Milliseconds that the rules of one stage may take; after that the client is put off with 451."},
    {.name = "milters", .type = KEY_TEXTS, AT(milter_names), .standard = "", .derived = "all milter blocks as they are written",
     .help = "The milter blocks whose programs sessions talk to, in this order, where a listen block names none."},

    {ROW(prohibited_seconds, KEY_SECONDS, "3600"), BETWEEN(1, 31536000), .heading = "Contacts and lockout",
     .help = "A lockout ends after this long without an attempt."},
    {ROW(max_failed_msgs_per_period, KEY_NUMBER, "3"), BETWEEN(0, 1000000),
     .help = "Violations of a contact before its next connection is warned and locked out."},
    {ROW(lockout_maximum, KEY_SECONDS, "86400"), BETWEEN(1, 31536000), .help = "A lockout never lasts longer."},
    {ROW(contact_prefix_v6, KEY_NUMBER, "64"), BETWEEN(16, 128), .help = "Bits by which IPv6 addresses are one contact."},
    {ROW(history_days, KEY_NUMBER, "30"), BETWEEN(1, 36500), .help = "Days that finished mail and old contacts are kept."},
    {ROW(lock_command, KEY_TEXT, ""),
     .help = "A program that is run when a contact is locked out, for instance nft, with the rights that the server was started with; "
             "the contact is %i, or else its last argument."},
    {ROW(unlock_command, KEY_TEXT, ""), .help = "The same when a lockout ends."},

    {ROW(greeting_delay_ms, KEY_NUMBER, "0"), BETWEEN(0, 60000), .heading = "Strangers",
     .help = "On the mx port, milliseconds that the greeting waits for clients that talk before it, which are refused; never for "
             "contacts whose mail was accepted lately."},
    {ROW(dnsbl_threshold, KEY_NUMBER, "1"), BETWEEN(1, 1000000),
     .help = "The sum of the weights of DNS lists from which on a client or sender is refused."},
    {ROW(reverse_required, KEY_ENUM, "no"), .words = reverses,
     .help = "On the mx port, refuse clients whose address has no name in the DNS, or (confirmed) none that leads back to the address."},
    {ROW(greylisting, KEY_SWITCH, "no"),
     .help = "On the mx port, put the first try of each sender and recipient from a stranger's network off, and take it when it "
             "comes again; never for contacts whose mail was accepted lately, or who are allowed."},
    {ROW(greylist_delay, KEY_SECONDS, "5m"), BETWEEN(1, 86400), .help = "How long after the first try one is taken."},
    {ROW(greylist_window, KEY_SECONDS, "2d"), BETWEEN(60, 31536000),
     .help = "How long after the first try it must have come again; then it is forgotten."},
    {ROW(greylist_lifetime, KEY_SECONDS, "35d"), BETWEEN(60, 31536000),
     .help = "How long after its last try one that was taken is remembered."},
    {ROW(contact_connection_rate, KEY_NUMBER, "0"), BETWEEN(0, 1000000),
     .help = "Connections a minute from one contact: so many at once, then evenly spaced; 0 for no limit."},
    {ROW(network_connection_rate, KEY_NUMBER, "0"), BETWEEN(0, 1000000),
     .help = "The same for a whole network: /24, or /48 of IPv6."},
    {ROW(contact_message_rate, KEY_NUMBER, "0"), BETWEEN(0, 1000000),
     .help = "On the mx port, messages (MAIL commands) an hour from one contact; 0 for no limit."},
    {ROW(network_message_rate, KEY_NUMBER, "0"), BETWEEN(0, 1000000), .help = "The same for a whole network."},
    {ROW(contact_recipient_rate, KEY_NUMBER, "0"), BETWEEN(0, 1000000),
     .help = "On the mx port, recipients (RCPT commands) an hour from one contact; 0 for no limit."},
    {ROW(network_recipient_rate, KEY_NUMBER, "0"), BETWEEN(0, 1000000), .help = "The same for a whole network."},
    {ROW(unknown_recipients_maximum, KEY_NUMBER, "0"), BETWEEN(0, 1000000),
     .help = "On the mx port, recipients a day that one contact may name although they do not exist; the next one ends its session "
             "and counts as a violation of its own; 0 for no limit."},
    {ROW(slow_reply_ms, KEY_NUMBER, "0"), BETWEEN(0, 10000),
     .help = "Milliseconds that each reply to a contact waits for each of its violations, 30 seconds at most."},
    {ROW(data_minimum_rate, KEY_NUMBER, "100"), BETWEEN(0, 1000000),
     .help = "Bytes a second that message data must come with on average, after three minutes of grace; 0 for any pace."},

    {ROW(journal_segment_size, KEY_SIZE, "16M"), BETWEEN(65536, INT32_MAX), .heading = "Spool",
     .help = "Bytes of one journal segment."},
    {ROW(journal_max_message, KEY_SIZE, "1M"), BETWEEN(4096, INT32_MAX),
     .help = "Larger messages become files at once; at most half a segment."},
    {ROW(queue_maximum_size, KEY_SIZE, "0"), BETWEEN(0, LARGE), .help = "Bytes the spool may take; 0 for no limit."},
    {ROW(queue_minimum_free, KEY_SIZE, "64M"), BETWEEN(0, LARGE),
     .help = "Bytes that must stay free on the spool's file system; below, mail is put off with 452."},

    {ROW(queue_runner_timeout, KEY_SECONDS, "0"), BETWEEN(0, 3600), .heading = "Delivery",
     .help = "How long another server may be silent; 0 for the minima of RFC 5321 4.5.3.2."},
    {ROW(retry_schedule, KEY_TIMES, "5m,10m,20m,40m,80m,160m,4h"),
     .help = "The pauses before each new attempt, up to a tenth longer by chance each; the last one repeats."},
    {ROW(queue_lifetime, KEY_SECONDS, "5d"), BETWEEN(60, 31536000),
     .help = "How long delivery is tried before the sender is told that it failed."},
    {ROW(delay_warning, KEY_SECONDS, "4h"), BETWEEN(0, 31536000),
     .help = "How long it is tried before the sender is told, once, that the mail is late; 0 for never."},
    {ROW(notice_return_maximum, KEY_SIZE, "32K"), BETWEEN(0, 49152),
     .help = "Bytes up to which a failed message is returned whole to a sender who asked for that (RET=FULL); larger ones by their headers."},
    {ROW(notice_postmaster, KEY_SWITCH, "no"),
     .help = "Send the postmaster a copy of each notice of failure, with the headers of the message."},
    {ROW(agent_limit, KEY_NUMBER, "200"), BETWEEN(1, 10000),
     .help = "Delivery agents at one time in all; as many as destination_limit, half at most, are for local mail only."},
    {ROW(destination_limit, KEY_NUMBER, "10"), BETWEEN(1, 1000),
     .help = "Delivery agents at one time to one destination; it begins with one and gets more as they succeed."},
    {ROW(destination_rate, KEY_NUMBER, "0"), BETWEEN(0, 1000000),
     .help = "Messages a minute to one remote destination, evenly spaced; 0 for as many as it takes."},
    {ROW(account_limit, KEY_NUMBER, "0"), BETWEEN(0, 10000),
     .help = "Delivery agents at one time for the mail of one login; 0 for no limit."},
    {ROW(account_rate, KEY_NUMBER, "0"), BETWEEN(0, 1000000),
     .help = "Messages a minute for one login, evenly spaced; 0 for as many as it sends."},
    {ROW(agent_recipients, KEY_NUMBER, "100"), BETWEEN(1, 100), .help = "Recipients of one delivery transaction."},
    {ROW(source_addresses, KEY_ADDRESSES, ""),
     .help = "The addresses that mail is sent from, IPv4, IPv6 or both: of each family the first that this machine has."},
    {ROW(outbound_tls, KEY_SWITCH, "yes"), .help = "Use STARTTLS where another server offers it."},
    {ROW(outbound_tls_memory, KEY_SECONDS, "30d"), BETWEEN(0, 31536000),
     .help = "How long it is remembered that a domain's servers offered TLS, so that mail waits where they suddenly do not; 0 for never."},
};
/* clang-format on */
const size_t config_key_count = sizeof config_keys / sizeof config_keys[0];

const struct config_key *config_key_find(const struct config_key *keys, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}
