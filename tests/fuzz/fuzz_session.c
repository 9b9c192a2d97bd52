/* SPDX-License-Identifier: MIT
 * Fuzz target: a whole session. The real receiver's code in a world (session_world.h) where the client says the input,
 * and where services, milters, policy servers, Dovecot and the operator's rules answer what it chooses. TLS is
 * pretended: a handshake is a byte. It must end, with every reply line well formed, and without what only a bug makes
 * (a panic, a wait for ever).
 *
 * The first byte of an input is the port (enum port below), twice, and 1 when the client does not wait for its
 * greeting; the second says what is configured (enum option). */
#include "base/file.h"
#include "dkim/dkim.h"
#include "mail/extension.h"
#include "receiver/session.h"
#include "session_services.h"

static const char configuration[] =
    "server_title = \"Example\"\nserver_name = \"mail.example.test\"\npostmaster = \"coco@example.test\"\n"
    "local_domains = {\"example.test\"}\nself_signed_certificate = yes\nreceiver_timeout = 5s\n"
    "trusted_networks = {\"192.0.2.0/24\"}\nmessage_maximum = 300000\nreceived_maximum = 5\ndkim_verify = yes\n"
    "spf_verify = yes\ndmarc_verify = yes\nauth_backend = dovecot\ndovecot_auth = \"/run/auth\"\n"
    "oauth_check = \"|/bin/check\"\nauth_mechanisms = {SCRAM-SHA-256-PLUS, SCRAM-SHA-256, PLAIN, LOGIN, OAUTHBEARER, "
    "XOAUTH2}\nauth_failure_delay_ms = 10\nfuture_release_maximum = 1d\nno_soliciting = {\"net.example:ADV\"}\n"
    "journal_max_message = 100000\ngreylisting = yes\nreverse_required = name\nslow_reply_ms = 10\n"
    "contact_message_rate = 5\ncontact_recipient_rate = 5\nunknown_recipients_maximum = 3\naccount_message_rate = 5\n"
    "account_recipient_rate = 5\ndnsbl_threshold = 2\ngreeting_delay_ms = 100\ndata_minimum_rate = 10\n"
    "bare_line_ends = normalise\nlog_receiver_conversation = yes\nshow_incoming_data = yes\ndump_mail_into_log = "
    "yes\n"
    "dkim \"example.test\" { selector = \"mail\" private_key_file = \"/run/key\" }\n"
    "dnsbl \"list.example.net\" { weight = 2 answers = {\"127.0.0.2\"} }\ndnsbl \"good.example.net\" { allow = yes }\n"
    "dnsbl \"names.example.net\" { subject = ehlo }\ndnsbl \"senders.example.net\" { subject = sender }\n"
    "milters = {\"first\", \"second\"}\nmilter \"first\" { endpoint = \"/run/first\" }\n"
    "milter \"second\" { endpoint = \"/run/second\" when_down = accept }\n"
    "policy \"asked\" { endpoint = \"/run/asked\" stages = {connect, ehlo, mail_from, rcpt_to, data, message} }\n"
    "listen \"2025\" { role = mx }\nlisten \"2026\" { role = internal }\nlisten \"/run/sendmail\" { role = sendmail }\n"
    "listen \"2027\" { role = submission policies = {\"asked\"} }\n"
    "listen \"2028\" { role = submission tls = implicit }\nlisten \"2029\" { role = lmtp }\n"
    "listen \"2030\" { role = mx proxy = yes proxy_networks = {\"192.0.2.0/24\"} networks = {\"192.0.2.0/24\", "
    "\"2001:db8::/32\"} tls = required auth = optional }\n"
    "listen \"2031\" { role = mx xclient_networks = {\"192.0.2.0/24\"} auth = optional }\n";

enum port {
    PORT_MX,
    PORT_INTERNAL,
    PORT_SENDMAIL,
    PORT_SUBMISSION,
    PORT_IMPLICIT,
    PORT_LMTP,
    PORT_PROXY,
    PORT_FILTER,
    PORTS
};
enum option {
    OPTION_DOVECOT = 0x1,    /* is who checks logins */
    OPTION_MILTERS = 0x2,    /* there is one, with OPTION_SMALL two; and a signer */
    OPTION_POLICY = 0x4,     /* there is a policy server */
    OPTION_RULES = 0x8,      /* the operator has rules for every stage */
    OPTION_STRANGERS = 0x10, /* lists, rates, greylisting */
    OPTION_LENIENT = 0x20, /* line ends are normalised, names and signatures are not looked at, networks are trusted */
    OPTION_POOR = 0x40,    /* extensions are off, there is no certificate */
    OPTION_SMALL = 0x80    /* large messages become files; the server may be stopped; the dialogue is shown */
};

static struct config *whole;
static struct sql_rules own_rules;

static void fuzz_start(void) {
    struct buffer errors;
    int fd = file_memory("configuration");
    FILE *file = fdopen(fd, "r+");

    FUZZ_CHECK(file != NULL && file_write_all(fd, configuration, sizeof configuration - 1));
    buffer_init(&errors, 1u << 16);
    whole = config_read_stream(file, "configuration", &errors);
    if (whole == NULL)
        (void)fprintf(stderr, "%s", buffer_string(&errors));
    FUZZ_CHECK(whole != NULL && whole->listen_count == PORTS);
    (void)fclose(file);
    buffer_free(&errors);
    for (size_t i = 0; i < RULE_FILES; i++) {
        own_rules.files[i].named.asks = true;
        for (size_t fact = 0; fact < SQL_FACTS; fact++)
            own_rules.files[i].named.facts[fact] = sql_facts[fact].stages & 1u << i;
    }
    dkim_prepare();
}

/* ---- what is configured ---- */

static void leave_strangers_alone(struct config *config) {
    config->greylisting = false;
    config->reverse_required = REVERSE_NOT_REQUIRED;
    config->dnsbl_count = 0;
    config->contact_message_rate = config->contact_recipient_rate = config->unknown_recipients_maximum = 0;
    config->account_message_rate = config->account_recipient_rate = 0;
    config->slow_reply_ms = config->greeting_delay_ms = 0;
}

static void be_strict(struct config *config) {
    config->bare_line_ends = BARE_LINE_ENDS_REFUSED;
    config->trusted_networks.count = 0;
}

static void be_lenient(struct config *config) {
    config->dkim_verify = config->spf_verify = config->dmarc_verify = false;
    config->sender_domain_verifies = config->ehlo_domain_verifies = config->ehlo_domain_required = false;
    config->no_soliciting.count = 0;
    config->data_minimum_rate = 0;
}

static struct config configure(uint8_t options, struct config_listen listens[PORTS]) {
    struct config config = *whole;

    memcpy(listens, whole->listens, PORTS * sizeof *listens);
    config.listens = listens;
    if (!(options & OPTION_DOVECOT))
        config.auth_backend = AUTH_TABLES;
    for (size_t i = 0; i < PORTS; i++) {
        if (!(options & OPTION_MILTERS))
            listens[i].milters.count = 0;
        else if (!(options & OPTION_SMALL))
            listens[i].milters.count = 1;
        if (!(options & OPTION_POLICY))
            listens[i].policy_bits = 0;
    }
    if (!(options & OPTION_STRANGERS))
        leave_strangers_alone(&config);
    (options & OPTION_LENIENT ? be_lenient : be_strict)(&config);
    if (options & OPTION_POOR)
        config.extensions_off_bits = 1u << EXTENSION_ENHANCEDSTATUSCODES | 1u << EXTENSION_DSN |
                                     1u << EXTENSION_8BITMIME | 1u << EXTENSION_SMTPUTF8 | 1u << EXTENSION_SIZE;
    if (!(options & OPTION_SMALL)) {
        config.log_receiver_conversation = config.show_incoming_data = config.dump_mail_into_log = false;
        config.journal_max_message = 1 << 20;
    }
    return config;
}

/* ---- what is pretended ---- */

/* As in Makefile: the linker puts these in the place of what they are named after. */
enum stream_result __wrap_tls_accept(struct stream *stream, struct tls_server *server, int64_t deadline,
                                     struct tls_facts *facts, char *reason, size_t size);
enum stream_result __wrap_tls_accept_begun(struct stream *stream, struct tls_server *server, int64_t deadline,
                                           struct tls_facts *facts, char *reason, size_t size);
bool __wrap_tls_channel_binding(const struct stream *stream, struct text kind, unsigned char bytes[TLS_BINDING_MAXIMUM],
                                size_t *length);
void __wrap_random_fill(void *destination, size_t length);
void __real_random_fill(void *destination, size_t length);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t length, off_t offset);
ssize_t __real_pwrite(int fd, const void *bytes, size_t length, off_t offset);
ssize_t __wrap_pread(int fd, void *bytes, size_t length, off_t offset);
ssize_t __real_pread(int fd, void *bytes, size_t length, off_t offset);
time_t __wrap_time(time_t *seconds);
time_t __real_time(time_t *seconds);

enum stream_result __wrap_tls_accept(struct stream *stream, struct tls_server *server, int64_t deadline,
                                     struct tls_facts *facts, char *reason, size_t size) {
    (void)stream, (void)server, (void)deadline;
    *facts = (struct tls_facts){.version = "TLSv1.3", .cipher = "TLS_AES_256_GCM_SHA384", .cipher_bits = 256};
    if (world.heard) {
        (void)snprintf(facts->client_fingerprint, sizeof facts->client_fingerprint, "AB:CD");
        (void)snprintf(facts->client, sizeof facts->client, "O=a\\,b+CN=c");
        (void)snprintf(facts->client_issuer, sizeof facts->client_issuer, "O=a");
    }
    (void)snprintf(reason, size, "pretended");
    return choose(QUESTION_HANDSHAKE) == 1 ? STREAM_BROKEN : STREAM_OK;
}

enum stream_result __wrap_tls_accept_begun(struct stream *stream, struct tls_server *server, int64_t deadline,
                                           struct tls_facts *facts, char *reason, size_t size) {
    stream_consume(stream, 1);
    return __wrap_tls_accept(stream, server, deadline, facts, reason, size);
}

bool __wrap_tls_channel_binding(const struct stream *stream, struct text kind, unsigned char bytes[TLS_BINDING_MAXIMUM],
                                size_t *length) {
    (void)stream;
    memset(bytes, 'b', TLS_BINDING_MAXIMUM);
    *length = 32;
    return text_equal(kind, TEXT("tls-exporter"));
}

/* So that an input can say a server's nonce again. */
void __wrap_random_fill(void *destination, size_t length) {
    if (world.runs)
        memset(destination, 'Z', length);
    else
        __real_random_fill(destination, length);
}

time_t __wrap_time(time_t *seconds) {
    if (!world.runs)
        return __real_time(seconds);
    if (seconds != NULL)
        *seconds = 1800000000;
    return 1800000000;
}

static bool fails_on_disk(void) {
    static const int reasons[] = {0, ENOSPC, EIO, EFBIG};
    int reason = world.runs ? reasons[choose(QUESTION_DISK) % 4] : 0;

    errno = reason;
    return reason != 0;
}

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    return fails_on_disk() ? -1 : __real_pwrite(fd, bytes, length, offset);
}

ssize_t __wrap_pread(int fd, void *bytes, size_t length, off_t offset) {
    return fails_on_disk() ? -1 : __real_pread(fd, bytes, length, offset);
}

/* ---- a session ---- */

/* RFC 5321 4.2: three digits, a blank or a hyphen, text, CRLF. */
static void check_replies(struct text replies) {
    struct text line;

    if (world.deaf && replies.length > 0) {
        const char *end = memrchr(replies.data, '\n', replies.length);
        replies.length = end != NULL ? (size_t)(end - replies.data) : 0;
    }
    while (text_split(&replies, '\n', &line)) {
        FUZZ_CHECK(line.length >= 5 && line.data[line.length - 1] == '\r');
        FUZZ_CHECK(line.data[0] >= '2' && line.data[0] <= '5' && (line.data[3] == ' ' || line.data[3] == '-'));
        FUZZ_CHECK(memchr(line.data, '\r', line.length - 1) == NULL && memchr(line.data, '\0', line.length) == NULL);
    }
}

static struct network_address address_of(const char *ip, unsigned port) {
    struct network_address address = {.length = 0};

    FUZZ_CHECK(network_parse_ip(text_of(ip), port, &address));
    return address;
}

static struct process_start make_start(struct config *config, uint8_t options, int hub) {
    static char certificate;
    const int *channels = services.theirs;

    return (struct process_start){.config = config,
                                  .hub = hub,
                                  .ledger = channels[LEDGER],
                                  .lookup = channels[LOOKUP],
                                  .resolver = channels[RESOLVER],
                                  .signer = options & OPTION_MILTERS ? channels[SIGNER] : -1,
                                  .connector = channels[CONNECTOR],
                                  .job = -1,
                                  .tls = options & OPTION_POOR ? NULL : (struct tls_server *)&certificate,
                                  .rules = options & OPTION_RULES ? &own_rules : NULL};
}

static void fuzz_one(struct text input) {
    uint8_t port = fuzz_byte(&input), options = fuzz_byte(&input);
    const struct network_address peer = address_of("192.0.2.1", 1025);
    struct network_address local = address_of("192.0.2.2", 25);
    struct config_listen listens[PORTS];
    struct config config = configure(options, listens);
    int hub[2] = {-1, -1};

    if ((port >> 1) % PORTS == PORT_SENDMAIL)
        local.storage.ss_family = AF_UNIX;
    const struct hub_client client = {.listener = (uint32_t)(port >> 1) % PORTS,
                                      .uid = 1000,
                                      .over_limit = port == 0xff,
                                      .peer = {(const char *)&peer, sizeof peer},
                                      .local = {(const char *)&local, sizeof local}};
    services_begin();
    int fd = world_begin(input, port & 1);
    if (options & OPTION_SMALL)
        FUZZ_CHECK(channel_pair(hub));
    world.hub = hub[0];
    const struct process_start start = make_start(&config, options, hub[1]);
    session_serve(&start, &client, fd);
    world_end();
    services_end();
    if (hub[1] >= 0)
        (void)close(hub[1]);
    if (!world.cut)
        check_replies(buffer_text(&world.replies));
    buffer_free(&world.replies);
}
