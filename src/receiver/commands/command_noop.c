/* SPDX-License-Identifier: MIT
 * NOOP: nothing. Called by the dispatcher, confined; cannot fail. */
#include "receiver/commands/command.h"

/* noop = "NOOP" [ SP String ] CRLF */
void command_noop(struct session *session, struct text argument) {
    (void)argument;
    session_reply(session, 250, "2.0.0", "OK");
}
