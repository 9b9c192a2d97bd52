/* SPDX-License-Identifier: MIT
 * The configuration: one struct, filled by libconfuse from one table of keys (keys.c), which parser, `parcelpostd -T`
 * and the manual page all come from. Read once in the listener; children inherit it, ledger and runner take a new one
 * on HUB_RELOAD. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H
#include "base/buffer.h"
#include "base/network.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum listen_role {
    ROLE_MX,         /* port 25: mail from strangers to us */
    ROLE_INTERNAL,   /* port 467: members in trusted networks, or authenticated */
    ROLE_SUBMISSION, /* port 587: members, encrypted and authenticated */
    ROLE_SENDMAIL,   /* the Unix socket of the sendmail program: members by uid */
    ROLE_LMTP        /* LMTP (RFC 2033): mail for us from a server that the operator lets connect */
};
/* What is not written follows from the role (check_listen.c). */
enum listen_tls {
    LISTEN_TLS_OPTIONAL,  /* STARTTLS is offered */
    LISTEN_TLS_FORBIDDEN, /* it is not */
    LISTEN_TLS_REQUIRED,  /* nothing but it is done before it */
    LISTEN_TLS_IMPLICIT   /* the connection begins with a handshake (RFC 8314 3) */
};
enum listen_auth { LISTEN_AUTH_OPTIONAL, LISTEN_AUTH_FORBIDDEN, LISTEN_AUTH_REQUIRED };
enum log_life { LOG_LIFE_NONE, LOG_LIFE_DAILY, LOG_LIFE_WEEKLY, LOG_LIFE_MONTHLY };
enum auth_backend { AUTH_TABLES, AUTH_DOVECOT };
enum runner_mode { RUNNER_RESIDENT, RUNNER_CRON };
enum reverse_required { REVERSE_NOT_REQUIRED, REVERSE_NAME, REVERSE_CONFIRMED_NAME };
enum dangerous_recipients { DANGEROUS_REFUSED, DANGEROUS_ALLOWED };
enum bare_line_ends { BARE_LINE_ENDS_REFUSED, BARE_LINE_ENDS_NORMALISED };

/* What the connector opens for receivers, by kind and index. */
enum outside_kind {
    OUTSIDE_MILTER,  /* milters[index] */
    OUTSIDE_POLICY,  /* policies[index] */
    OUTSIDE_LOGIN,   /* Dovecot's auth socket; index 0 */
    OUTSIDE_PROGRAM, /* oauth_check; index 0 */
    OUTSIDE_KINDS
};

#define CONFIG_MILTERS_MAXIMUM 16 /* that one session talks to */

struct config_strings {
    char **items;
    size_t count;
};
struct config_networks {
    struct network *items;
    size_t count;
};
#define CONFIG_LISTEN_ADDRESSES 8
struct config_listen { /* listen "ADDRESS" { role = … } */
    char *address;     /* as written */
    enum listen_role role;
    long mode;   /* of a Unix socket, octal in the file */
    char *owner; /* of a Unix socket: "user" or "user:group"; "": who starts the server */
    bool proxy;  /* every connection begins with a proxy's header, and comes from one of */
    struct config_networks proxy_networks;
    struct config_strings policies; /* names of policy blocks; on mx by default all of them */
    uint32_t policy_bits;           /* of 1 << their index */
    struct config_strings milters;  /* names of milter blocks; where it is not written, the key outside */
    unsigned char milter_order[CONFIG_MILTERS_MAXIMUM]; /* their indices; milters.count of them */
    enum listen_tls tls;
    enum listen_auth auth;
    struct config_networks networks;         /* who may use it; empty: everybody */
    struct config_networks xclient_networks; /* whose filters may say by XCLIENT who their client is */
    bool by_name; /* "host:port": the listener finds its addresses; parsed has the port until then */
    struct network_address parsed[CONFIG_LISTEN_ADDRESSES]; /* "port" alone gives v4 and v6 */
    size_t parsed_count;
};
struct config_dkim {
    char *domain, *selector, *private_key_file;
};                          /* dkim "domain" {…} */
struct config_certificate { /* tls_certificate "SERVER NAME" {…} */
    char *name;
    struct config_strings certificate, private_key;
};
enum route_tls { ROUTE_TLS_OPPORTUNISTIC, ROUTE_TLS_REQUIRED, ROUTE_TLS_VERIFIED };
struct config_route {                     /* route "domain|.domain|*" { host = "h:port" … } */
    char *domain, *host;                  /* host "": the domain's own exchangers */
    char *transport;                      /* a transport's name, "" for what the domain has anyhow */
    struct config_strings retry_schedule; /* what is not written is as outside the block */
    long *retry_seconds;
    size_t retry_count;
    long queue_lifetime, delay_warning, limit, rate;
    bool lmtp;
    int tls;                                /* enum route_tls */
    char *user, *password_file;             /* both or neither; then tls is not opportunistic */
    struct config_strings source_addresses; /* empty: those of the configuration */
};
struct config_transport {
    char *name, *kind, *target, *user;
    long timeout, memory_maximum; /* of a pipe's program: seconds; bytes, 0: no limit */
}; /* transport "name" { kind = maildir, target = path, endpoint or command, user = … } */
enum when_down { WHEN_DOWN_ACCEPT, WHEN_DOWN_TEMPFAIL };
struct config_policy {            /* policy "NAME" { endpoint = … } */
    char *name, *endpoint;        /* host:port, /path, or |command */
    struct config_strings stages; /* names of enum rule_stage */
    uint32_t stage_bits;          /* of 1 << them */
    long timeout;                 /* seconds, for one answer */
    enum when_down when_down;
};
struct config_milter { /* milter "NAME" { endpoint = … } */
    char *name, *endpoint;
    long connect_timeout, command_timeout, content_timeout; /* seconds */
    enum when_down when_down;
};
enum dnsbl_subject { DNSBL_CLIENT, DNSBL_EHLO, DNSBL_SENDER };
struct config_dnsbl { /* dnsbl "NAME" { zone = … } */
    char *name, *zone;
    bool allow;                    /* who is on it is refused by no list */
    long weight;                   /* added to the client's score */
    struct config_strings answers; /* which of the list's answers count; empty: all */
    int subject;                   /* enum dnsbl_subject: what is looked up in it */
};

struct config {
    char *file; /* where it was read */
    /* identity */
    char *server_title, *server_name, *postmaster;
    struct config_strings local_domains;
    /* names */
    char *recipient_delimiter; /* one character, or "" */
    struct config_strings alias_directories;
    long expansion_maximum;
    char *srs_domain, *srs_secret_file;
    /* ports and listeners */
    struct config_listen *listens;
    size_t listen_count;
    long standard_mail_port, internal_submit_port, submission_port, submissions_port, remote_smtp_port;
    char *lmtp;            /* where local mail goes by LMTP: host:port or /path; "" for local_transport's own */
    char *local_transport; /* a transport row's name: "lmtp", "maildir", "null" or a transport block */
    char *maildir;         /* for the maildir transport: pattern with %u local part, %d domain */
    char *maildir_user;
    char *local_filter; /* a program and its arguments, before local delivery; "" for none */
    long local_filter_timeout;
    struct config_networks trusted_networks, allow_networks;
    /* processes */
    char *user_name, *group_name, *network_user, *auth_user, *key_user, *outside_user;
    char *chroot_directory;
    char *lock_file_path, *pid_path, *control_directory;
    long receiver_sessions, receiver_spare, session_limit, connection_limit, contact_connection_limit, listen_backlog,
        lookup_workers, signer_workers, lookup_timeout, service_timeout;
    long stop_timeout;
    enum runner_mode runner;
    /* files */
    char *database, *users_database, *queue;
    struct config_strings certificate, private_key; /* pairs, of different kinds of keys */
    bool self_signed_certificate;
    struct config_certificate *certificates;
    size_t certificate_count;
    char *dkim_private_key_file, *dkim_selector;
    struct config_dkim *dkims;
    size_t dkim_count;
    /* TLS of clients */
    int tls_preset; /* enum tls_preset */
    long tls_session_lifetime;
    int client_certificates; /* 1: asked for */
    char *client_ca;
    /* log */
    char *log_path_and_file; /* "" or "-": standard error */
    enum log_life log_file_life;
    int log_level; /* enum log_level */
    bool show_incoming_data, dump_mail_into_log, display_receiver_dialog, log_receiver_conversation,
        display_queue_runner_dialog, log_queue_runner_conversation;
    /* DNS */
    struct config_strings dns_servers; /* empty: those of resolv.conf */
    long dns_timeout_ms, dns_tries, dns_cache_size;
    struct config_dnsbl *dnsbls;
    size_t dnsbl_count, dnsbl_domain_count; /* those of other subjects than clients */
    bool reverse_lookup;
    /* session */
    long receiver_timeout; /* seconds: 0 = the RFC 5321 minima per phase, else at most this for each */
    bool ehlo_domain_required, ehlo_domain_verifies, sender_domain_verifies;
    enum dangerous_recipients dangerous_recipients;
    enum bare_line_ends bare_line_ends; /* within mail data */
    char *accepted_text;                /* "%i" stands for the mail id */
    long line_maximum, recipient_maximum, message_maximum, received_maximum;
    long mail_id_base; /* message_id_base */
    bool dkim_verify;
    bool spf_verify;
    bool dmarc_verify;
    struct config_strings extensions_off, ehlo_keywords, no_soliciting;
    bool tls_required_header;
    long future_release_maximum;  /* seconds; 0: FUTURERELEASE is not offered */
    uint32_t extensions_off_bits; /* of 1 << enum extension */
    enum auth_backend auth_backend;
    char *dovecot_auth, *oauth_check, *login_database, *login_query;
    long auth_timeout;
    struct config_strings auth_mechanisms;
    uint32_t auth_mechanisms_bits; /* of 1 << enum auth_mechanism */
    long scram_iterations, auth_failure_delay_ms;
    long account_failures_maximum, account_lock_seconds, account_message_rate, account_recipient_rate;
    bool header_from_check;
    char *rules_directory; /* "" for none */
    long rules_timeout_ms;
    /* contacts */
    long prohibited_seconds, max_failed_msgs_per_period, lockout_maximum, contact_prefix_v6, history_days;
    char *lock_command, *unlock_command;
    /* strangers; 0: not limited, not done */
    long greeting_delay_ms, slow_reply_ms, dnsbl_threshold, unknown_recipients_maximum;
    int reverse_required; /* enum reverse_required */
    bool greylisting;
    long greylist_delay, greylist_window, greylist_lifetime; /* seconds */
    long contact_connection_rate, network_connection_rate;   /* a minute */
    long contact_message_rate, network_message_rate;         /* an hour */
    long contact_recipient_rate, network_recipient_rate;     /* an hour */
    long data_minimum_rate;                                  /* bytes a second */
    /* spool */
    long journal_segment_size, journal_max_message, queue_maximum_size, queue_minimum_free;
    /* queue runner */
    long queue_runner_timeout;            /* as receiver_timeout, for agents */
    struct config_strings retry_schedule; /* seconds, the last repeats; default 300 */
    long *retry_seconds;
    size_t retry_count;
    long queue_lifetime; /* seconds until a deferred parcel expires */
    long delay_warning;  /* seconds until a waiting mail's sender is told; 0: never */
    long notice_return_maximum;
    bool notice_postmaster;
    long agent_limit, destination_limit, agent_recipients;
    long destination_rate, account_limit, account_rate; /* messages a minute; 0: as many as come */
    struct config_route *routes;
    size_t route_count;
    struct config_policy *policies;
    size_t policy_count;
    struct config_milter *milters;
    size_t milter_count;
    struct config_strings milter_names; /* the key milters: whom listen blocks have that name none */
    struct config_transport *transports;
    size_t transport_count;
    struct config_strings source_addresses; /* v4 and v6 in any order; empty: the kernel's choice */
    bool outbound_tls;
    long outbound_tls_memory; /* seconds; 0: nothing is remembered */
};

/* Reads and checks a configuration. On any error: writes "FILE:LINE: KEY: what is wrong; accepted: …" lines to errors
 * and returns NULL. overrides: NULL-terminated "key=value" strings applied last (tests, command line), or NULL. */
struct config *config_read(const char *file, const char *const *overrides, struct buffer *errors);
/* The same from an open file, for processes that cannot open it. */
struct config *config_read_stream(FILE *stream, const char *name, struct buffer *errors);
void config_free(struct config *config);
/* True for a domain that local_domains names, or one below its ".name", or any where it has "*". */
bool config_domain_is_local(const struct config *config, struct text domain);
/* ".name" or "*": stands for domains, and is none itself. */
bool config_domain_is_pattern(const char *domain);
/* Whether the signer has a DKIM key for mail of this domain: a dkim block's, or the shared one for a local domain. */
bool config_domain_is_signed(const struct config *config, struct text domain);
/* Goes through the keys that sign: those of blocks, then the shared one for each local domain whose block has not its
 * selector. *at begins as 0; the row's strings are the configuration's. False when there are no more. */
bool config_dkim_next(const struct config *config, size_t *at, struct config_dkim *row);
/* The first of local_domains that is no pattern, else server_name. */
const char *config_main_domain(const struct config *config);
/* The route block for a domain: its own, else the closest of the domains above it that has one with a leading dot, else
 * "*"; NULL for none. */
const struct config_route *config_route_find(const struct config *config, struct text domain);
/* The same for mail to a domain: "*" is not meant for local ones. */
const struct config_route *config_route_of(const struct config *config, struct text domain, bool remote);
/* The transport block of that name; NULL when there is none, as for the transports that are built in. */
const struct config_transport *config_transport_find(const struct config *config, struct text name);
/* The password of a route with a user: the first line of its password_file, which only who starts the server need be
 * able to read. Owned by the caller. NULL: error says why. Called by the listener to check it, and by an agent before
 * it drops its privileges, so that no other process ever holds it. */
char *config_route_password(const struct config_route *route, struct buffer *error);
/* What the connector opens: endpoint is host:port, a path, or "|command"; "" when the configuration names none. */
struct config_outside {
    const char *endpoint;
    const char *sort, *name; /* for the log: policy "greylist" */
    long seconds;            /* that connecting may take */
};
struct config_outside config_outside_find(const struct config *config, enum outside_kind kind, uint32_t index);
/* Whether there is any, and any that is a program: without, no connector is started, or it is confined. */
bool config_has_outside(const struct config *config, bool programs_only);
/* `parcelpostd -T`: every key with its effective value, in the file's own syntax, so that it can be read back. */
bool config_print(const struct config *config, FILE *out);
/* How patiently and how fast a domain gets its mail: by its block, or by the keys outside. */
struct config_pace {
    const long *retry_seconds;
    size_t retry_count;
    long queue_lifetime, delay_warning, limit, rate;
};
struct config_pace config_pace_for(const struct config *config, struct text domain, bool remote);
/* The mdoc list of keys for man/parcelpost.conf.5, from the table. */
bool config_print_manual(FILE *out);
bool config_networks_hold(const struct config_networks *networks, const struct network_address *address);
/* The index of the listen block whose role rules; name for Received and rows: "mx", "internal", … */
const char *config_role_name(enum listen_role role);
#endif
