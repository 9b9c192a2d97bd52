/* SPDX-License-Identifier: MIT
 * EHLO, HELO and LHLO of the client, and what the server offers. Runs in delivery agents. A server that answers EHLO
 * with 5xx is asked with HELO (RFC 5321 3.2), over a new connection where it drops the old one; LMTP has no such
 * fallback. */
#include "smtp/client_private.h"

static void keyword_size(struct client *client, struct text arguments) {
    uint64_t limit;
    client->size_limit = text_number(text_trim(arguments), UINT64_MAX / 2, &limit) ? limit : 0;
}

static void keyword_auth(struct client *client, struct text arguments) {
    struct text mechanism;
    while (text_split(&arguments, ' ', &mechanism)) {
        if (text_equal_nocase(mechanism, TEXT("PLAIN"))) {
            client->keywords |= CLIENT_AUTH_PLAIN;
        } else if (text_equal_nocase(mechanism, TEXT("LOGIN"))) {
            client->keywords |= CLIENT_AUTH_LOGIN;
        }
    }
}

/* RFC 9422: limits that are none are none. */
static void keyword_limits(struct client *client, struct text arguments) {
    struct text limit;
    uint64_t number;
    while (text_split(&arguments, ' ', &limit)) {
        size_t equals = text_find(limit, '=');
        struct text name = text_first(limit, equals);
        if (!text_number(text_from(limit, equals + 1), UINT32_MAX, &number)) {
            continue;
        }
        if (text_equal_nocase(name, TEXT("RCPTMAX"))) {
            client->recipient_limit = number;
        } else if (text_equal_nocase(name, TEXT("MAILMAX"))) {
            client->message_limit = number;
        }
    }
}

static const struct {
    struct text name;
    enum client_keyword keyword;
    void (*arguments)(struct client *client, struct text arguments);
} keywords[] = {
    {{"PIPELINING", 10}, CLIENT_PIPELINING, NULL},  {{"8BITMIME", 8}, CLIENT_8BITMIME, NULL},
    {{"SIZE", 4}, CLIENT_SIZE, keyword_size},       {{"STARTTLS", 8}, CLIENT_STARTTLS, NULL},
    {{"SMTPUTF8", 8}, CLIENT_SMTPUTF8, NULL},       {{"DSN", 3}, CLIENT_DSN, NULL},
    {{"AUTH", 4}, CLIENT_AUTH, keyword_auth},       {{"CHUNKING", 8}, CLIENT_CHUNKING, NULL},
    {{"BINARYMIME", 10}, CLIENT_BINARYMIME, NULL},  {{"REQUIRETLS", 10}, CLIENT_REQUIRETLS, NULL},
    {{"LIMITS", 6}, CLIENT_LIMITS, keyword_limits}, {{"NO-SOLICITING", 13}, CLIENT_NO_SOLICITING, NULL},
};

/* RFC 5321 4.1.1.1: the first line is the server's name, each further one a keyword with its parameters. */
static void hello_line(struct client *client, unsigned number, struct text text) {
    struct text rest = text_trim(text), word;
    if (number == 0 || client->code != 250 || !text_split(&rest, ' ', &word)) {
        return;
    }
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
        if (text_equal_nocase(word, keywords[i].name)) {
            client->keywords |= keywords[i].keyword;
            if (keywords[i].arguments != NULL) {
                keywords[i].arguments(client, rest);
            }
        }
    }
}

static bool perform_hello(struct client *client, const char *verb) {
    client->keywords = 0;
    client->size_limit = client->recipient_limit = client->message_limit = 0;
    return client_command(client, PHASE_HELLO, "%s %s", verb, client->settings.own_name) &&
           client_flush(client, PHASE_HELLO);
}

static bool response_hello(struct client *client, client_line *seen) {
    return client_read_reply(client, PHASE_HELLO, seen) && client->open && client->code / 100 == 2;
}

bool client_hello(struct client *client) {
    const char *verb = client->settings.lmtp ? "LHLO" : "EHLO";
    if (client->settings.helo) {
        return perform_hello(client, "HELO") && response_hello(client, NULL);
    }
    if (!perform_hello(client, verb)) {
        return false;
    }
    if (response_hello(client, hello_line)) {
        return true;
    }
    if (client->settings.lmtp || !client->open || client->code / 100 != 5) {
        return false;
    }
    if (perform_hello(client, "HELO") && response_hello(client, NULL)) {
        return true;
    }
    client->helo_wanted = !client->open && !client->tls;
    return false;
}
