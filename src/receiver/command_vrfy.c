/* SPDX-License-Identifier: MIT
 * VRFY: tells nobody who our users are (RFC 5321 7.3). Called by the dispatcher, confined; cannot fail. */
#include "receiver/command.h"

/* vrfy = "VRFY" SP String CRLF */
void command_vrfy(struct session *session, struct text argument) {
    (void)argument;
    session_reply(session, 252, "2.0.0", "Administrative prohibition");
}
