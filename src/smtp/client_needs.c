/* SPDX-License-Identifier: MIT
 * What a message needs of a server: decided before anything is sent where an extension is missing, and said with MAIL
 * where it is offered. Runs in delivery agents; a message is never changed to do without. */
#include "smtp/client_message.h"
#include <stdio.h>
#include <string.h>

#define PARAMETERS_MAXIMUM 4096u

enum client_verdict client_verdict_of(unsigned code) {
    return code / 100 == 2 ? CLIENT_DELIVERED : code / 100 == 5 ? CLIENT_FAILED : CLIENT_DEFERRED;
}

void client_set_verdict(struct client_recipient *recipient, enum client_verdict verdict, const char *reply) {
    recipient->verdict = verdict;
    recipient->from_server = false;
    text_copy(recipient->reply, sizeof recipient->reply, text_of(reply));
}

void client_set_answered(struct client_recipient *recipient, enum client_verdict verdict, const struct client *client) {
    client_set_verdict(recipient, verdict, client->reply);
    recipient->from_server = client->code != 0;
}

static bool is_open_ended(const struct client_recipient *recipient) {
    return recipient->verdict == CLIENT_PENDING || recipient->verdict == CLIENT_ACCEPTED;
}

void client_refuse_remaining(struct client_message *message, enum client_verdict verdict, const char *reply) {
    for (size_t i = 0; i < message->count; i++) {
        if (is_open_ended(&message->recipients[i])) {
            client_set_verdict(&message->recipients[i], verdict, reply);
        }
    }
}

void client_set_remaining(struct client_message *message, enum client_verdict verdict, const struct client *client) {
    for (size_t i = 0; i < message->count; i++) {
        if (is_open_ended(&message->recipients[i])) {
            client_set_answered(&message->recipients[i], verdict, client);
        }
    }
}

size_t client_count(const struct client_message *message, enum client_verdict verdict) {
    size_t count = 0;
    for (size_t i = 0; i < message->count; i++) {
        count += message->recipients[i].verdict == verdict;
    }
    return count;
}

/* RFC 8689 4.2.1. Mail from <> goes on without it rather than be lost (5). */
static const char *missing_for_requiretls(const struct client *client, const struct client_message *message) {
    if (!message->requiretls || message->from[0] == '\0') {
        return NULL;
    }
    if (!client->tls) {
        return "550 5.7.30 the message asks for REQUIRETLS and the server has no TLS";
    }
    if (!message->verified) {
        return "550 5.7.30 the message asks for REQUIRETLS and the server's certificate is not verified";
    }
    return (client->keywords & CLIENT_REQUIRETLS) != 0
               ? NULL
               : "550 5.7.30 the message asks for REQUIRETLS and the server does not offer it";
}

/* RFC 3030 3, RFC 6152 3 */
static const char *missing_for_body(const struct client *client, const struct client_message *message) {
    const unsigned binary = CLIENT_BINARYMIME | CLIENT_CHUNKING;
    if (message->binary && (client->keywords & binary) != binary) {
        return "554 5.6.3 the message is binary and the server does not offer BINARYMIME";
    }
    return message->has_eight_bit && !message->binary && (client->keywords & CLIENT_8BITMIME) == 0
               ? "554 5.6.3 the message has 8-bit bytes and the server takes none"
               : NULL;
}

/* RFC 6531 3.4. A mailbox behind LMTP takes any header; what needs the extension there is an address. */
static void refuse_for_utf8(const struct client *client, struct client_message *message) {
    if (message->utf8 && !client->settings.lmtp) {
        client_refuse_remaining(message, CLIENT_FAILED,
                                "554 5.6.7 the header is not ASCII and the server does not offer SMTPUTF8");
    }
    for (size_t i = 0; i < message->count; i++) {
        struct client_recipient *recipient = &message->recipients[i];
        if (is_open_ended(recipient) &&
            (text_has_eight_bit(text_of(recipient->address)) || text_has_eight_bit(text_of(message->from)))) {
            client_set_verdict(recipient, CLIENT_FAILED,
                               "553 5.6.7 an address is not ASCII and the server does not offer SMTPUTF8");
            recipient->unfit = true;
        }
    }
}

void client_refuse_without_asking(const struct client *client, struct client_message *message) {
    char reply[CLIENT_REPLY_SIZE];
    const char *tls = missing_for_requiretls(client, message), *body = missing_for_body(client, message);
    if (client->size_limit > 0 && message->size > client->size_limit) { /* RFC 1870 6.1 */
        snprintf(reply, sizeof reply, "552 5.3.4 message of %llu bytes is larger than the %llu the server takes",
                 (unsigned long long)message->size, (unsigned long long)client->size_limit);
        client_refuse_remaining(message, CLIENT_FAILED, reply);
    }
    if (tls != NULL || body != NULL) {
        client_refuse_remaining(message, CLIENT_FAILED, tls != NULL ? tls : body);
    }
    if ((client->keywords & CLIENT_SMTPUTF8) == 0) {
        refuse_for_utf8(client, message);
    }
}

static bool needs_utf8(const struct client_message *message) {
    bool needed = message->utf8 || text_has_eight_bit(text_of(message->from));
    for (size_t i = 0; i < message->count && !needed; i++) {
        needed = message->recipients[i].verdict == CLIENT_PENDING &&
                 text_has_eight_bit(text_of(message->recipients[i].address));
    }
    return needed;
}

/* RFC 3030 3: what is in lines goes with DATA, whatever its sender called it. */
static const char *body_of(const struct client *client, const struct client_message *message) {
    if (message->binary) {
        return " BODY=BINARYMIME";
    }
    bool eight_bit = message->has_eight_bit || message->declared_eight_bit;
    return eight_bit && (client->keywords & CLIENT_8BITMIME) != 0 ? " BODY=8BITMIME" : "";
}

static void add_value(struct buffer *parameters, const char *keyword, const char *value) {
    if (value != NULL && value[0] != '\0') {
        (void)buffer_format(parameters, " %s=%s", keyword, value);
    }
}

/* MAIL FROM:<…> with its parameters, each only when it was offered. (Without DSN, RFC 3461 5.2.2 would like <> for
 * recipients with NOTIFY=NEVER. It is older than SPF, which judges by the reverse-path: like others we leave it.) */
bool client_perform_mail(struct client *client, const struct client_message *message) {
    unsigned offered = client->keywords;
    struct buffer parameters;
    buffer_init(&parameters, PARAMETERS_MAXIMUM);
    if ((offered & CLIENT_SIZE) != 0) {
        (void)buffer_format(&parameters, " SIZE=%llu", (unsigned long long)message->size);
    }
    (void)buffer_append_string(&parameters, body_of(client, message));
    if ((offered & CLIENT_SMTPUTF8) != 0 && needs_utf8(message)) {
        (void)buffer_append_string(&parameters, " SMTPUTF8");
    }
    if ((offered & CLIENT_REQUIRETLS) != 0 && message->requiretls) {
        (void)buffer_append_string(&parameters, " REQUIRETLS");
    }
    if ((offered & CLIENT_NO_SOLICITING) != 0) {
        add_value(&parameters, "SOLICIT", message->solicit);
    }
    if ((offered & CLIENT_DSN) != 0) {
        add_value(&parameters, "RET", message->ret);
        add_value(&parameters, "ENVID", message->envid);
    }
    bool sent = client_command(client, PHASE_MAIL, "MAIL FROM:<%s>%s", message->from, buffer_string(&parameters));
    buffer_free(&parameters);
    return sent;
}
