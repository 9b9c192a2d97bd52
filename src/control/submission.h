/* SPDX-License-Identifier: MIT
 * Handing a message to the running server over its sendmail socket, for `sendmail` and `parcelpost send`. */
#ifndef CONTROL_SUBMISSION_H
#define CONTROL_SUBMISSION_H
#include "base/buffer.h"
#include "config/config.h"
#include <stdbool.h>
#define SUBMISSION_RECIPIENTS_MAXIMUM 5000
struct submission {
    const struct config *config;
    const char *program; /* for messages on standard error */
    const char *from;    /* reverse-path, "" for <> */
    char **recipients;
    size_t count;
    struct text message;              /* with CRLF line ends */
    bool verbose;                     /* print the dialogue */
    const char *notify, *ret, *envid; /* RFC 3461, envid as xtext; NULL for none */
};
/* sysexits.h: 0 accepted for all; 67, 65, 69 … as the server refused; 75 when it does not run or said 4xx. What was
 * refused is told on standard error, for each recipient. */
int submission_send(const struct submission *submission);
/* A connection to the socket of the first listen block with role sendmail; -1 after saying why. */
int submission_connect(const struct config *config, const char *program, int *status);
/* The exit status that says best what a reply line "550 5.1.1 …" means. */
int submission_exit_status(const char *reply);
#endif
