/* SPDX-License-Identifier: MIT
 * EXPN: there are no lists to expand for strangers. Called by the dispatcher, confined; cannot fail. */
#include "receiver/commands/command.h"

/* expn = "EXPN" SP String [ SP "SMTPUTF8" ] CRLF */
void command_expn(struct session *session, struct text argument) {
    if (command_string_is_understood(session, argument))
        session_reply(session, 502, "5.5.1", "Administrative prohibition");
}
