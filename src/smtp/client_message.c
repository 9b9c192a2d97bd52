/* SPDX-License-Identifier: MIT
 * One message over an open client: RSET, MAIL, RCPT, DATA, the mail data and its replies, as pairs of perform_x (sends)
 * and response_x (reads). Runs in delivery agents. With PIPELINING (RFC 2920) up to WINDOW commands are under way,
 * otherwise one; the replies are read in the same order either way. Every recipient ends with a verdict of its own. */
#include "smtp/client_private.h"
#include "smtp/data_encoder.h"
#include <stdio.h>
#include <string.h>

#define WINDOW 100                           /* commands sent ahead: their replies fit any socket buffer */
#define ENCODED_MAXIMUM (2u * 64 * 1024 + 8) /* a piece of content, encoded */

enum step_kind { STEP_RSET, STEP_MAIL, STEP_RCPT, STEP_DATA };
struct exchange {
    struct client *client;
    struct client_message *message;
    size_t performed, answered, total; /* steps: RSET, MAIL, one RCPT a recipient, DATA */
    bool with_rset;
    bool mail_answered, mail_accepted;
    bool give_up; /* nothing further is performed; what was, is still answered */
    bool go;      /* DATA was answered with 354 */
};

static enum client_verdict verdict_of(unsigned code) {
    return code / 100 == 2 ? CLIENT_DELIVERED : code / 100 == 5 ? CLIENT_FAILED : CLIENT_DEFERRED;
}

static void set_verdict(struct client_recipient *recipient, enum client_verdict verdict, const char *reply) {
    recipient->verdict = verdict;
    recipient->from_server = false;
    text_copy(recipient->reply, sizeof recipient->reply, text_of(reply));
}

/* By the last reply, or what stands in its place. */
static void set_answered(struct client_recipient *recipient, enum client_verdict verdict, const struct client *client) {
    set_verdict(recipient, verdict, client->reply);
    recipient->from_server = client->code != 0;
}

static bool is_open_ended(const struct client_recipient *recipient) {
    return recipient->verdict == CLIENT_PENDING || recipient->verdict == CLIENT_ACCEPTED;
}

/* For everybody who has no verdict yet. */
static void refuse_remaining(struct client_message *message, const char *reply) {
    for (size_t i = 0; i < message->count; i++) {
        if (is_open_ended(&message->recipients[i])) {
            set_verdict(&message->recipients[i], CLIENT_FAILED, reply);
        }
    }
}

static void set_remaining(struct client_message *message, enum client_verdict verdict, const struct client *client) {
    for (size_t i = 0; i < message->count; i++) {
        if (is_open_ended(&message->recipients[i])) {
            set_answered(&message->recipients[i], verdict, client);
        }
    }
}

static size_t count_of(const struct client_message *message, enum client_verdict verdict) {
    size_t count = 0;
    for (size_t i = 0; i < message->count; i++) {
        count += message->recipients[i].verdict == verdict;
    }
    return count;
}

/* What an extension's absence decides before anything is sent (RFC 1870 6.1, RFC 6152 3, RFC 6531 3.4). */
static void refuse_without_asking(const struct client *client, struct client_message *message) {
    char reply[CLIENT_REPLY_SIZE];
    if (client->size_limit > 0 && message->size > client->size_limit) {
        snprintf(reply, sizeof reply, "552 5.3.4 message of %llu bytes is larger than the %llu the server takes",
                 (unsigned long long)message->size, (unsigned long long)client->size_limit);
        refuse_remaining(message, reply);
    }
    if (message->has_eight_bit && (client->keywords & CLIENT_8BITMIME) == 0) {
        refuse_remaining(message, "554 5.6.3 the message has 8-bit bytes and the server takes none");
    }
    if ((client->keywords & CLIENT_SMTPUTF8) != 0) {
        return;
    }
    /* A mailbox behind LMTP takes any header; what needs the extension there is an address. */
    if (message->utf8 && !client->settings.lmtp) {
        refuse_remaining(message, "554 5.6.7 the header is not ASCII and the server does not offer SMTPUTF8");
    }
    for (size_t i = 0; i < message->count; i++) {
        struct client_recipient *recipient = &message->recipients[i];
        if (is_open_ended(recipient) &&
            (text_has_eight_bit(text_of(recipient->address)) || text_has_eight_bit(text_of(message->from)))) {
            set_verdict(recipient, CLIENT_FAILED,
                        "553 5.6.7 an address is not ASCII and the server does not offer SMTPUTF8");
        }
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

/* MAIL FROM:<…> [SIZE=] [BODY=] [SMTPUTF8] [RET=] [ENVID=]: each only when it was offered. (Without DSN, RFC 3461 5.2.2
 * would like <> for recipients with NOTIFY=NEVER. It is older than SPF, which judges by the reverse-path: like others
 * we leave it.) */
static bool perform_mail(struct exchange *exchange) {
    const struct client_message *message = exchange->message;
    unsigned offered = exchange->client->keywords;
    char size[40] = "";
    const char *body = "", *utf8 = "";
    bool dsn = (offered & CLIENT_DSN) != 0;
    if ((offered & CLIENT_SIZE) != 0) {
        snprintf(size, sizeof size, " SIZE=%llu", (unsigned long long)message->size);
    }
    if ((offered & CLIENT_8BITMIME) != 0 && (message->has_eight_bit || message->declared_eight_bit)) {
        body = " BODY=8BITMIME";
    }
    if ((offered & CLIENT_SMTPUTF8) != 0 && needs_utf8(message)) {
        utf8 = " SMTPUTF8";
    }
    bool ret = dsn && message->ret[0] != '\0', envid = dsn && message->envid[0] != '\0';
    return client_command(exchange->client, PHASE_MAIL, "MAIL FROM:<%s>%s%s%s%s%s%s%s", message->from, size, body, utf8,
                          ret ? " RET=" : "", ret ? message->ret : "", envid ? " ENVID=" : "",
                          envid ? message->envid : "");
}

static void response_mail(struct exchange *exchange) {
    struct client *client = exchange->client;
    if (!client_read_reply(client, PHASE_MAIL, NULL)) {
        exchange->give_up = true;
        return;
    }
    exchange->mail_answered = true;
    exchange->mail_accepted = client->code / 100 == 2;
    if (!exchange->mail_accepted) {
        exchange->give_up = true;
        set_remaining(exchange->message, verdict_of(client->code), client);
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
    enum client_verdict verdict = verdict_of(client->code);
    if (client->code == 552) { /* RFC 5321 4.5.3.1.10: an old way to say "too many recipients" */
        verdict = CLIENT_DEFERRED;
    }
    set_answered(recipient, verdict == CLIENT_DELIVERED ? CLIENT_ACCEPTED : verdict, client);
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
        set_remaining(exchange->message, client->code / 100 == 5 ? CLIENT_FAILED : CLIENT_DEFERRED, client);
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
    if (number + 1 == exchange->total) {
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
        sent = perform_mail(exchange);
        break;
    case STEP_RCPT:
        sent = perform_rcpt(exchange, &exchange->message->recipients[at]);
        break;
    case STEP_DATA:
        if (exchange->answered == exchange->performed && count_of(exchange->message, CLIENT_ACCEPTED) == 0) {
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
            perform_step(exchange);
        } else if (under_way > 0) {
            if (client_flush(exchange->client, PHASE_RCPT)) {
                response_step(exchange);
            }
        } else {
            return;
        }
    }
}

/* The mail data (RFC 5321 4.1.1.4) with its end. False when it could not all be sent. */
static bool send_content(struct client *client, struct client_message *message) {
    struct data_encoder encoder;
    struct buffer encoded;
    struct text piece = TEXT_NONE;
    bool rewind = true, sent = true, last = false;
    data_encoder_init(&encoder);
    buffer_init(&encoded, ENCODED_MAXIMUM);
    while (sent && !last) {
        buffer_clear(&encoded);
        if (!message->content(message->context, rewind, &piece)) {
            client_lose(client, "451 4.3.0 the message could not be read"); /* cut, never ended: nobody may take it */
            sent = false;
            break;
        }
        rewind = false;
        last = piece.length == 0;
        sent = last ? data_encoder_end(&encoder, &encoded) : data_encoder_piece(&encoder, piece, &encoded);
        if (!sent) {
            client_lose(client, "451 4.3.0 the message could not be encoded");
        } else {
            sent = client_write(client, PHASE_DATA_BLOCK, buffer_text(&encoded));
        }
    }
    buffer_free(&encoded);
    return sent && client_flush(client, PHASE_DATA_BLOCK);
}

/* SMTP: one reply for all. LMTP (RFC 2033 4.2): one for each accepted recipient, in the order of the RCPTs. */
static void response_content(struct client *client, struct client_message *message) {
    for (size_t i = 0; i < message->count; i++) {
        struct client_recipient *recipient = &message->recipients[i];
        if (recipient->verdict != CLIENT_ACCEPTED) {
            continue;
        }
        if (!client_read_reply(client, PHASE_DATA_END, NULL)) {
            message->unconfirmed = true;
            set_remaining(message, CLIENT_DEFERRED, client);
            return;
        }
        if (!client->settings.lmtp) {
            set_remaining(message, verdict_of(client->code), client);
            return;
        }
        set_answered(recipient, verdict_of(client->code), client);
    }
}

static void exchange_content(struct exchange *exchange) {
    struct client *client = exchange->client;
    if (count_of(exchange->message, CLIENT_ACCEPTED) == 0) {
        /* Pipelined, and the server said 354 to nobody: an empty message ends it, RFC 2920 3.1. LMTP would answer with
         * no reply at all, so that nothing shows where the next begins. */
        if (client->settings.lmtp) {
            client_drop(client);
        } else if (client_command(client, PHASE_DATA_END, ".") && client_flush(client, PHASE_DATA_END)) {
            client_read_reply(client, PHASE_DATA_END, NULL);
        }
        return;
    }
    if (!send_content(client, exchange->message)) {
        set_remaining(exchange->message, client->code == 0 ? CLIENT_DEFERRED : verdict_of(client->code), client);
        return;
    }
    client_note(client, "(data, %llu bytes)", (unsigned long long)exchange->message->size);
    response_content(client, exchange->message);
}

enum client_sending client_send(struct client *client, struct client_message *message) {
    struct exchange exchange = {.client = client, .message = message, .with_rset = client->messages > 0};
    bool reused = exchange.with_rset;
    exchange.total = message->count + 2 + (exchange.with_rset ? 1 : 0);
    if (!client->open) {
        set_remaining(message, CLIENT_DEFERRED, client);
        return CLIENT_SENT;
    }
    refuse_without_asking(client, message);
    if (count_of(message, CLIENT_PENDING) == 0) {
        message->unasked = true;
        return CLIENT_SENT;
    }
    client->messages++;
    exchange_envelope(&exchange);
    if (!client->open && reused && !exchange.mail_answered) {
        return CLIENT_STALE;
    }
    if (exchange.go && client->open) {
        exchange_content(&exchange);
    }
    set_remaining(message, CLIENT_DEFERRED, client);
    return CLIENT_SENT;
}
