/* SPDX-License-Identifier: MIT
 * What a recipient becomes in the envelope: one entry for each place its mail goes to, each place once. Called by RCPT
 * and at the end of data, confined. Nothing here asks anybody; a list that cannot be read adds nobody. */
#include "base/log.h"
#include "ipc/list.h"
#include "mail/dsn.h"
#include "mail/header.h"
#include "receiver/session.h"
#include <string.h>

#define SENDER_TARGETS_MAXIMUM 4096u

bool transaction_has(const struct transaction *transaction, const struct recipient *recipient) {
    for (size_t i = 0; i < transaction->envelope.recipient_count; i++) {
        struct address other;
        struct text to_url = text_of(transaction->envelope.recipients[i].to_url);
        if (address_parse(to_url, true, &other) == ADDRESS_OK && address_equal(&other, &recipient->address))
            return true;
    }
    return false;
}

static bool has_target(const struct envelope *envelope, size_t count, const struct address_target *target) {
    for (size_t i = 0; i < count; i++) {
        const struct envelope_recipient *known = &envelope->recipients[i];
        if (text_equal(target->target, text_of(known->target)) && text_equal(target->sender, text_of(known->sender)))
            return true;
    }
    return false;
}

static void add(struct envelope *envelope, const struct recipient *recipient, const struct address_target *target) {
    struct envelope_recipient *added =
        envelope_add(envelope, text_of(recipient->text), target->target, (enum envelope_delivery)target->delivery);

    envelope_set(&added->sender, target->sender);
    envelope_set(&added->notify, text_of(dsn_notify_text(recipient->notify)));
    envelope_set(&added->orcpt, recipient->orcpt);
}

static size_t count_targets(struct text list) {
    struct address_target target;
    bool bad = false;
    size_t count = 0;

    while (list_next_target(&list, &target, &bad))
        count++;
    return count;
}

bool transaction_accept(struct transaction *transaction, const struct recipient *recipient, size_t maximum) {
    struct envelope *envelope = &transaction->envelope;
    struct text list = recipient->targets;
    struct address_target target = {
        .delivery = DELIVERY_REMOTE, .target = text_of(recipient->text), .sender = TEXT_NONE};
    size_t before = envelope->recipient_count, targets = count_targets(list);
    bool bad = false;

    if (targets > 1 && before > 0 && before + targets > maximum)
        return false;
    transaction->accepted++;
    if (list.length == 0)
        add(envelope, recipient, &target); /* it goes where it says */
    while (list_next_target(&list, &target, &bad))
        if (!has_target(envelope, before, &target)) /* lookup names each of its own once */
            add(envelope, recipient, &target);
    if (bad)
        log_error("lookup said of <%s> what cannot be read", recipient->text);
    return true;
}

/* RFC 9228: who forwards says so, and knows by it what comes round again. */
bool transaction_goes_in_circles(const struct transaction *transaction) {
    struct text section = message_header(&transaction->message);
    struct header_field field;
    char value[2 * ADDRESS_SIZE];

    while (header_next(&section, &field)) {
        if (!text_equal_nocase(field.name, TEXT("Delivered-To")) || !header_value(&field, value, sizeof value))
            continue;
        for (size_t i = 0; i < transaction->envelope.recipient_count; i++) {
            const struct envelope_recipient *recipient = &transaction->envelope.recipients[i];
            if (envelope_is_forwarded(recipient) && text_equal_nocase(text_of(value), text_of(recipient->to_url))) {
                log_warn("<%s> is forwarded in a circle: the message has been there before", value);
                return true;
            }
        }
    }
    return false;
}

/* "local:coco@example.test remote:coco@example.net": the first of them, where they are many. */
void transaction_name_sender_targets(struct session *session) {
    struct text list = buffer_text(&session->facts.sender_targets);
    struct address_target target;
    struct buffer names;
    bool bad = false, fits = true;

    buffer_init(&names, SENDER_TARGETS_MAXIMUM);
    while (fits && list_next_target(&list, &target, &bad))
        if (text_find(target.target, ' ') == target.target.length)
            fits = buffer_format(&names, "%s%s:%.*s", names.length > 0 ? " " : "",
                                 target.delivery == DELIVERY_REMOTE ? "remote" : "local", TEXT_ARGS(target.target));
    envelope_set(&session->transaction.envelope.sender_targets, buffer_text(&names));
    buffer_free(&names);
}
