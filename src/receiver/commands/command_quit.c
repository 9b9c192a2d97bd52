/* SPDX-License-Identifier: MIT
 * QUIT: the client's own end; in the middle of a message it is a violation. Called by the dispatcher, confined. */
#include "base/log.h"
#include "receiver/commands/command.h"
#include "receiver/violation.h"

/* quit = "QUIT" CRLF */
void command_quit(struct session *session, struct text argument) {
    int64_t expires_at;
    struct reply reply;

    (void)argument;
    if ((session->state == SESSION_MAIL || session->state == SESSION_BDAT) &&
        !transaction_is_refused(&session->transaction))
        (void)violation_report(session, "broken", VIOLATION_PLAIN, "QUIT in the middle of a message", &expires_at);
    const struct rule *rule = rule_evaluate(session, RULE_QUIT, &reply);
    if (rule != NULL)
        session_send(session, &reply, rule->name, rule->mercy);
    else
        session_reply(session, 221, "2.0.0", "%s closing connection", session->config->server_name);
    session->quit = true;
    session_set_state(session, SESSION_CLOSING);
}
