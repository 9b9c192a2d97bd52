/* SPDX-License-Identifier: MIT
 * The facts of a mail transaction: envelope, sizes, header. Called by sql_fact.c, confined, on what strangers wrote: of
 * a header field a bounded part is looked at. */
#include "mail/header.h"
#include "receiver/facts/sender_policy.h"
#include "receiver/rules/sql_fact.h"
#include "receiver/session.h"

#define FIELD_SIZE 2048

STRING_FACT(mail_id, session->mail_id)
NUMBER_FACT(rcpt_count, session->transaction.accepted)
NUMBER_FACT(rcpt_tried, session->transaction.tried)
NUMBER_FACT(utf8, session->transaction.utf8)
STRING_FACT(body, session->transaction.envelope.body == BODY_8BITMIME ? "8BITMIME" : "7BIT")
STRING_FACT(spf, sender_policy_name(session))
STRING_FACT(dmarc, dmarc_result_names[session->transaction.dmarc])
STRING_FACT(dmarc_policy, dmarc_policy_names[session->transaction.dmarc_policy])
STRING_FACT(dkim, session->transaction.envelope.verdicts)

/* ---- envelope ---- */

static struct text address(const struct address *address, struct buffer *scratch) {
    char text[2 * ADDRESS_SIZE];

    (void)buffer_append_string(scratch, address_text(address, text, sizeof text));
    return buffer_text(scratch);
}

static struct text domain(const struct address *address, struct buffer *scratch) {
    char lower[sizeof address->domain];

    (void)text_copy(lower, sizeof lower, text_of(address->domain));
    text_lower(lower);
    (void)buffer_append_string(scratch, lower);
    return buffer_text(scratch);
}

static struct text from(const struct session *session, struct buffer *scratch) {
    return address(session_sender(session), scratch);
}

static struct text from_domain(const struct session *session, struct buffer *scratch) {
    return domain(session_sender(session), scratch);
}

static struct text rcpt(const struct session *session, struct buffer *scratch) {
    return session->facts.recipient != NULL ? address(session->facts.recipient, scratch) : TEXT_NONE;
}

static struct text rcpt_domain(const struct session *session, struct buffer *scratch) {
    return session->facts.recipient != NULL ? domain(session->facts.recipient, scratch) : TEXT_NONE;
}

/* What came, once it has come; before that what the client declared. */
static struct text size(const struct session *session, struct buffer *scratch) {
    const struct transaction *transaction = &session->transaction;

    if (session->facts.sender != NULL)
        return sql_fact_number(scratch, session->facts.declared_size);
    return sql_fact_number(scratch, transaction->complete ? transaction->message.received : transaction->declared_size);
}

/* ---- header ---- */

static struct text section_of(const struct session *session) {
    return message_header(&session->transaction.message);
}

static struct text field(const struct session *session, const char *name, struct buffer *scratch) {
    char value[FIELD_SIZE];
    struct header_field found;

    if (!header_find(section_of(session), name, &found))
        return TEXT_NONE;
    (void)header_value(&found, value, sizeof value);
    (void)buffer_append_text(scratch, text_trim(text_of(value)));
    return buffer_text(scratch);
}

#define FIELD_FACT(name, what)                                                                                         \
    static struct text name(const struct session *session, struct buffer *scratch) {                                   \
        return field(session, what, scratch);                                                                          \
    }
FIELD_FACT(subject, "Subject")
FIELD_FACT(message_id, "Message-ID")
FIELD_FACT(header_from, "From")
FIELD_FACT(header_to, "To")
FIELD_FACT(reply_to, "Reply-To")
FIELD_FACT(list_id, "List-Id")
FIELD_FACT(content_type, "Content-Type")
FIELD_FACT(auto_submitted, "Auto-Submitted")
NUMBER_FACT(header_size, section_of(session).length)
NUMBER_FACT(received_count, header_count(section_of(session), "Received"))

static struct text field_count(const struct session *session, struct buffer *scratch) {
    struct text section = section_of(session);
    struct header_field next;
    unsigned count = 0;

    while (header_next(&section, &next))
        count++;
    return sql_fact_number(scratch, count);
}

/* One field a line, unfolded, as far as they fit. */
static struct text header(const struct session *session, struct buffer *scratch) {
    struct text section = section_of(session);
    struct header_field next;
    char value[FIELD_SIZE];
    bool fits = true;

    while (fits && header_next(&section, &next)) {
        (void)header_value(&next, value, sizeof value);
        fits = scratch->length + next.name.length + sizeof value < SQL_FACT_VALUE_MAXIMUM &&
               buffer_format(scratch, "%.*s: %s\n", TEXT_ARGS(next.name), value);
    }
    return buffer_text(scratch);
}

fact_function *const sql_mail_facts[SQL_FACTS] = {
    [SQL_FACT_MAIL_ID] = mail_id,
    [SQL_FACT_FROM] = from,
    [SQL_FACT_FROM_DOMAIN] = from_domain,
    [SQL_FACT_SIZE] = size,
    [SQL_FACT_UTF8] = utf8,
    [SQL_FACT_BODY] = body,
    [SQL_FACT_RCPT] = rcpt,
    [SQL_FACT_RCPT_DOMAIN] = rcpt_domain,
    [SQL_FACT_RCPT_COUNT] = rcpt_count,
    [SQL_FACT_RCPT_TRIED] = rcpt_tried,
    [SQL_FACT_SUBJECT] = subject,
    [SQL_FACT_MESSAGE_ID] = message_id,
    [SQL_FACT_HEADER_FROM] = header_from,
    [SQL_FACT_HEADER_TO] = header_to,
    [SQL_FACT_REPLY_TO] = reply_to,
    [SQL_FACT_LIST_ID] = list_id,
    [SQL_FACT_CONTENT_TYPE] = content_type,
    [SQL_FACT_AUTO_SUBMITTED] = auto_submitted,
    [SQL_FACT_HEADER] = header,
    [SQL_FACT_HEADER_COUNT] = field_count,
    [SQL_FACT_HEADER_SIZE] = header_size,
    [SQL_FACT_RECEIVED_COUNT] = received_count,
    [SQL_FACT_SPF] = spf,
    [SQL_FACT_DKIM] = dkim,
    [SQL_FACT_DMARC] = dmarc,
    [SQL_FACT_DMARC_POLICY] = dmarc_policy,
};
