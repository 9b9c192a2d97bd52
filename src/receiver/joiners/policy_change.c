/* SPDX-License-Identifier: MIT
 * What policies do to a message: PREPEND, HOLD, DISCARD, BCC, REDIRECT. Called by policy.c, confined. What one says
 * before MAIL holds for every message of the session; what it says at MAIL or later for the one in hand. */
#include "base/log.h"
#include "base/memory.h"
#include "receiver/change.h"
#include "receiver/joiners/policy.h"
#include "receiver/session.h"
#include <stdlib.h>

#define LASTING_MAXIMUM 32

static bool prepend(struct session *session, struct text field) {
    size_t colon = text_find(field, ':');

    return colon > 0 && colon < field.length &&
           change_insert_header(session, session->policies->prepended++, text_first(field, colon),
                                text_trim(text_from(field, colon + 1))) != CHANGE_REFUSED;
}

static void set_redirect(struct policies *policies, struct text address) {
    free(policies->redirect);
    policies->redirect = memory_string(address);
}

static bool make(struct session *session, enum policy_verdict verdict, struct text text) {
    switch (verdict) {
    case POLICY_PREPEND:
        return prepend(session, text);
    case POLICY_HOLD:
        change_hold(session, text);
        return true;
    case POLICY_DISCARD:
        change_discard(session, text);
        return true;
    case POLICY_BCC:
        return change_add_recipient(session, text, TEXT_NONE) != CHANGE_REFUSED;
    case POLICY_REDIRECT:
        set_redirect(session->policies, text);
        return true;
    default:
        return false;
    }
}

static bool is_change(enum policy_verdict verdict) {
    return verdict == POLICY_PREPEND || verdict == POLICY_HOLD || verdict == POLICY_DISCARD || verdict == POLICY_BCC ||
           verdict == POLICY_REDIRECT;
}

static bool is_kept(const struct policies *policies, const struct policy_action *action) {
    for (size_t i = 0; i < policies->lasting_count; i++)
        if (policies->lasting[i].verdict == action->verdict &&
            text_equal(text_of(policies->lasting[i].text), action->text))
            return true;
    return false;
}

static bool keep(struct policies *policies, enum rule_stage stage, const struct policy_action *action) {
    if (is_kept(policies, action)) /* clients may say a command as often as they like */
        return true;
    if (policies->lasting_count == LASTING_MAXIMUM)
        return false;
    policies->lasting = memory_resize(policies->lasting, policies->lasting_count + 1, sizeof policies->lasting[0]);
    policies->lasting[policies->lasting_count++] =
        (struct policy_change){.stage = stage, .verdict = action->verdict, .text = memory_string(action->text)};
    return true;
}

void policy_change_again(struct session *session, enum rule_stage stage) {
    struct policies *policies = session->policies;
    size_t kept = 0;

    for (size_t i = 0; stage == RULE_EHLO && i < policies->lasting_count; i++) {
        if (policies->lasting[i].stage == stage)
            free(policies->lasting[i].text);
        else
            policies->lasting[kept++] = policies->lasting[i];
    }
    if (stage == RULE_EHLO)
        policies->lasting_count = kept;
}

bool policy_change(struct session *session, enum rule_stage stage, const struct policy_action *action) {
    if (!is_change(action->verdict))
        return false;
    if (session->transaction.open || stage == RULE_MAIL)
        return make(session, action->verdict, action->text);
    return keep(session->policies, stage, action);
}

void policy_change_begin(struct session *session) {
    struct policies *policies = session->policies;

    free(policies->redirect);
    policies->redirect = NULL;
    policies->prepended = 0;
    for (size_t i = 0; i < policies->lasting_count; i++)
        if (!make(session, policies->lasting[i].verdict, text_of(policies->lasting[i].text)))
            log_warn("a policy's change cannot be made: %s", policies->lasting[i].text);
}

static const char *other_recipient(const struct envelope *envelope, const char *kept) {
    for (size_t i = 0; i < envelope->recipient_count; i++)
        if (!text_equal_nocase(text_of(envelope->recipients[i].to_url), text_of(kept)))
            return envelope->recipients[i].to_url;
    return NULL;
}

/* The new one first: without it the message would be nobody's. */
static bool redirect(struct session *session, const char *address) {
    const struct envelope *envelope = &session->transaction.envelope;
    const char *other;

    if (change_add_recipient(session, text_of(address), TEXT_NONE) != CHANGE_DONE)
        return false;
    while ((other = other_recipient(envelope, address)) != NULL) {
        char *copy = memory_string(text_of(other));
        bool removed = change_remove_recipient(session, text_of(copy)) == CHANGE_DONE;
        free(copy);
        if (!removed)
            return false;
    }
    return true;
}

bool policy_change_recipients(struct session *session, enum rule_stage stage) {
    struct policies *policies = session->policies;
    bool known = stage == RULE_DATA || stage == RULE_HEADERS || stage == RULE_MESSAGE;

    if (policies->redirect == NULL || !known || session->facts.recipient != NULL)
        return true;
    bool done = redirect(session, policies->redirect);
    free(policies->redirect);
    policies->redirect = NULL;
    return done;
}

void policy_change_free(struct policies *policies) {
    for (size_t i = 0; i < policies->lasting_count; i++)
        free(policies->lasting[i].text);
    free(policies->lasting);
    free(policies->redirect);
}
