/* SPDX-License-Identifier: MIT
 * The `sendmail` program as cron and other programs expect it. */
#ifndef CONTROL_SENDMAIL_H
#define CONTROL_SENDMAIL_H
#include "base/buffer.h"
#include "config/config.h"
#include <stdbool.h>
#define SENDMAIL_RECIPIENT_SIZE 512

struct sendmail_draft { /* a message on its way from standard input to the server */
    const struct config *config;
    bool dots_are_data;                   /* -i: a line with a lone dot does not end the message */
    bool recipients_from_it;              /* -t */
    const char *full_name;                /* -F, or NULL */
    char sender[SENDMAIL_RECIPIENT_SIZE]; /* reverse-path, "" for <> */
    char **recipients;
    size_t count, capacity;
    struct buffer message; /* with CRLF line ends */
};
/* Appends a recipient once, qualified with the server's domain when it has none; false when there are too many. */
bool sendmail_add_recipient(struct sendmail_draft *draft, const char *address);
/* "local@domain" from an address that may lack its domain; false when it does not fit. */
bool sendmail_qualify(const struct config *config, const char *address, char *qualified, size_t size);
/* Turns input into the message: CRLF line ends, -t's recipients taken and Bcc removed, From, Date and Message-ID added
 * when missing. Gives an exit status of sysexits.h; error gets a sentence when it is not 0. */
int sendmail_prepare(struct sendmail_draft *draft, struct text input, struct buffer *error);

int sendmail_main(int argc, char **argv);
#endif
