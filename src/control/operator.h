/* SPDX-License-Identifier: MIT
 * Asking a running server: CONTROL_REQUESTs over the operator's socket of the ledger or the runner, one answer each. */
#ifndef CONTROL_OPERATOR_H
#define CONTROL_OPERATOR_H
#include "base/buffer.h"
#include "config/config.h"
#define OPERATOR_ARGUMENT_MAXIMUM 4096
#define OPERATOR_ANSWER_MAXIMUM (128u * 1024)
enum operator_result {
    OPERATOR_ANSWERED,
    OPERATOR_NOBODY,  /* no server runs */
    OPERATOR_REFUSED, /* the caller may not ask */
    OPERATOR_LOST     /* the server went away before it answered */
};
/* socket_name: "ledger.sock" or "runner.sock". *fd: the connection, the caller's to close, with OPERATOR_ANSWERED. */
enum operator_result operator_connect(const struct config *config, const char *socket_name, int *fd);
/* answer: the text it gave; *status: the exit status it gave; *affected: how many rows the change touched, may be NULL.
 * Waits as long as the work takes. */
enum operator_result operator_ask_over(int fd, const char *verb, const char *argument, const char *detail,
                                       struct buffer *answer, int *status, int64_t *affected);
/* Has a running server write what it has answered, so that the caller finds it in the rows. Without one, or one that is
 * busy for long, they are as they are. Who is not let in waits as long as rows do at most. */
void operator_settle(const struct config *config);
/* One question over a connection of its own. */
enum operator_result operator_ask(const struct config *config, const char *socket_name, const char *verb,
                                  const char *argument, const char *detail, struct buffer *answer, int *status);
#endif
