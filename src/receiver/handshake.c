/* SPDX-License-Identifier: MIT
 * TLS handshakes. Called by STARTTLS and by the start of a session on a port that begins with TLS; confined, on bytes
 * from anybody, with the deadline of a command. A handshake that fails leaves a connection on which nothing can be
 * said: the log says why. */
#include "receiver/handshake.h"
#include "base/log.h"
#include "receiver/dialog.h"
#include "receiver/hub.h"
#include "receiver/session.h"
#include <stdio.h>

#define HANDSHAKE_RECORD 0x16 /* RFC 8446 5.1 */

typedef enum stream_result accept_function(struct stream *stream, struct tls_server *server, int64_t deadline,
                                           struct tls_facts *facts, char *reason, size_t size);

static bool shake(struct session *session, accept_function *tls_handshake, int64_t deadline) {
    char reason[256] = "";
    char note[512];

    enum stream_result result =
        tls_handshake(&session->stream, session->start->tls, deadline, &session->tls_facts, reason, sizeof reason);
    if (result != STREAM_OK) {
        log_warn("TLS with %s failed: %s", session->client.peer_ip, reason);
        session->peer_gone = true;
        session_set_state(session, SESSION_CLOSING);
        return false;
    }
    (void)snprintf(note, sizeof note, "%s %s%s", session->tls_facts.version, session->tls_facts.cipher,
                   session->tls_facts.resumed ? " resumed" : "");
    dialog_note(session->config, "<-> (handshake) ", note);
    if (session->tls_facts.client_fingerprint[0] != '\0')
        log_info("%s shows the certificate %s, %s%s", session->client.peer_ip, session->tls_facts.client_fingerprint,
                 session->tls_facts.client[0] != '\0' ? "of " : "which is not verified", session->tls_facts.client);
    session->tls = true;
    session->facts.encrypted = true;
    return true;
}

bool handshake_shake(struct session *session) {
    return shake(session, tls_accept, session_deadline(session, PHASE_COMMAND));
}

static enum stream_result wait_for_hello(struct session *session, int64_t deadline) {
    while (stream_pending(&session->stream).length == 0) {
        enum stream_result result = stream_fill(&session->stream, deadline);
        if (result != STREAM_OK && (result != STREAM_STOP || !hub_goes_on(session->start->hub)))
            return result;
    }
    return STREAM_OK;
}

bool handshake_begin(struct session *session) {
    int64_t deadline = session_deadline(session, PHASE_COMMAND);
    enum stream_result result = wait_for_hello(session, deadline);

    if (result != STREAM_OK) {
        log_info("%s %s before the TLS handshake", session->client.peer_ip,
                 result == STREAM_TIMEOUT ? "was silent for too long" : "closed the connection");
        session->peer_gone = true;
        return false;
    }
    if ((unsigned char)stream_pending(&session->stream).data[0] != HANDSHAKE_RECORD) {
        session->verb = "(TLS)";
        session_drop(session, "talk", "plain text on a port that begins with TLS");
        return false;
    }
    return shake(session, tls_accept_begun, deadline);
}
