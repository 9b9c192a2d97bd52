/* SPDX-License-Identifier: MIT
 * EXPN: there are no lists to expand for strangers. Called by the dispatcher, confined; cannot fail. */
#include "receiver/command.h"

/* expn = "EXPN" SP String CRLF */
void command_expn(struct session *session, struct text argument) {
    (void)argument;
    session_reply(session, 502, "5.5.1", "Administrative prohibition");
}
