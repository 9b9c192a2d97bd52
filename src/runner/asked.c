/* SPDX-License-Identifier: MIT
 * What senders asked for; see asked.h. Called by the runner's loop with envelopes from the spool; never fails. */
#include "runner/asked.h"
#include <string.h>

const char *asked_addressee(const struct envelope *envelope, uint32_t recipient) {
    const struct envelope_recipient *to = &envelope->recipients[recipient];
    return envelope_has_owner(to) ? to->sender : envelope->from_url;
}

/* Recipients of one RCPT stand together. */
static bool is_same_rcpt(const struct envelope *envelope, uint32_t one, uint32_t other) {
    return one < envelope->recipient_count && other < envelope->recipient_count &&
           strcmp(envelope->recipients[one].to_url, envelope->recipients[other].to_url) == 0;
}

static bool is_one_of_several(const struct envelope *envelope, uint32_t recipient) {
    return is_same_rcpt(envelope, recipient, recipient + 1) ||
           (recipient > 0 && is_same_rcpt(envelope, recipient, recipient - 1));
}

static unsigned given(const struct envelope *envelope, uint32_t recipient) {
    unsigned notify = 0;
    return dsn_notify_parse(text_of(envelope->recipients[recipient].notify), &notify) ? notify : 0;
}

unsigned asked_notify(const struct envelope *envelope, uint32_t recipient) {
    unsigned notify = given(envelope, recipient);
    if (envelope_has_owner(&envelope->recipients[recipient])) {
        return 0;
    }
    if ((notify & DSN_SUCCESS) == 0 || !is_one_of_several(envelope, recipient)) {
        return notify;
    }
    return notify == DSN_SUCCESS ? DSN_NEVER : notify & ~(unsigned)DSN_SUCCESS;
}

bool asked_wants(const struct envelope *envelope, uint32_t recipient, enum dsn_notify kind) {
    unsigned notify = asked_notify(envelope, recipient);
    return (notify != 0 ? notify : DSN_FAILURE | DSN_DELAY) & kind;
}

bool asked_wants_expansion(const struct envelope *envelope, uint32_t recipient) {
    bool first = recipient == 0 || !is_same_rcpt(envelope, recipient, recipient - 1);
    bool expanded =
        envelope_has_owner(&envelope->recipients[recipient]) || is_same_rcpt(envelope, recipient, recipient + 1);
    return first && expanded && (given(envelope, recipient) & DSN_SUCCESS) != 0;
}

const char *asked_orcpt(const struct envelope *envelope, uint32_t recipient, char room[DSN_ORCPT_MAXIMUM + 1]) {
    const struct envelope_recipient *to = &envelope->recipients[recipient];
    if (envelope_has_owner(to)) {
        return "";
    }
    bool changed = strcmp(to->to_url, to->target) != 0 && strchr(to->to_url, '@') != NULL;
    return to->orcpt[0] != '\0' || !changed ? to->orcpt : dsn_orcpt_of(to->to_url, room);
}
