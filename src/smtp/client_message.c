/* SPDX-License-Identifier: MIT
 * One message over an open client: RSET, MAIL, RCPT, DATA or BDAT, as pairs of perform_x (sends) and response_x
 * (reads). Runs in delivery agents. With PIPELINING (RFC 2920) up to WINDOW commands are under way,
 * otherwise one; the replies are read in the same order either way. Every recipient ends with a verdict of its own. */
#include "smtp/client_message.h"
#include "base/memory.h"
#include <stdio.h>
#include <stdlib.h>

#define WINDOW 100 /* commands sent ahead: their replies fit any socket buffer */

enum step_kind { STEP_RSET, STEP_MAIL, STEP_RCPT, STEP_DATA };
struct exchange {
    struct client *client;
    struct client_message *message;
    size_t performed, answered, total; /* steps: RSET, MAIL, one RCPT a recipient, DATA but before a chunk */
    bool with_rset;
    bool mail_answered, mail_accepted;
    bool give_up; /* nothing further is performed; what was, is still answered */
    bool go;      /* DATA was answered with 354 */
};

/* RFC 3207 4: 530 is about the connection, and it would have TLS if that had worked. */
static enum client_verdict verdict_of(const struct client *client) {
    return client->code == 530 && client->tls_failed ? CLIENT_DEFERRED : client_verdict_of(client->code);
}

static bool perform_rset(struct exchange *exchange) {
    return client_command(exchange->client, PHASE_RSET, "RSET");
}

static void response_rset(struct exchange *exchange) {
    struct client *client = exchange->client;
    if (client_read_reply(client, PHASE_RSET, NULL) && client->code / 100 != 2) {
        client_lose(client, "451 4.5.0 RSET was refused");
    }
    exchange->give_up |= !client->open;
}

static void response_mail(struct exchange *exchange) {
    struct client *client = exchange->client;
    if (!client_read_reply(client, PHASE_MAIL, NULL)) {
        exchange->give_up = true;
        return;
    }
    if (exchange->with_rset && client->code == 421) { /* it has had enough of this connection, not of the message */
        exchange->give_up = true;
        return;
    }
    exchange->mail_answered = true;
    exchange->mail_accepted = client->code / 100 == 2;
    if (!exchange->mail_accepted) {
        exchange->give_up = true;
        client_set_remaining(exchange->message, verdict_of(client), client);
    }
}

static bool perform_rcpt(struct exchange *exchange, struct client_recipient *recipient) {
    bool dsn = (exchange->client->keywords & CLIENT_DSN) != 0;
    bool notify = dsn && recipient->notify[0] != '\0', orcpt = dsn && recipient->orcpt[0] != '\0';
    if (recipient->verdict != CLIENT_PENDING) {
        return true;
    }
    recipient->asked = true;
    return client_command(exchange->client, PHASE_RCPT, "RCPT TO:<%s>%s%s%s%s", recipient->address,
                          notify ? " NOTIFY=" : "", notify ? recipient->notify : "", orcpt ? " ORCPT=" : "",
                          orcpt ? recipient->orcpt : "");
}

static void response_rcpt(struct exchange *exchange, struct client_recipient *recipient) {
    struct client *client = exchange->client;
    if (!recipient->asked) {
        return;
    }
    if (!client_read_reply(client, PHASE_RCPT, NULL)) {
        exchange->give_up = true;
        return;
    }
    if (!exchange->mail_accepted) {
        return;
    }
    enum client_verdict verdict = verdict_of(client);
    if (client->code == 552) { /* RFC 5321 4.5.3.1.10: an old way to say "too many recipients" */
        verdict = CLIENT_DEFERRED;
    }
    client_set_answered(recipient, verdict == CLIENT_DELIVERED ? CLIENT_ACCEPTED : verdict, client);
}

static bool perform_data(struct exchange *exchange) {
    return client_command(exchange->client, PHASE_DATA_INIT, "DATA");
}

static void response_data(struct exchange *exchange) {
    struct client *client = exchange->client;
    if (!client_read_reply(client, PHASE_DATA_INIT, NULL)) {
        return;
    }
    exchange->go = client->code == 354;
    if (!exchange->go) {
        client_set_remaining(exchange->message, client->code / 100 == 5 ? CLIENT_FAILED : CLIENT_DEFERRED, client);
    }
    if (!exchange->go && client->code < 400) {
        client_drop(client); /* whether it takes what comes next for a command or for data is anybody's guess */
    }
}

static enum step_kind step_of(const struct exchange *exchange, size_t number, size_t *recipient) {
    size_t first = exchange->with_rset ? 1 : 0;
    if (number < first) {
        return STEP_RSET;
    }
    if (number == first) {
        return STEP_MAIL;
    }
    if (number + 1 == exchange->total && !exchange->message->binary) {
        return STEP_DATA;
    }
    *recipient = number - first - 1;
    return STEP_RCPT;
}

static void perform_step(struct exchange *exchange) {
    size_t at = 0;
    bool sent = false;
    switch (step_of(exchange, exchange->performed, &at)) {
    case STEP_RSET:
        sent = perform_rset(exchange);
        break;
    case STEP_MAIL:
        sent = client_perform_mail(exchange->client, exchange->message);
        break;
    case STEP_RCPT:
        sent = perform_rcpt(exchange, &exchange->message->recipients[at]);
        break;
    case STEP_DATA:
        if (exchange->answered == exchange->performed && client_count(exchange->message, CLIENT_ACCEPTED) == 0) {
            exchange->give_up = true; /* nobody to send it to, and that is known in time */
            return;
        }
        sent = perform_data(exchange);
        break;
    }
    exchange->performed++;
    exchange->give_up |= !sent;
}

static void response_step(struct exchange *exchange) {
    size_t at = 0;
    switch (step_of(exchange, exchange->answered++, &at)) {
    case STEP_RSET:
        response_rset(exchange);
        break;
    case STEP_MAIL:
        response_mail(exchange);
        break;
    case STEP_RCPT:
        response_rcpt(exchange, &exchange->message->recipients[at]);
        break;
    case STEP_DATA:
        response_data(exchange);
        break;
    }
}

/* RSET … DATA: performs as far ahead as the window allows, reads replies in order. */
static void exchange_envelope(struct exchange *exchange) {
    size_t window = (exchange->client->keywords & CLIENT_PIPELINING) != 0 ? WINDOW : 1;
    while (exchange->client->open) {
        size_t under_way = exchange->performed - exchange->answered;
        if (!exchange->give_up && exchange->performed < exchange->total && under_way < window) {
            if (under_way > 0 || client_hears_nothing(exchange->client, PHASE_MAIL)) {
                perform_step(exchange);
            }
        } else if (under_way > 0) {
            if (client_flush(exchange->client, PHASE_RCPT)) {
                response_step(exchange);
            }
        } else {
            return;
        }
    }
}

/* RFC 2920 3.1: pipelined, and the server said 354 to nobody: an empty message ends it. LMTP would answer with no reply
 * at all, so that nothing shows where the next begins. */
static void end_empty(struct client *client) {
    if (client->settings.lmtp) {
        client_drop(client);
    } else if (client_command(client, PHASE_DATA_END, ".") && client_flush(client, PHASE_DATA_END)) {
        client_read_reply(client, PHASE_DATA_END, NULL);
    }
}

/* What ended the data early decides for all of SMTP's recipients, but over LMTP a reply is the first one's alone. */
static void end_early(struct client *client, struct client_message *message) {
    enum client_verdict verdict = client->code == 0 ? CLIENT_DEFERRED : client_verdict_of(client->code);
    for (size_t i = 0; client->settings.lmtp && client->code != 0 && i < message->count; i++) {
        if (message->recipients[i].verdict == CLIENT_ACCEPTED) {
            client_set_answered(&message->recipients[i], verdict, client);
            client_refuse_remaining(message, CLIENT_DEFERRED,
                                    "451 4.4.2 connection lost before this recipient's reply");
        }
    }
    client_set_remaining(message, verdict, client);
}

static void exchange_content(struct exchange *exchange) {
    struct client *client = exchange->client;
    struct client_message *message = exchange->message;
    bool somebody = client_count(message, CLIENT_ACCEPTED) > 0;
    if (!somebody && exchange->go) {
        end_empty(client);
    }
    if (!somebody) {
        return;
    }
    if (!(message->binary ? client_send_chunk(client, message) : client_send_lines(client, message))) {
        end_early(client, message);
        return;
    }
    client_note(client, "(data, %llu bytes)", (unsigned long long)message->size);
    client_response_content(client, message);
}

/* To as many recipients as the server takes at once. */
static enum client_sending send_once(struct client *client, struct client_message *message) {
    struct exchange exchange = {.client = client, .message = message, .with_rset = client->messages > 0};
    bool reused = exchange.with_rset;
    exchange.total = message->count + 1 + (exchange.with_rset ? 1 : 0) + (message->binary ? 0 : 1);
    client->messages++;
    exchange_envelope(&exchange);
    if (!client->open && reused && !exchange.mail_answered) {
        return CLIENT_STALE;
    }
    if ((exchange.go || (message->binary && exchange.mail_accepted)) && client->open) {
        exchange_content(&exchange);
    }
    client_set_remaining(message, CLIENT_DEFERRED, client);
    return CLIENT_SENT;
}

bool client_is_full(const struct client *client) {
    return client->message_limit > 0 && client->messages >= client->message_limit;
}

static void leave(struct client_message *part) {
    for (size_t i = 0; i < part->count; i++) {
        part->recipients[i].left = part->recipients[i].verdict == CLIENT_PENDING;
    }
    client_refuse_remaining(part, CLIENT_DEFERRED, "451 4.5.3 the server takes no more messages over this connection");
}

bool client_has_left(const struct client_message *message) {
    for (size_t i = 0; i < message->count; i++) {
        if (message->recipients[i].left) {
            return true;
        }
    }
    return false;
}

/* RFC 9422 4.2: a list is sent in several transactions where the server says how many recipients one may have. */
static enum client_sending send_parts(struct client *client, struct client_message *message) {
    size_t limit = client->recipient_limit > 0 ? (size_t)client->recipient_limit : message->count;
    enum client_sending sending = CLIENT_SENT;
    for (size_t at = 0; at < message->count && sending == CLIENT_SENT; at += limit) {
        struct client_message part = *message;
        part.recipients = message->recipients + at;
        part.count = message->count - at < limit ? message->count - at : limit;
        if (client_count(&part, CLIENT_PENDING) == 0) {
            continue;
        }
        if (at > 0 && client->open && client_is_full(client)) {
            leave(&part);
        } else if (client->open) {
            sending = send_once(client, &part);
            message->unconfirmed |= part.unconfirmed;
        }
        if (at > 0 && sending == CLIENT_STALE) { /* others have had their answer */
            sending = CLIENT_SENT;
        }
        if (sending == CLIENT_SENT) {
            client_set_remaining(&part, CLIENT_DEFERRED, client);
        }
    }
    return sending;
}

enum client_sending client_send(struct client *client, struct client_message *message) {
    if (!client->open) {
        client_set_remaining(message, CLIENT_DEFERRED, client);
        return CLIENT_SENT;
    }
    client_refuse_without_asking(client, message);
    if (client_count(message, CLIENT_PENDING) == 0) {
        message->unasked = true;
        return CLIENT_SENT;
    }
    return send_parts(client, message);
}

/* The first connection had what this one lacks: TLS fails for a moment, perhaps. */
static void put_off(struct client_recipient *recipient) {
    char lack[CLIENT_REPLY_SIZE];
    text_copy(lack, sizeof lack, text_of(recipient->reply));
    recipient->verdict = CLIENT_DEFERRED;
    snprintf(recipient->reply, sizeof recipient->reply, "451 4.5.3 over a further connection: %.460s", lack);
}

void client_send_left(struct client *client, struct client_message *message) {
    bool *taken = memory_new(message->count, sizeof *taken);
    for (size_t i = 0; i < message->count; i++) {
        struct client_recipient *recipient = &message->recipients[i];
        taken[i] = recipient->left;
        recipient->verdict = taken[i] ? CLIENT_PENDING : recipient->verdict;
        recipient->left = false;
    }
    (void)client_send(client, message);
    for (size_t i = 0; i < message->count; i++) {
        struct client_recipient *recipient = &message->recipients[i];
        if (taken[i] && recipient->verdict == CLIENT_FAILED && !recipient->from_server) {
            put_off(recipient);
        }
    }
    message->unasked = false; /* some had been sent */
    free(taken);
}
