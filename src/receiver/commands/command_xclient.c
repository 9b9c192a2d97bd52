/* SPDX-License-Identifier: MIT
 * XCLIENT (Postfix's XCLIENT_README): a filter says whom it speaks for. Called by the dispatcher, confined, for clients
 * in the block's xclient_networks alone; what they say is believed, a login too. The session goes back to its greeting,
 * and lockouts, lists and rules are those of the client that was named. A wrong attribute changes nothing. */
#include "base/log.h"
#include "base/memory.h"
#include "mail/dsn.h"
#include "receiver/commands/command.h"
#include "receiver/facts/facts.h"
#include <stdlib.h>
#include <string.h>

#define VALUE_SIZE 512

/* What is not said stays as it was: the attributes of one client may come in several commands. Of another client (ADDR)
 * nothing is known but what is said with it, least of all a login that was the filter's or the former client's. */
struct claim {
    struct network_address connected, peer, local;
    enum reverse_standing told_name;
    bool other, has_name, has_helo, has_login;
    bool later; /* the value in hand cannot be known now */
    char name[ADDRESS_DOMAIN_MAXIMUM + 1], helo[ADDRESS_DOMAIN_MAXIMUM + 1], login[2 * ADDRESS_SIZE];
};

/* value: "" where it is not available. False when it is wrong. */
typedef bool take_function(struct claim *claim, struct text value);

/* A filter that tells a name, or that there is none, has looked it up. */
static bool take_name(struct claim *claim, struct text value) {
    claim->has_name = true;
    claim->told_name = value.length > 0 ? REVERSE_CONFIRMED : claim->later ? REVERSE_TEMPFAIL : REVERSE_MISSING;
    return (value.length == 0 || address_domain_is_valid(value, false)) &&
           text_copy(claim->name, sizeof claim->name, value);
}

static bool take_ip(struct network_address *address, struct text value) {
    if (text_starts_nocase(value, TEXT("IPV6:")))
        value = text_from(value, 5);
    return network_parse_ip(value, network_port(address), address);
}

/* Of a client without an address the filter's own counts. */
static bool take_address(struct claim *claim, struct text value) {
    claim->other = true;
    if (value.length > 0)
        return take_ip(&claim->peer, value);
    claim->peer = claim->connected;
    return true;
}

static bool take_own_address(struct claim *claim, struct text value) {
    return value.length == 0 || take_ip(&claim->local, value);
}

static bool set_port(struct network_address *address, struct text value) {
    char ip[NETWORK_IP_SIZE];
    uint64_t port = 0;

    network_ip_text(address, ip);
    return (value.length == 0 || text_number(value, UINT16_MAX, &port)) &&
           network_parse_ip(text_of(ip), (unsigned)port, address);
}

static bool take_port(struct claim *claim, struct text value) {
    return set_port(&claim->peer, value);
}

static bool take_own_port(struct claim *claim, struct text value) {
    return value.length == 0 || set_port(&claim->local, value);
}

/* The filter's EHLO or HELO follows, and says it again. */
static bool take_protocol(struct claim *claim, struct text value) {
    (void)claim;
    return value.length == 0 || text_equal_nocase(value, TEXT("SMTP")) || text_equal_nocase(value, TEXT("ESMTP"));
}

static bool take_helo(struct claim *claim, struct text value) {
    claim->has_helo = true;
    return command_is_domain_text(value) && text_copy(claim->helo, sizeof claim->helo, value);
}

static bool take_login(struct claim *claim, struct text value) {
    claim->has_login = true;
    return text_is_printable(value) && text_copy(claim->login, sizeof claim->login, value);
}

static const struct attribute {
    const char *name;
    take_function *take;
} attributes[] = {
    {"NAME", take_name},
    {"ADDR", take_address},
    {"PORT", take_port},
    {"PROTO", take_protocol},
    {"HELO", take_helo},
    {"LOGIN", take_login},
    {"DESTADDR", take_own_address},
    {"DESTPORT", take_own_port},
};

/* attribute-name "=" xtext; "[UNAVAILABLE]" for what does not exist, "[TEMPUNAVAIL]" for what cannot be known now. */
static bool take_attribute(struct claim *claim, struct text word) {
    struct text name = text_first(word, text_find(word, '=')), value = text_from(word, name.length + 1);
    char plain[VALUE_SIZE];

    if (name.length == word.length || !dsn_xtext_decode(value, plain, sizeof plain))
        return false;
    value = text_of(plain);
    claim->later = text_equal_nocase(value, TEXT("[TEMPUNAVAIL]"));
    if (text_equal_nocase(value, TEXT("[UNAVAILABLE]")) || claim->later)
        value = TEXT_NONE;
    else if (value.length == 0)
        return false;
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++)
        if (text_equal_nocase(name, text_of(attributes[i].name)))
            return attributes[i].take(claim, value);
    return false;
}

static void take_over(struct session *session, const struct claim *claim) {
    bool other = claim->other || !session->client.spoken_for;

    if (claim->has_name || other) {
        session->client.told_name = claim->told_name;
        (void)text_copy(session->remote_name, sizeof session->remote_name, text_of(claim->name));
        (void)text_copy(session->claimed_name, sizeof session->claimed_name, text_of(claim->name));
    }
    if (claim->has_helo || other) {
        free(session->told_helo);
        session->told_helo = claim->helo[0] != '\0' ? memory_string(text_of(claim->helo)) : NULL;
    }
    if (claim->has_login || other) {
        (void)text_copy(session->account, sizeof session->account, text_of(claim->login));
        session->mechanism = session->account[0] != '\0' ? "XCLIENT" : "";
        session->login_tried = false;
    }
}

/* The filter's connection counts for its client now, as one that came through a proxy. */
static void become(struct session *session, const struct claim *claim) {
    struct session_client *client = &session->client;

    if (client->proxy_ip[0] == '\0')
        (void)text_copy(client->proxy_ip, sizeof client->proxy_ip, text_of(client->peer_ip));
    take_over(session, claim);
    client->proxied = client->spoken_for = true;
    client->for_itself = false;
    session_set_client(session, &claim->peer, &claim->local);
    session->ehlo[0] = '\0';
    session->extended = false;
    log_info("connection from %s to %s port %u by the filter %s%s%s", client->peer_ip, config_role_name(client->role),
             client->local_port, client->proxy_ip, session->account[0] != '\0' ? ", logged in as " : "",
             session->account);
}

/* xclient = "XCLIENT" 1*( SP attribute-name "=" attribute-value ) */
void command_xclient(struct session *session, struct text argument) {
    struct claim *claim = memory_new(1, sizeof *claim);
    struct text word;
    bool good = argument.length > 0;

    claim->connected = session->client.connected;
    claim->peer = session->client.peer;
    claim->local = session->client.local;
    while (good && text_split(&argument, ' ', &word))
        good = word.length == 0 || take_attribute(claim, word);
    if (good) {
        session_end_client(session);
        become(session, claim);
        session_begin_again(session);
    } else {
        session_reply(session, 501, "5.5.4",
                      "XCLIENT NAME=, ADDR=, PORT=, PROTO=, HELO=, LOGIN=, DESTADDR=, DESTPORT=");
    }
    free(claim);
}
