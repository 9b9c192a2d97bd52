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
        .targets = memory_string(recipient->targets),
        .targets_length = recipient->targets.length,
        .orcpt = memory_string(recipient->orcpt),
        .notify = recipient->notify,
    };
    transaction->accepted = (unsigned)transaction->owed_count; /* one named again counts too: it costs a reply */
}

void transaction_free_owed(struct transaction *transaction) {
    for (size_t i = 0; i < transaction->owed_count; i++) {
        free(transaction->owed[i].recipient);
        free(transaction->owed[i].targets);
        free(transaction->owed[i].orcpt);
        free(transaction->owed[i].rule);
        free(transaction->owed[i].refusal);
    }
    free(transaction->owed);
    transaction->owed = NULL;
    transaction->owed_count = 0;
}

/* The recipient as it was when its RCPT was accepted; what it borrows lies in owed. */
static struct recipient recipient_of(const struct owed_reply *owed) {
    struct recipient recipient = {.address = owed->address,
                                  .targets = {owed->targets, owed->targets_length},
                                  .notify = owed->notify,
                                  .orcpt = text_of(owed->orcpt)};

    (void)text_copy(recipient.text, sizeof recipient.text, text_of(owed->recipient));
    return recipient;
}

/* True when this recipient does not get the message. */
static bool judge(struct session *session, struct owed_reply *owed) {
    struct recipient recipient = recipient_of(owed);
    struct reply reply;

    session->facts.recipient = &recipient.address;
    const struct rule *rule = rule_evaluate(session, RULE_MESSAGE, &reply);
    session->facts.recipient = NULL;
    if (rule == NULL)
        return false;
    owed->rule = memory_string(text_of(rule->name));
    owed->refusal = memory_new(1, sizeof *owed->refusal);
    *owed->refusal = reply;
    transaction_refuse(session, &recipient, &reply);
    return true;
}

/* Where two recipients lead to the same place there is one entry: it stays as long as one of them is accepted. */
static void fill_envelope_again(struct transaction *transaction) {
    envelope_clear_recipients(&transaction->envelope);
    for (size_t i = 0; i < transaction->owed_count; i++) {
        struct recipient recipient = recipient_of(&transaction->owed[i]);
        if (transaction->owed[i].refusal == NULL && !transaction_has(transaction, &recipient))
            (void)transaction_accept(transaction, &recipient, SIZE_MAX);
    }
}

void transaction_judge_each(struct session *session) {
    struct transaction *transaction = &session->transaction;
    bool any = false;

    for (size_t i = 0; i < transaction->owed_count; i++)
        any |= judge(session, &transaction->owed[i]);
    if (any)
        fill_envelope_again(transaction);
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
