/* SPDX-License-Identifier: MIT
 * RSET: forgets the transaction; EHLO, TLS and login stay. Called by the dispatcher, confined; cannot fail. */
#include "receiver/commands/command.h"

/* rset = "RSET" CRLF */
void command_rset(struct session *session, struct text argument) {
    (void)argument;
    session_end_transaction(session);
    session_reply(session, 250, "2.0.0", "Reset OK");
}
