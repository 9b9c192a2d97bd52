/* SPDX-License-Identifier: MIT
 * Fuzz target: what a server says to our client, SMTP and LMTP, from the greeting to the last reply. Whatever it is,
 * every recipient gets a verdict, and nobody is failed for good without a 5xx. */
#include "fuzz.h"
#include "smtp/client.h"
#include <sys/socket.h>
#include <unistd.h>

#define RECIPIENTS 3

static void fuzz_start(void) {
}

static bool give_content(void *context, bool rewind, struct text *piece) {
    bool *given = context;

    *given = *given && !rewind;
    *piece = *given ? TEXT_NONE : TEXT("Subject: x\r\n\r\n.dots\r\n\xc3\xbc\r\n");
    *given = true;
    return true;
}

static void send_one(struct client *client, bool eight_bit) {
    struct client_recipient recipients[RECIPIENTS];
    bool given = false;
    struct client_message message = {.from = "s@us.test",
                                     .ret = "HDRS",
                                     .envid = "x",
                                     .size = 31,
                                     .has_eight_bit = eight_bit,
                                     .content = give_content,
                                     .context = &given,
                                     .recipients = recipients,
                                     .count = RECIPIENTS};

    for (size_t i = 0; i < RECIPIENTS; i++)
        recipients[i] = (struct client_recipient){.address = "a@x.test", .notify = "NEVER", .orcpt = ""};
    if (client_send(client, &message) == CLIENT_STALE)
        return;
    for (size_t i = 0; i < RECIPIENTS; i++) {
        FUZZ_CHECK(recipients[i].verdict >= CLIENT_DELIVERED);
        FUZZ_CHECK(memchr(recipients[i].reply, '\0', sizeof recipients[i].reply) != NULL);
        FUZZ_CHECK(recipients[i].verdict != CLIENT_FAILED || recipients[i].reply[0] == '5');
        FUZZ_CHECK(recipients[i].verdict != CLIENT_DELIVERED || recipients[i].reply[0] == '2');
    }
}

static void fuzz_one(struct text input) {
    uint8_t flags = fuzz_byte(&input);
    const struct client_settings settings = {.own_name = "us.test",
                                             .lmtp = flags & 1,
                                             .helo = (flags & 2) && !(flags & 1),
                                             .user = flags & 4 ? "user" : NULL,
                                             .password = "secret",
                                             .timeout_cap = 1};
    struct client client;
    int ends[2];

    if (input.length > 100000 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return;
    FUZZ_CHECK(write(ends[1], input.data, input.length) == (ssize_t)input.length);
    (void)shutdown(ends[1], SHUT_WR);
    if (client_open(&client, ends[0], &settings) == CLIENT_OPEN) {
        send_one(&client, flags & 8);
        if (client.open)
            send_one(&client, flags & 16);
        client_quit(&client);
    }
    (void)close(ends[1]);
}
