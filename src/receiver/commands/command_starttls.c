/* SPDX-License-Identifier: MIT
 * STARTTLS (RFC 3207). Called by the dispatcher when there is a certificate and no TLS yet, confined. What was sent in
 * plain text before the handshake counts for nothing afterwards; a handshake that fails closes the connection. */
#include "receiver/commands/command.h"
#include "receiver/facts/facts.h"
#include "receiver/handshake.h"

/* RFC 3207 4.2: "the server MUST discard any knowledge obtained from the client". */
static void forget_client(struct session *session) {
    session_end_transaction(session);
    session->ehlo[0] = '\0';
    session->extended = false;
    facts_forget(session, FACT_EHLO_DOMAIN);
    command_line_reader_init(&session->reader, (size_t)session->config->line_maximum);
    session_set_state(session, SESSION_GREETED);
}

/* starttls = "STARTTLS" CRLF */
void command_starttls(struct session *session, struct text argument) {
    (void)argument;
    session_finish_line(session);
    if (stream_pending(&session->stream).length > 0) {
        session_reply(session, 554, "5.5.1", "commands behind STARTTLS were sent in plain text");
        session_set_state(session, SESSION_CLOSING);
        return;
    }
    session_reply(session, 220, "2.0.0", "TLS go ahead");
    if (session_flush(session) && handshake_shake(session))
        forget_client(session);
}
