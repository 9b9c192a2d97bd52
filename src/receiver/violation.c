/* SPDX-License-Identifier: MIT
 * One violation: a log line, and an evidence row that the ledger writes. Called by session_reply.c and session.c in a
 * confined receiver. Without a ledger there is no count, and the session goes on. */
#include "receiver/violation.h"
#include "base/log.h"
#include "receiver/session.h"

bool violation_report(struct session *session, const char *rule, enum violation_mercy mercy, const char *what,
                      int64_t *expires_at) {
    char shown[REPLY_TEXT_SIZE];
    struct contact_violation violation = {
        .contact_id = session->contact_id,
        .contact = text_of(session->client.contact),
        .verb = text_of(session->verb),
        .rule = text_of(rule),
        .reply = text_of(what),
        .account = text_of(session->account),
        .mail_id = text_of(session->mail_id),
        .port = session->client.local_port,
        .mercy = mercy,
    };
    struct contact_state state;

    log_warn("violation by %s: %s, rule %s: %s", session->client.peer_ip, session->verb, rule,
             text_printable(shown, sizeof shown, violation.reply));
    /* Behind LMTP is a server of ours that hands on what others made: it is not shut out for their faults. */
    if (session->client.role == ROLE_SENDMAIL || session->client.role == ROLE_LMTP || session->contact_id == 0)
        return false;
    if (!ask_contact_violation(session->start->ledger, &violation, &state))
        return false;
    session->violations = state.violations;
    *expires_at = state.expires_at;
    return state.verdict != CONTACT_ADMITTED;
}
