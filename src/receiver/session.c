/* SPDX-License-Identifier: MIT
 * One client from its connection to its end. Called by receiver.c, confined, on bytes from anybody. Fails by ending the
 * session: what the client reads then is a 421, or nothing when it is locked out or its connection is lost. */
#include "receiver/session.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "receiver/change.h"
#include "receiver/commands/command.h"
#include "receiver/facts/facts.h"
#include "receiver/facts/stranger.h"
#include "receiver/handshake.h"
#include "receiver/hub.h"
#include "receiver/joiners/milter.h"
#include "receiver/joiners/policy.h"
#include "receiver/login/dovecot.h"
#include "receiver/proxy.h"
#include "receiver/violation.h"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define INPUT_MAXIMUM (64u * 1024)
#define OUTPUT_MAXIMUM (16u * 1024)
#define LINGER_MS 500 /* how long the client may take to read the last words */

static const char *const state_names[SESSION_STATES] = {
    [SESSION_CONNECTED] = "connected", [SESSION_GREETED] = "greeted", [SESSION_READY] = "ready",
    [SESSION_MAIL] = "mail",           [SESSION_DATA] = "data",       [SESSION_BDAT] = "chunks",
    [SESSION_CLOSING] = "closing",
};

const char *session_state_name(enum session_state state) {
    return state_names[state];
}

void session_set_state(struct session *session, enum session_state state) {
    if (session->state == state || session->state == SESSION_CLOSING) /* closing is final */
        return;
    log_debug("state %s -> %s", state_names[session->state], state_names[state]);
    session->state = state;
}

int64_t session_deadline(const struct session *session, enum session_phase phase) {
    static const int64_t seconds[] = {
        [PHASE_COMMAND] = 300,    /* RFC 5321 4.5.3.2.7 */
        [PHASE_DATA_START] = 120, /* 4.5.3.2.4 */
        [PHASE_DATA_BLOCK] = 180, /* 4.5.3.2.5 */
        [PHASE_REPLY] = 300,
    };
    int64_t cap = session->config->receiver_timeout;

    return clock_deadline(1000 * (cap > 0 && cap < seconds[phase] ? cap : seconds[phase]));
}

bool session_may_relay(const struct session *session) {
    return session->client.trusted || session->account[0] != '\0';
}

const struct address *session_sender(const struct session *session) {
    return session->facts.sender != NULL ? session->facts.sender : &session->transaction.from;
}

static void ready_mail_id(struct session *session) {
    mail_id_make((unsigned)session->config->mail_id_base, session->mail_id);
    log_set_tag(session->mail_id);
}

bool session_in_transaction(const struct session *session) {
    return session->state == SESSION_MAIL || session->state == SESSION_DATA || session->state == SESSION_BDAT;
}

void session_end_transaction(struct session *session) {
    if (!session_in_transaction(session))
        return;
    session->stream.stop_fd = session->start->hub;
    milter_abort(session);
    transaction_free(&session->transaction);
    change_forget(session);
    session_set_state(session, SESSION_READY);
    ready_mail_id(session);
}

/* ---- the beginning ---- */

static bool is_trusted(const struct session *session) {
    if (session->client.role == ROLE_INTERNAL)
        return config_networks_hold(&session->config->trusted_networks, &session->client.peer);
    return session->client.role == ROLE_SENDMAIL;
}

static void take_address(struct network_address *address, struct text bytes) {
    if (bytes.length == sizeof *address)
        memcpy(address, bytes.data, sizeof *address);
}

void session_set_client(struct session *session, const struct network_address *peer,
                        const struct network_address *local) {
    struct session_client *client = &session->client;

    client->peer = *peer;
    client->local = *local;
    network_ip_text(&client->peer, client->peer_ip);
    network_ip_text(&client->local, client->local_ip);
    network_contact(&client->peer, (unsigned)session->config->contact_prefix_v6, client->contact);
    network_name(&client->peer, client->network);
    client->local_port = network_port(&client->local);
    client->is_local = local->storage.ss_family == AF_UNIX;
    client->trusted = session->facts.trusted = is_trusted(session);
}

static void init_client(struct session *session, const struct hub_client *hub_client) {
    struct session_client *client = &session->client;
    struct network_address peer = {.length = 0}, local = {.length = 0};

    if (hub_client->listener >= session->config->listen_count)
        die_panic("client of listener %u", hub_client->listener);
    const struct config_listen *listens = &session->config->listens[hub_client->listener];
    client->listens = listens;
    client->role = listens->role;
    client->tls_mode = listens->tls;
    client->auth = listens->auth;
    client->proxied = listens->proxy;
    client->uid = hub_client->uid;
    client->over_limit = hub_client->over_limit != 0;
    take_address(&peer, hub_client->peer);
    take_address(&local, hub_client->local);
    session_set_client(session, &peer, &local);
}

/* Members know the port that the configuration names, wherever a proxy or a firewall took them. */
static unsigned long port_to_name(const struct session *session) {
    const struct session_client *client = &session->client;

    if (client->role == ROLE_INTERNAL)
        return (unsigned long)session->config->internal_submit_port;
    if (client->role == ROLE_SUBMISSION && client->tls_mode != LISTEN_TLS_IMPLICIT)
        return (unsigned long)session->config->submission_port;
    return client->local_port;
}

static void init_facts(struct session *session) {
    session->facts = (struct rule_facts){
        .config = session->config,
        .role = session->client.role,
        .login_first = session->client.auth == LISTEN_AUTH_REQUIRED && session->client.role != ROLE_SUBMISSION,
        .port = port_to_name(session),
        .peer_ip = session->client.peer_ip,
        .ehlo = session->ehlo,
        .account = session->account,
        .trusted = session->client.trusted,
        .reverse = session->client.told_name,
        .sender_free = session->client.role == ROLE_SENDMAIL &&
                       (session->client.uid == 0 || session->client.uid == session->start->user.uid ||
                        session->client.uid == getuid()),
    };
    buffer_init(&session->facts.sender_targets, FACTS_TARGETS_MAXIMUM);
    buffer_init(&session->facts.recipient_targets, FACTS_TARGETS_MAXIMUM);
}

static struct session *session_new(const struct process_start *start, const struct hub_client *hub_client, int fd) {
    struct session *session = memory_new(1, sizeof *session);

    session->start = start;
    session->config = start->config;
    session->verb = "(connect)";
    session->mechanism = "";
    session->began = clock_now_ms();
    session->first_line = true;
    init_client(session, hub_client);
    init_facts(session);
    stream_init(&session->stream, fd, INPUT_MAXIMUM + (size_t)session->config->line_maximum, OUTPUT_MAXIMUM);
    session->stream.input.wiped = true;
    session->stream.stop_fd = start->hub;
    command_line_reader_init(&session->reader, (size_t)session->config->line_maximum);
    ready_mail_id(session);
    if (!session->client.proxied)
        log_info("connection from %s to %s port %u", session->client.peer_ip, config_role_name(session->client.role),
                 session->client.local_port);
    return session;
}

/* The listener has closed those who came by themselves. */
static bool may_use_port(struct session *session) {
    const struct config_networks *networks = &session->client.listens->networks;

    if (!session->client.proxied || networks->count == 0 || config_networks_hold(networks, &session->client.peer))
        return true;
    if (session->client.tls_mode != LISTEN_TLS_IMPLICIT)
        session_reply(session, 554, "5.7.1", "%s this port is not for you", session->config->server_name);
    log_info("connection from %s closed: it is not in the port's networks", session->client.peer_ip);
    return false;
}

/* Where TLS comes first the contact is asked about before the handshake, and everything is said after it. */
static bool admit_contact(struct session *session) {
    const struct contact_open open = {.contact = text_of(session->client.contact),
                                      .network = text_of(session->client.network),
                                      .port = session->client.local_port,
                                      .proxied = session->client.proxied && !session->client.for_itself};
    struct contact_state state = {.verdict = CONTACT_ADMITTED};
    bool known = ask_contact_open(session->start->ledger, &open, &state);

    session->contact_id = state.contact_id;
    stranger_is_known(session, &state);
    if (state.verdict != CONTACT_CLOSED && session->client.tls_mode == LISTEN_TLS_IMPLICIT && !session->tls &&
        !handshake_begin(session))
        return false;
    if (session->client.over_limit) {
        session_reply(session, 421, "4.7.0", "%s too many connections", session->config->server_name);
        return false;
    }
    if (!known) {
        session_reply(session, 421, "4.3.0", "%s service not available, try again later", session->config->server_name);
        return false;
    }
    if (state.verdict == CONTACT_ADMITTED && proxy_refuses(session, &state))
        return false;
    if (state.verdict == CONTACT_WARNED)
        session_reply_lockout(session, state.expires_at);
    if (state.verdict == CONTACT_CLOSED)
        log_info("%s is locked out: closed", session->client.peer_ip);
    return state.verdict == CONTACT_ADMITTED;
}

/* As long as a stranger is made to wait, or just a look. */
static enum stream_result listen_before_greeting(struct session *session) {
    const struct session_client *client = &session->client;
    bool waits = client->role == ROLE_MX && !session->facts.known_good && !client->filter && !client->for_itself;
    int64_t deadline = clock_deadline(waits ? session->config->greeting_delay_ms : 0);

    for (;;) {
        enum stream_result result = stream_fill(&session->stream, deadline);
        if (result != STREAM_STOP || !hub_goes_on(session->start->hub))
            return result;
    }
}

/* RFC 5321 3.1: the server speaks first. Whoever cannot wait speaks another protocol, or does not listen at all. */
static bool waits_for_greeting(struct session *session) {
    struct text verb, argument;

    if (session->client.role == ROLE_SENDMAIL)
        return true;
    bool has_talked = stream_pending(&session->stream).length > 0; /* behind a proxy's header */
    enum stream_result result = has_talked ? STREAM_OK : listen_before_greeting(session);
    if (result == STREAM_TIMEOUT)
        return true;
    if (result == STREAM_STOP) {
        session_reply(session, 421, "4.3.2", "%s shutting down", session->config->server_name);
        return false;
    }
    if (result != STREAM_OK) {
        log_info("%s closed the connection before the greeting", session->client.peer_ip);
        session->peer_gone = true;
        return false;
    }
    struct text pending = stream_pending(&session->stream);
    command_line_split(text_first(pending, text_find(pending, '\r')), &verb, &argument);
    if (pending.data[0] == 0x16 || command_is_http(verb)) {
        session_drop(session, "talk", "another protocol");
        return false;
    }
    session_reply(session, 554, "5.5.1", "%s you talked before the greeting", session->config->server_name);
    return false;
}

/* Whatever a rule says in place of the greeting, it is the last word. */
static bool is_refused(struct session *session, enum rule_stage stage) {
    struct reply reply;
    const struct rule *rule = rule_evaluate(session, stage, &reply);

    if (rule != NULL)
        session_send(session, &reply, rule->name, rule->mercy);
    return rule != NULL;
}

static void greet(struct session *session) {
    const char *protocol = session->client.role == ROLE_LMTP ? "LMTP" : "ESMTP";
    char date[CLOCK_MAIL_SIZE];

    clock_mail_date(time(NULL), date);
    if (session->banner != NULL)
        session_reply(session, 220, "", "%s %s %s", session->config->server_name, protocol, session->banner);
    else
        session_reply(session, 220, "", "%s %s Parcelpost %s", session->config->server_name, protocol, date);
}

static bool open_session(struct session *session) {
    if ((session->client.proxied && !proxy_read_header(session)) || !may_use_port(session))
        return false;
    session->client.connected = session->client.peer;
    session->client.filter = config_networks_hold(&session->client.listens->xclient_networks, &session->client.peer);
    if (!admit_contact(session))
        return false;
    session->admitted = true;
    if (session->client.proxied && is_refused(session, RULE_PROXY))
        return false;
    facts_ask_connection(session); /* answered while the client waits */
    if (!waits_for_greeting(session) || is_refused(session, RULE_CONNECT))
        return false;
    greet(session);
    session_set_state(session, SESSION_GREETED);
    return true;
}

/* ---- the end ---- */

/* Closing while unread bytes wait, or come, would reset the connection, and the client might never read our last reply.
 * Behind a QUIT nothing comes. */
static void linger(struct session *session) {
    bool is_over = session->quit && stream_pending(&session->stream).length == session->line_length;

    if (!session->peer_gone && !is_over)
        stream_linger(&session->stream, clock_deadline(LINGER_MS));
}

/* Nobody reads a reply any more; a 5xx is evidence against the contact all the same. */
static void ask_about_the_end(struct session *session) {
    char line[REPLY_TEXT_SIZE];
    struct reply reply;
    int64_t expires_at;

    session->verb = "(disconnect)";
    const struct rule *rule = rule_evaluate(session, RULE_DISCONNECT, &reply);
    if (rule != NULL && reply.code >= 500)
        (void)violation_report(session, rule->name, rule->mercy, reply_line(&reply, line, sizeof line), &expires_at);
}

/* Joiners see the one go and the other come. */
void session_end_client(struct session *session) {
    ask_about_the_end(session);
    policy_free(session);
    facts_free(session);
    change_forget(session);
    free(session->banner);
    free(session->ehlo_text);
    session->banner = session->ehlo_text = NULL;
    memset(&session->counts, 0, sizeof session->counts);
    session->began = clock_now_ms();
    session->facts_known = 0;
    session->admitted = false;
    session->verb = "XCLIENT";
}

void session_begin_again(struct session *session) {
    init_facts(session);
    session->facts.encrypted = session->tls;
    session_set_state(session, SESSION_CONNECTED);
    if (admit_contact(session)) {
        session->admitted = true;
        facts_ask_connection(session);
        if (!is_refused(session, RULE_CONNECT)) {
            greet(session);
            session_set_state(session, SESSION_GREETED);
            return;
        }
    }
    session_set_state(session, SESSION_CLOSING);
}

static void session_free(struct session *session) {
    (void)session_flush(session);
    linger(session);
    stream_close(&session->stream); /* nobody waits for what is asked about the end */
    if (session->admitted)
        ask_about_the_end(session);
    if (session->client.proxied)
        tell_contact_close(session->start->ledger);
    milter_close(session);
    transaction_free(&session->transaction);
    change_forget(session);
    policy_free(session);
    dovecot_free(session);
    facts_free(session);
    free(session->banner);
    free(session->ehlo_text);
    free(session->told_helo);
    free(session->other_recipient);
    ask_forget();
    explicit_bzero(session, sizeof *session);
    free(session);
    log_set_tag("");
}

void session_serve(const struct process_start *start, const struct hub_client *hub_client, int fd) {
    struct session *session = session_new(start, hub_client, fd);

    if (open_session(session))
        while (session->state != SESSION_CLOSING)
            command_next(session);
    session_free(session);
}
