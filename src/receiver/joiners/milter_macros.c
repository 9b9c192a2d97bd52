/* SPDX-License-Identifier: MIT
 * Macros: what milters are told beside the command itself, under the names that Sendmail gave. One row each. Called
 * before each command, confined; a macro without a value is left out. */
#include "receiver/facts/facts.h"
#include "receiver/joiners/milter_private.h"
#include <stdio.h>
#include <string.h>

#define VALUE_SIZE 1024
#define PAIRS_MAXIMUM (32u * 1024)

typedef void macro_function(const struct session *session, char value[VALUE_SIZE]);

#define MACRO(function, ...)                                                                                           \
    static void function(const struct session *session, char value[VALUE_SIZE]) {                                      \
        (void)session;                                                                                                 \
        (void)snprintf(value, VALUE_SIZE, __VA_ARGS__);                                                                \
    }

static const char *name_of(const struct session *session) {
    return session->client.is_local ? "localhost" : session->remote_name[0] != '\0' ? session->remote_name : "unknown";
}

static const char *ip_of(const struct session *session) {
    return session->client.is_local ? "127.0.0.1" : session->client.peer_ip;
}

static const struct address *sender_of(const struct session *session) {
    return session->facts.sender != NULL ? session->facts.sender : &session->transaction.from;
}

static const struct reply *refusal_of(const struct session *session) {
    return session->milters->refusal;
}

MACRO(server_name, "%s", session->config->server_name)
MACRO(client, "%s [%s]", name_of(session), ip_of(session))
MACRO(daemon_name, "%s", config_role_name(session->client.role))
MACRO(local_ip, "%s", session->client.is_local ? "127.0.0.1" : session->client.local_ip)
MACRO(local_port, "%u", session->client.local_port)
MACRO(software, "Parcelpost")
MACRO(client_address, "%s", ip_of(session))
MACRO(client_name, "%s", name_of(session))
MACRO(client_port, "%u", session->client.is_local ? 0 : network_port(&session->client.peer))
MACRO(client_resolve, "%s", strcmp(name_of(session), "unknown") != 0 ? "OK" : "FAIL")
MACRO(tls_version, "%s", session->tls ? session->tls_facts.version : "")
MACRO(cipher, "%s", session->tls ? session->tls_facts.cipher : "")
MACRO(mail_id, "%s", session->mail_id)
MACRO(account, "%s", session->account)
MACRO(auth_type, "%s", session->account[0] != '\0' && session->mechanism != NULL ? session->mechanism : "")
MACRO(mail_host, "%s", sender_of(session)->domain)
MACRO(mail_mailer, "%s", session->facts.sender_standing == STANDING_MEMBER ? "local" : "smtp")

static void mail_address(const struct session *session, char value[VALUE_SIZE]) {
    (void)address_text(sender_of(session), value, VALUE_SIZE);
}

/* Of a refused recipient Sendmail and Postfix give the reply in these three. */
static void rcpt_mailer(const struct session *session, char value[VALUE_SIZE]) {
    bool local = session->facts.recipient_standing != STANDING_REMOTE;

    (void)snprintf(value, VALUE_SIZE, "%s", refusal_of(session) != NULL ? "error" : local ? "local" : "smtp");
}

static void rcpt_host(const struct session *session, char value[VALUE_SIZE]) {
    const struct reply *refusal = refusal_of(session);

    if (session->facts.recipient != NULL)
        (void)snprintf(value, VALUE_SIZE, "%s", refusal != NULL ? refusal->enhanced : session->facts.recipient->domain);
}

static void rcpt_address(const struct session *session, char value[VALUE_SIZE]) {
    if (refusal_of(session) != NULL)
        (void)reply_line(refusal_of(session), value, VALUE_SIZE);
    else if (session->facts.recipient != NULL)
        (void)address_text(session->facts.recipient, value, VALUE_SIZE);
}

static const struct macro_row {
    const char *name;
    macro_function *get;
} rows[] = {
    {"j", server_name},
    {"_", client},
    {"v", software},
    {"i", mail_id},
    {"{daemon_name}", daemon_name},
    {"{daemon_addr}", local_ip},
    {"{daemon_port}", local_port},
    {"{if_name}", server_name},
    {"{if_addr}", local_ip},
    {"{client_addr}", client_address},
    {"{client_name}", client_name},
    {"{client_ptr}", client_name},
    {"{client_port}", client_port},
    {"{client_resolve}", client_resolve},
    {"{tls_version}", tls_version},
    {"{cipher}", cipher},
    {"{auth_type}", auth_type},
    {"{auth_authen}", account},
    {"{auth_author}", account},
    {"{mail_mailer}", mail_mailer},
    {"{mail_host}", mail_host},
    {"{mail_addr}", mail_address},
    {"{rcpt_mailer}", rcpt_mailer},
    {"{rcpt_host}", rcpt_host},
    {"{rcpt_addr}", rcpt_address},
};

/* What Sendmail and Postfix send to a milter that does not choose. */
static const char *const standard[MILTER_MACRO_STAGES] = {
    [MILTER_MACROS_CONNECT] = ("j _ {daemon_name} {daemon_addr} {daemon_port} {if_name} {if_addr} v {client_addr}"
                               " {client_name} {client_ptr} {client_port} {client_resolve}"),
    [MILTER_MACROS_HELO] = "{tls_version} {cipher}",
    [MILTER_MACROS_MAIL] = "i {auth_type} {auth_authen} {auth_author} {mail_mailer} {mail_host} {mail_addr}",
    [MILTER_MACROS_RCPT] = "i {rcpt_mailer} {rcpt_host} {rcpt_addr}",
    [MILTER_MACROS_DATA] = "i",
    [MILTER_MACROS_END] = "i",
    [MILTER_MACROS_EOH] = "i",
};

/* Names of one letter come with braces or without. */
static const struct macro_row *find_row(struct text name) {
    if (name.length == 3 && name.data[0] == '{')
        name = text_first(text_from(name, 1), 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (text_equal(name, text_of(rows[i].name)))
            return &rows[i];
    return NULL;
}

static bool append_pair(struct buffer *pairs, struct text name, const char *value) {
    return buffer_append_text(pairs, name) && buffer_append_byte(pairs, '\0') && buffer_append_string(pairs, value) &&
           buffer_append_byte(pairs, '\0');
}

bool milter_macros_write(struct session *session, const struct milter_link *link, enum milter_command command,
                         enum milter_macro_stage stage, struct buffer *packets) {
    struct text names, name;
    char value[VALUE_SIZE];
    struct buffer pairs;
    bool fits = true;

    if (stage == MILTER_MACRO_STAGES)
        return true;
    names = text_of(link->macros[stage] != NULL ? link->macros[stage] : standard[stage]);
    buffer_init(&pairs, PAIRS_MAXIMUM);
    while (fits && text_split(&names, ' ', &name)) {
        const struct macro_row *row = find_row(name);
        value[0] = '\0';
        if (row != NULL)
            row->get(session, value);
        if (value[0] != '\0')
            fits = append_pair(&pairs, name, value);
    }
    fits = fits && (pairs.length == 0 || milter_write_macros(packets, command, buffer_text(&pairs)));
    buffer_free(&pairs);
    return fits;
}
