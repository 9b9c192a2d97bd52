/* SPDX-License-Identifier: MIT
 * EHLO and HELO, or LHLO where LMTP is spoken. Called by the dispatcher, confined. A refused one leaves the session as
 * it was (RFC 5321 4.1.4). */
#include "receiver/commands/command.h"
#include "receiver/commands/extension.h"
#include "receiver/facts/facts.h"
#include "receiver/login/mechanism.h"
#include <stdlib.h>

bool command_is_domain_text(struct text domain) {
    if (domain.length > ADDRESS_DOMAIN_MAXIMUM)
        return false;
    if (address_is_literal(domain))
        return true;
    for (size_t i = 0; i < domain.length; i++) {
        char byte = domain.data[i];
        bool alphanumeric =
            (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9');
        if (!alphanumeric && byte != '.' && byte != '-' && byte != '_')
            return false;
    }
    return true;
}

static void greet(struct session *session) {
    const char *shown = session->ehlo[0] != '\0' ? session->ehlo : session->client.peer_ip;
    struct buffer text;

    buffer_init(&text, REPLY_TEXT_SIZE);
    if (session->ehlo_text != NULL)
        (void)buffer_format(&text, "%s %.400s", session->config->server_name, session->ehlo_text);
    else
        (void)buffer_format(&text, "%s Hello %s at %s", session->config->server_name, shown, session->client.peer_ip);
    if (session->extended && command_is_offered(session, command_find(TEXT("AUTH"))))
        mechanism_find_out(session);
    if (session->extended)
        extension_list(session, &text);
    session_reply(session, 250, "", "%s", buffer_string(&text));
    buffer_free(&text);
}

static const char *names_of(const struct session *session) {
    return session->client.role == ROLE_LMTP ? "LHLO" : "EHLO/HELO";
}

static void hello(struct session *session, struct text argument, bool extended) {
    char domain[ADDRESS_DOMAIN_MAXIMUM + 1];
    struct reply reply;

    if (session->told_helo != NULL) /* a filter's client's, whatever the filter calls itself */
        argument = text_of(session->told_helo);
    if (argument.length == 0 && session->config->ehlo_domain_required) {
        session_reply(session, 501, "5.5.4", "Domain required after %s", names_of(session));
        return;
    }
    if (!command_is_domain_text(argument)) {
        session_reply(session, 501, "5.5.4", "what follows %s is no domain", names_of(session));
        return;
    }
    (void)text_copy(domain, sizeof domain, argument);
    session->facts.ehlo = domain;
    free(session->ehlo_text);
    session->ehlo_text = NULL;
    facts_forget(session, FACT_EHLO_DOMAIN);
    const struct rule *rule = rule_evaluate(session, RULE_EHLO, &reply);
    session->facts.ehlo = session->ehlo;
    if (rule != NULL) {
        session_send(session, &reply, rule->name, rule->mercy);
        return;
    }
    session_end_transaction(session);
    (void)text_copy(session->ehlo, sizeof session->ehlo, text_of(domain));
    session->extended = extended;
    session_set_state(session, SESSION_READY);
    greet(session);
}

/* ehlo = "EHLO" SP ( Domain / address-literal ) CRLF */
void command_ehlo(struct session *session, struct text argument) {
    hello(session, argument, true);
}

/* helo = "HELO" SP Domain CRLF */
void command_helo(struct session *session, struct text argument) {
    hello(session, argument, false);
}

/* lhlo = "LHLO" SP Domain CRLF (RFC 2033 4.1): what EHLO is to SMTP. */
void command_lhlo(struct session *session, struct text argument) {
    hello(session, argument, true);
}
