/* SPDX-License-Identifier: MIT
 * One transaction: what MAIL begins, RCPT fills and the end of data, RSET or EHLO ends. Called by the commands,
 * confined; its recipients are those that were accepted, and no others. */
#include "receiver/transaction.h"
#include "base/log.h"
#include "base/memory.h"
#include "mail/header.h"
#include "mail/solicitation.h"
#include "receiver/commands/extension.h"
#include "receiver/facts/facts.h"
#include "receiver/facts/stranger.h"
#include "receiver/received.h"
#include "receiver/session.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void transaction_begin(struct session *session, const struct address *from) {
    struct transaction *transaction = &session->transaction;
    const struct message_limits limits = {
        .maximum = (uint64_t)session->config->message_maximum,
        .journal = (uint64_t)session->config->journal_max_message,
        .own_name = session->config->server_name,
    };

    *transaction = (struct transaction){.open = true, .from = *from};
    (void)address_text(from, transaction->from_text, sizeof transaction->from_text);
    envelope_init(&transaction->envelope);
    message_init(&transaction->message, session->start->ledger, session->mail_id, &limits);
    facts_collect_connection(session);
    session_set_state(session, SESSION_MAIL);
}

void transaction_free(struct transaction *transaction) {
    if (!transaction->open)
        return;
    envelope_free(&transaction->envelope);
    envelope_free(&transaction->merged);
    message_free(&transaction->message);
    transaction_free_owed(transaction);
    free(transaction->refusal);
    *transaction = (struct transaction){.open = false};
}

bool transaction_is_refused(const struct transaction *transaction) {
    return transaction->tried > 0 && transaction->envelope.recipient_count == 0;
}

void transaction_refuse(struct session *session, const struct recipient *recipient, const struct reply *reply) {
    struct transaction *transaction = &session->transaction;
    char line[REPLY_TEXT_SIZE];
    const struct recipient_refused refused = {
        .contact_id = session->contact_id,
        .mail_id = text_of(session->mail_id),
        .from_url = text_of(transaction->from_text),
        .to_url = text_of(recipient->text),
        .reply = text_of(reply_line(reply, line, sizeof line)),
    };

    if (reply->code < 500 || transaction->told >= (unsigned long)session->config->recipient_maximum)
        return;
    transaction->told++;
    if (!tell_recipient_refused(session->start->ledger, &refused))
        log_warn("the ledger does not know of a refused recipient");
}

/* What MAIL said, and behind it what the header says; false when that is too much. */
static bool join_solicitations(struct envelope *envelope, const char *header) {
    char joined[SOLICITATION_MAXIMUM + 1];
    int length = snprintf(joined, sizeof joined, "%s,%s", envelope->solicit, header);
    bool fits = length > 0 && (size_t)length < sizeof joined;

    if (fits && !text_equal_nocase(text_of(header), text_of(envelope->solicit)))
        envelope_set(&envelope->solicit, text_of(joined));
    return fits;
}

/* RFC 3865 2.5: what the header says of itself goes into the trace field, and on with MAIL, as if MAIL had said it. */
static void note_solicitation(struct session *session) {
    struct envelope *envelope = &session->transaction.envelope;
    struct header_field field;
    char value[SOLICITATION_MAXIMUM + 1];

    if (!extension_is_known(session, EXTENSION_NO_SOLICITING) ||
        !header_find(message_header(&session->transaction.message), "Solicitation", &field) ||
        !header_value(&field, value, sizeof value) || !solicitation_is_valid(text_trim(text_of(value))))
        return;
    if (envelope->solicit[0] == '\0' || !join_solicitations(envelope, value))
        envelope_set(&envelope->solicit, text_trim(text_of(value)));
    session->facts.solicitation = text_of(envelope->solicit);
}

void transaction_judge_header(struct session *session) {
    struct transaction *transaction = &session->transaction;
    struct reply reply;

    if (!transaction->message.header_done || transaction->header_judged || transaction->message.problem != MESSAGE_OK)
        return;
    transaction->header_judged = true;
    note_solicitation(session);
    const struct rule *rule = rule_evaluate(session, RULE_HEADERS, &reply);
    session->facts.solicitation = TEXT_NONE;
    if (rule == NULL)
        return;
    transaction->refusal = memory_new(1, sizeof *transaction->refusal);
    transaction->refusal->reply = reply;
    (void)text_copy(transaction->refusal->rule, sizeof transaction->refusal->rule, text_of(rule->name));
    message_drop(&transaction->message);
}

/* RFC 8689 5: its sender would rather have it arrive. REQUIRETLS says more. */
static bool is_tls_optional(struct text header) {
    struct header_field field;
    char value[64];

    if (header_count(header, "TLS-Required") != 1 || !header_find(header, "TLS-Required", &field))
        return false;
    (void)header_value(&field, value, sizeof value);
    return text_equal_nocase(text_trim(text_of(value)), TEXT("No"));
}

static void set_message_id(struct envelope *envelope, struct text header) {
    struct header_field field;
    char value[512];
    char harmless[512];

    if (envelope->message_id[0] != '\0' || !header_find(header, "Message-ID", &field))
        return;
    (void)header_value(&field, value, sizeof value);
    envelope_set(&envelope->message_id, text_of(text_printable(harmless, sizeof harmless, text_trim(text_of(value)))));
}

void transaction_complete_envelope(struct session *session) {
    struct envelope *envelope = &session->transaction.envelope;
    struct text header = message_header(&session->transaction.message);
    char tls[sizeof session->tls_facts.version + sizeof session->tls_facts.cipher + 1];

    (void)text_copy(envelope->mail_id, sizeof envelope->mail_id, text_of(session->mail_id));
    envelope->received_at = time(NULL);
    envelope->contact_id = session->contact_id;
    envelope_set(&envelope->remote_ip, text_of(session->client.peer_ip));
    envelope_set(&envelope->remote_name, text_of(session->remote_name));
    stranger_record(session, envelope);
    envelope_set(&envelope->local_ip, text_of(session->client.local_ip));
    envelope->local_port = session->client.local_port;
    envelope_set(&envelope->role, text_of(config_role_name(session->client.role)));
    envelope_set(&envelope->protocol,
                 text_of(received_protocol(session->client.role == ROLE_LMTP, session->extended, session->tls,
                                           session->account[0] != '\0', session->transaction.utf8)));
    envelope_set(&envelope->ehlo, text_of(session->ehlo));
    envelope_set(&envelope->from_url, text_of(session->transaction.from_text));
    envelope_set(&envelope->account, text_of(session->account));
    if (session->tls) {
        (void)snprintf(tls, sizeof tls, "%s %s", session->tls_facts.version, session->tls_facts.cipher);
        envelope_set(&envelope->tls, text_of(tls));
    }
    transaction_name_targets(session);
    set_message_id(envelope, header);
    envelope->auto_generated = header_is_automatic(header); /* no person waits for it */
    envelope->tls_optional = envelope->requiretls == 0 && is_tls_optional(header);
    envelope->utf8 = session->transaction.utf8 && text_has_eight_bit(header);
}
