/* SPDX-License-Identifier: MIT
 * What LMTP (RFC 2033 4.2) has that SMTP has not: when the data has ended, each accepted RCPT gets a reply of its own.
 * Called by RCPT and at the end of data, confined. The recipients that are accepted are committed together, so that
 * only the rules can treat them differently. */
#include "base/memory.h"
#include "receiver/session.h"
#include <stdint.h>
#include <stdlib.h>

void transaction_owe_reply(struct transaction *transaction, const struct recipient *recipient) {
    size_t count = transaction->owed_count;

    if ((count & (count - 1)) == 0) { /* none, or a power of two: full */
        size_t capacity = count == 0 ? 1 : count * 2;
        transaction->owed = memory_resize(transaction->owed, capacity, sizeof *transaction->owed);
    }
    transaction->owed[transaction->owed_count++] = (struct owed_reply){
        .address = recipient->address,
        .recipient = memory_string(text_of(recipient->text)),
    };
    transaction->accepted = (unsigned)transaction->owed_count; /* one named again counts too: it costs a reply */
}

void transaction_free_owed(struct transaction *transaction) {
    for (size_t i = 0; i < transaction->owed_count; i++) {
        free(transaction->owed[i].recipient);
        free(transaction->owed[i].rule);
        free(transaction->owed[i].refusal);
    }
    free(transaction->owed);
    transaction->owed = NULL;
    transaction->owed_count = 0;
}

/* Whether this recipient gets the message. */
static void judge(struct session *session, struct owed_reply *owed) {
    struct recipient recipient = {.address = owed->address};
    struct reply reply;

    (void)text_copy(recipient.text, sizeof recipient.text, text_of(owed->recipient));
    session->facts.recipient = &recipient.address;
    const struct rule *rule = rule_evaluate(session, RULE_MESSAGE, &reply);
    session->facts.recipient = NULL;
    if (rule == NULL)
        return;
    owed->rule = memory_string(text_of(rule->name));
    owed->refusal = memory_new(1, sizeof *owed->refusal);
    *owed->refusal = reply;
    transaction_refuse(session, &recipient, &reply);
}

/* One that was named twice stays as long as it is accepted once. */
static bool is_accepted(const struct transaction *transaction, const struct address *address) {
    for (size_t i = 0; i < transaction->owed_count; i++)
        if (transaction->owed[i].refusal == NULL && address_equal(&transaction->owed[i].address, address))
            return true;
    return false;
}

void transaction_judge_each(struct session *session) {
    struct transaction *transaction = &session->transaction;

    for (size_t i = 0; i < transaction->owed_count; i++)
        judge(session, &transaction->owed[i]);
    for (size_t i = 0; i < transaction->owed_count; i++)
        if (transaction->owed[i].refusal != NULL && !is_accepted(transaction, &transaction->owed[i].address))
            (void)transaction_remove(transaction, &transaction->owed[i].address);
}

void transaction_answer(struct session *session, const struct reply *reply, const char *rule,
                        enum violation_mercy mercy) {
    const struct transaction *transaction = &session->transaction;
    struct reply own;

    if (session->client.role != ROLE_LMTP) {
        session_send(session, reply, rule, mercy);
        return;
    }
    for (size_t i = 0; i < transaction->owed_count && session->state != SESSION_CLOSING; i++) {
        const struct owed_reply *owed = &transaction->owed[i];
        const struct reply *answer = owed->refusal != NULL ? owed->refusal : reply;
        reply_set(&own, answer->code, answer->enhanced, "<%s> %s", owed->recipient, answer->text);
        session_send(session, &own, owed->refusal != NULL ? owed->rule : rule, mercy);
    }
}
