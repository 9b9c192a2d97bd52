/* SPDX-License-Identifier: MIT
 * The envelope as a value: making, filling, releasing. Called by receivers, ledger, runner and agents; no I/O; fails
 * only by running out of memory, which ends the process. envelope_text.c has the text form. */
#include "mail/envelope.h"
#include "base/memory.h"
#include "mail/envelope_fields.h"
#include <stdlib.h>
#include <string.h>

static char *empty_string(void) {
    return memory_string(TEXT_NONE);
}

void envelope_init(struct envelope *envelope) {
    *envelope = (struct envelope){.mail_id = ""};
    for (size_t i = 0; i < ENVELOPE_STRINGS; i++) {
        *envelope_string(envelope, i) = empty_string();
    }
}

static void free_recipient(struct envelope_recipient *recipient) {
    free(recipient->to_url);
    free(recipient->target);
    free(recipient->notify);
    free(recipient->orcpt);
    free(recipient->sender);
}

void envelope_remove(struct envelope *envelope, size_t number) {
    size_t behind = --envelope->recipient_count - number;

    free_recipient(&envelope->recipients[number]);
    memmove(&envelope->recipients[number], &envelope->recipients[number + 1], behind * sizeof *envelope->recipients);
}

void envelope_free(struct envelope *envelope) {
    for (size_t i = 0; i < ENVELOPE_STRINGS; i++) {
        free(*envelope_string(envelope, i));
        *envelope_string(envelope, i) = NULL;
    }
    for (size_t i = 0; i < envelope->recipient_count; i++)
        free_recipient(&envelope->recipients[i]);
    free(envelope->recipients);
    envelope->recipients = NULL;
    envelope->recipient_count = 0;
}

void envelope_set(char **string, struct text value) {
    if (value.length == 0 && *string != NULL && (*string)[0] == '\0') {
        return; /* most are, and a list has thousands */
    }
    char *copy = memory_string(value); /* first: value may lie in the old string */
    free(*string);
    *string = copy;
}

struct envelope_recipient *envelope_add(struct envelope *envelope, struct text to_url, struct text target,
                                        enum envelope_delivery delivery) {
    size_t count = envelope->recipient_count;
    if ((count & (count - 1)) == 0) { /* none, or a power of two: full */
        size_t capacity = count == 0 ? 1 : count * 2;
        envelope->recipients = memory_resize(envelope->recipients, capacity, sizeof *envelope->recipients);
    }
    struct envelope_recipient *recipient = &envelope->recipients[envelope->recipient_count++];
    *recipient = (struct envelope_recipient){.status = RECIPIENT_QUEUED,
                                             .delivery = delivery,
                                             .to_url = memory_string(to_url),
                                             .target = memory_string(target),
                                             .notify = empty_string(),
                                             .orcpt = empty_string(),
                                             .sender = empty_string()};
    return recipient;
}

int64_t envelope_begins_at(const struct envelope *envelope) {
    return envelope->hold_until > envelope->received_at ? envelope->hold_until : envelope->received_at;
}

bool envelope_has_owner(const struct envelope_recipient *recipient) {
    struct text sender = text_of(recipient->sender);
    return sender.length > 0 && !text_starts_nocase(sender, TEXT("SRS0")) && !text_starts_nocase(sender, TEXT("SRS1"));
}

bool envelope_is_forwarded(const struct envelope_recipient *recipient) {
    return recipient->delivery == DELIVERY_REMOTE &&
           !text_equal_nocase(text_of(recipient->to_url), text_of(recipient->target));
}

static const char *const delivery_names[] = {
    [DELIVERY_NONE] = "none",
    [DELIVERY_LOCAL] = "local",
    [DELIVERY_REMOTE] = "remote",
};

const char *envelope_delivery_name(enum envelope_delivery delivery) {
    return delivery_names[delivery];
}
