/* SPDX-License-Identifier: MIT
 * What a recipient becomes in the envelope: one entry for each place its mail goes to, each place once. Called by RCPT
 * and at the end of data, confined. Nothing here asks anybody; a list that cannot be read adds nobody. */
#include "base/log.h"
#include "ipc/list.h"
#include "mail/dsn.h"
#include "mail/header.h"
#include "receiver/session.h"
#include <string.h>

static bool is_for(const struct envelope_recipient *recipient, const struct address *address) {
    struct address other;

    return address_parse(text_of(recipient->to_url), true, &other) == ADDRESS_OK && address_equal(&other, address);
}

bool transaction_has(const struct transaction *transaction, const struct recipient *recipient) {
    const struct envelope *const lists[] = {&transaction->envelope, &transaction->merged};

    for (size_t list = 0; list < 2; list++)
        for (size_t i = 0; i < lists[list]->recipient_count; i++)
            if (is_for(&lists[list]->recipients[i], &recipient->address))
                return true;
    return false;
}

/* Its number, or `count`: not there. */
static size_t find_target(const struct envelope *envelope, size_t count, struct text name, struct text sender) {
    for (size_t i = 0; i < count; i++)
        if (text_equal(name, text_of(envelope->recipients[i].target)) &&
            text_equal(sender, text_of(envelope->recipients[i].sender)))
            return i;
    return count;
}

static void add(struct envelope *envelope, const struct recipient *recipient, const struct address_target *target) {
    char orcpt[DSN_ORCPT_MAXIMUM + 1];
    struct envelope_recipient *added =
        envelope_add(envelope, text_of(recipient->text), target->target, (enum envelope_delivery)target->delivery);

    envelope_set(&added->sender, target->sender);
    envelope_set(&added->notify, text_of(dsn_notify_text(recipient->notify)));
    envelope_set(&added->orcpt, text_of(dsn_orcpt_ascii(recipient->orcpt, orcpt)));
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
        add(envelope, recipient, &target);           /* it goes where it says */
    while (list_next_target(&list, &target, &bad)) { /* lookup names each of its own once */
        bool known = find_target(envelope, before, target.target, target.sender) < before;
        add(known ? &transaction->merged : envelope, recipient, &target);
    }
    if (bad)
        log_error("lookup said of <%s> what cannot be read", recipient->text);
    return true;
}

bool transaction_remove(struct transaction *transaction, const struct address *address) {
    struct envelope *envelope = &transaction->envelope, *merged = &transaction->merged;
    size_t before = envelope->recipient_count + merged->recipient_count;

    for (size_t i = merged->recipient_count; i-- > 0;)
        if (is_for(&merged->recipients[i], address))
            envelope_remove(merged, i);
    for (size_t i = envelope->recipient_count; i-- > 0;) {
        const struct envelope_recipient *removed = &envelope->recipients[i];
        if (!is_for(removed, address))
            continue;
        size_t heir = find_target(merged, merged->recipient_count, text_of(removed->target), text_of(removed->sender));
        if (heir < merged->recipient_count) {
            struct envelope_recipient swapped = envelope->recipients[i];
            envelope->recipients[i] = merged->recipients[heir];
            merged->recipients[heir] = swapped;
            envelope_remove(merged, heir);
        } else {
            envelope_remove(envelope, i);
        }
    }
    return envelope->recipient_count + merged->recipient_count < before;
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
