/* SPDX-License-Identifier: MIT
 * Where notices about a message go: found out with lookup when it comes in, as for its mail, since the runner, which
 * makes them, sees neither users nor files of addresses. Called when the envelope is completed, confined. Where lookup
 * has no answer, or it is no address of ours, the envelope says nothing, and the runner follows aliases alone. */
#include "base/log.h"
#include "ipc/ask.h"
#include "receiver/facts/facts.h"
#include "receiver/session.h"
#include <string.h>

#define SENDER_TARGETS_MAXIMUM 4096u
#define OWNER_TARGETS_MAXIMUM (16u * 1024)
#define OWNERS_MAXIMUM 8 /* one result makes no more notices */

static bool has_blank(struct text text) {
    return text_find(text, ' ') < text.length;
}

/* "local:coco@example.test remote:coco@example.net": the first of them, where they are many. */
static void name_targets(struct buffer *names, struct text list) {
    struct address_target target;
    bool bad = false, fits = true;

    while (fits && list_next_target(&list, &target, &bad))
        if (!has_blank(target.target))
            fits = buffer_format(names, "%s%s:%.*s", names->length > 0 ? " " : "",
                                 target.delivery == DELIVERY_REMOTE ? "remote" : "local", TEXT_ARGS(target.target));
}

/* Rules of some roles (LMTP's) ask nothing of him. */
static void name_sender(struct session *session) {
    struct transaction *transaction = &session->transaction;
    struct buffer names;

    session->facts.sender = &transaction->from;
    facts_gather(session, FACT_SENDER_STANDING);
    session->facts.sender = NULL;
    buffer_init(&names, SENDER_TARGETS_MAXIMUM);
    name_targets(&names, buffer_text(&session->facts.sender_targets));
    envelope_set(&transaction->envelope.sender_targets, buffer_text(&names));
    buffer_free(&names);
}

/* name: as lookup is asked about him. Of an owner of ours that nobody is, the postmaster hears. */
static void name_owner(const struct session *session, const char *owner, const char *name, struct buffer *names) {
    struct buffer list, own;
    struct address_known known = {.targets = &list};
    int lookup = session->start->lookup;

    if (has_blank(text_of(owner)))
        return;
    buffer_init(&list, FACTS_TARGETS_MAXIMUM);
    buffer_init(&own, SENDER_TARGETS_MAXIMUM);
    if (ask_address(lookup, name, "", &known) == STANDING_UNKNOWN)
        (void)ask_address(lookup, "postmaster", "", &known);
    name_targets(&own, buffer_text(&list));
    if (own.length > 0)
        (void)buffer_format(names, "%sowner:%s %s", names->length > 0 ? " " : "", owner, buffer_string(&own));
    buffer_free(&own);
    buffer_free(&list);
}

static bool is_among(const char *const owners[], size_t count, const char *owner) {
    for (size_t i = count; i-- > 0;) /* a list's members stand together */
        if (strcmp(owners[i], owner) == 0)
            return true;
    return false;
}

static void name_owners(struct session *session) {
    struct envelope *envelope = &session->transaction.envelope;
    const char *owners[OWNERS_MAXIMUM];
    struct buffer names;
    size_t count = 0;

    buffer_init(&names, OWNER_TARGETS_MAXIMUM);
    for (size_t i = 0; i < envelope->recipient_count && count < OWNERS_MAXIMUM; i++) {
        const struct envelope_recipient *recipient = &envelope->recipients[i];
        if (!envelope_has_owner(recipient) || is_among(owners, count, recipient->sender))
            continue;
        owners[count++] = recipient->sender;
        name_owner(session, recipient->sender, recipient->sender, &names);
    }
    if (session->config->notice_postmaster)
        name_owner(session, session->config->postmaster, "postmaster", &names);
    envelope_set(&envelope->owner_targets, buffer_text(&names));
    buffer_free(&names);
}

void transaction_name_targets(struct session *session) {
    name_sender(session);
    name_owners(session);
}
