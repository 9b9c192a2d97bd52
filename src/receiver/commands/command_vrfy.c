/* SPDX-License-Identifier: MIT
 * VRFY: tells nobody who our users are (RFC 5321 7.3). Called by the dispatcher, confined; cannot fail. */
#include "receiver/commands/command.h"

/* vrfy = "VRFY" SP String [ SP "SMTPUTF8" ] CRLF */
void command_vrfy(struct session *session, struct text argument) {
    if (command_string_is_understood(session, argument))
        session_reply(session, 252, "2.0.0", "Administrative prohibition");
}
