/* SPDX-License-Identifier: MIT
 * Changes to sender, recipients and fate of the transaction in hand, and those that wait until they can be made. Called
 * by those who join in and by the commands, confined; asks lookup. What cannot be changed is logged and left as it is.
 */
#include "receiver/change.h"
#include "base/log.h"
#include "base/memory.h"
#include "ipc/list.h"
#include "receiver/change_private.h"
#include "receiver/commands/command.h"
#include "receiver/facts/facts.h"
#include <stdlib.h>

#define PARAMETERS_SIZE 1024

static enum change_outcome refuse(const char *what, struct text value) {
    char shown[256];

    log_error("a change is not made: %s: %s", what, text_printable(shown, sizeof shown, value));
    return CHANGE_REFUSED;
}

struct changes *change_list(struct session *session) {
    if (session->changes == NULL)
        session->changes = memory_new(1, sizeof *session->changes);
    return session->changes;
}

/* ---- sender and recipients ---- */

static bool take_address(struct text text, struct address *address) {
    struct text inner = text_trim(text);

    if (inner.length >= 2 && inner.data[0] == '<' && inner.data[inner.length - 1] == '>')
        inner = text_first(text_from(inner, 1), inner.length - 2);
    *address = (struct address){.local = ""};
    return inner.length == 0 || address_parse(inner, true, address) == ADDRESS_OK ||
           (text_equal_nocase(inner, TEXT("postmaster")) && text_copy(address->local, sizeof address->local, inner));
}

/* As they stand in a command: with a blank before them. */
static struct text as_parameters(struct text parameters, char line[PARAMETERS_SIZE]) {
    parameters = text_trim(parameters);
    line[0] = ' ';
    return text_copy(line + 1, PARAMETERS_SIZE - 1, parameters) && parameters.length > 0 ? text_of(line) : TEXT_NONE;
}

static enum change_outcome look_up(struct session *session, struct recipient *recipient) {
    struct rule_facts *facts = &session->facts;

    facts->recipient = &recipient->address;
    facts_forget(session, FACT_RECIPIENT_STANDING | FACT_RECIPIENT_DOMAIN);
    facts_gather(session, FACT_RECIPIENT_STANDING);
    facts_forget(session, FACT_RECIPIENT_STANDING);
    facts->recipient = NULL;
    recipient->targets = buffer_text(&facts->recipient_targets);
    if (facts->recipient_standing == STANDING_TEMPFAIL)
        return CHANGE_TEMPFAIL;
    return facts->recipient_standing == STANDING_UNKNOWN ? CHANGE_REFUSED : CHANGE_DONE;
}

static enum change_outcome add_recipient(struct session *session, struct text address, struct text parameters) {
    struct transaction *transaction = &session->transaction;
    struct recipient recipient = {.targets = TEXT_NONE, .orcpt = TEXT_NONE};
    char line[PARAMETERS_SIZE];
    struct reply reply;

    if (!take_address(address, &recipient.address) || address_is_null(&recipient.address))
        return refuse("no address of a recipient", address);
    if (!command_rcpt_parameters(session, as_parameters(parameters, line), &recipient, &reply))
        return refuse(reply.text, parameters);
    (void)address_text(&recipient.address, recipient.text, sizeof recipient.text);
    if (transaction_has(transaction, &recipient))
        return CHANGE_DONE;
    struct changes *changes = change_list(session);
    if (changes->added >= (unsigned long)session->config->recipient_maximum)
        return refuse("more recipients than recipient_maximum", address);
    enum change_outcome outcome = look_up(session, &recipient);
    if (outcome == CHANGE_REFUSED)
        return refuse("nobody here has this address", address);
    if (outcome == CHANGE_TEMPFAIL)
        return outcome;
    if (!transaction_accept(transaction, &recipient, (size_t)session->config->expansion_maximum))
        return refuse("the recipient leads to too many addresses", address);
    changes->added++;
    log_info("recipient added: <%s>", recipient.text);
    return CHANGE_DONE;
}

static enum change_outcome remove_recipient(struct session *session, struct text text) {
    struct address address;
    char shown[2 * ADDRESS_SIZE];

    if (!take_address(text, &address) || !transaction_remove(&session->transaction, &address))
        return refuse("no recipient of this message", text);
    log_info("recipient removed: <%s>", address_text(&address, shown, sizeof shown));
    return CHANGE_DONE;
}

/* What is sent on to others in the sender's name goes on in the new one's. */
static enum change_outcome rename_sender(struct session *session, struct envelope *list) {
    struct recipient recipient = {.targets = TEXT_NONE};
    struct address_target target;
    bool bad = false;

    for (size_t i = 0; i < list->recipient_count; i++) {
        struct envelope_recipient *sent_on = &list->recipients[i];
        if (sent_on->sender[0] == '\0')
            continue;
        if (!take_address(text_of(sent_on->to_url), &recipient.address) ||
            look_up(session, &recipient) == CHANGE_TEMPFAIL)
            return CHANGE_TEMPFAIL;
        while (list_next_target(&recipient.targets, &target, &bad))
            if (text_equal(target.target, text_of(sent_on->target)))
                envelope_set(&sent_on->sender, target.sender);
    }
    return CHANGE_DONE;
}

static enum change_outcome set_sender(struct session *session, struct text text, struct text parameters) {
    struct transaction *transaction = &session->transaction;
    struct address address;
    struct text envid = text_of(transaction->envelope.envid);
    const char *ret = transaction->envelope.ret;
    char line[PARAMETERS_SIZE];
    struct reply reply;

    if (!take_address(text, &address))
        return refuse("no address of a sender", text);
    if (!command_mail_parameters(session, as_parameters(parameters, line), &ret, &envid, &reply))
        return refuse(reply.text, parameters);
    envelope_set(&transaction->envelope.ret, text_of(ret));
    envelope_set(&transaction->envelope.envid, envid);
    transaction->from = address;
    (void)address_text(&address, transaction->from_text, sizeof transaction->from_text);
    session->facts.sender = &transaction->from;
    facts_forget(session, FACT_SENDER_STANDING | FACT_SENDER_LOGIN | FACT_SENDER_DOMAIN);
    facts_gather(session, FACT_SENDER_STANDING); /* also where his notices go */
    session->facts.sender = NULL;
    log_info("sender changed: <%s>", transaction->from_text);
    if (session->facts.sender_standing == STANDING_TEMPFAIL ||
        rename_sender(session, &transaction->envelope) != CHANGE_DONE)
        return CHANGE_TEMPFAIL;
    return rename_sender(session, &transaction->merged);
}

/* ---- what can be made, and what waits ---- */

static enum change_outcome make(struct session *session, const struct change *change) {
    enum change_outcome outcome = CHANGE_DONE;

    switch (change->kind) {
    case CHANGE_SENDER:
        outcome = set_sender(session, change->first, change->second);
        break;
    case CHANGE_ADD_RECIPIENT:
        outcome = add_recipient(session, change->first, change->second);
        break;
    case CHANGE_REMOVE_RECIPIENT:
        outcome = remove_recipient(session, change->first);
        break;
    case CHANGE_HEADER:
        outcome = change_header_make(session, change);
        break;
    }
    if (outcome == CHANGE_TEMPFAIL)
        change_list(session)->put_off = true;
    return outcome;
}

static bool can_be_made(const struct session *session, const struct change *change) {
    if (change->kind == CHANGE_HEADER)
        return session->transaction.changeable;
    return session->transaction.open && session->facts.sender == NULL && session->facts.recipient == NULL;
}

static enum change_outcome let_wait(struct session *session, const struct change *change) {
    struct changes *changes = change_list(session);
    size_t bytes = change->first.length + change->second.length;

    if (!session->transaction.open && session->facts.sender == NULL)
        return refuse("there is no transaction", change->first);
    if (changes->count == CHANGES_MAXIMUM || changes->bytes + bytes > CHANGES_BYTES_MAXIMUM)
        return refuse("too many changes", change->first);
    struct change *kept = &changes->items[changes->count++];
    *kept = *change;
    kept->first.data = memory_string(change->first);
    kept->second.data = memory_string(change->second);
    changes->bytes += bytes;
    return CHANGE_DONE;
}

enum change_outcome change_make(struct session *session, const struct change *change) {
    return can_be_made(session, change) ? make(session, change) : let_wait(session, change);
}

static void free_change(struct change *change) {
    free((char *)(uintptr_t)change->first.data);
    free((char *)(uintptr_t)change->second.data);
}

void change_settle(struct session *session) {
    struct changes *changes = session->changes;
    size_t kept = 0;

    for (size_t i = 0; changes != NULL && i < changes->count; i++) {
        if (!can_be_made(session, &changes->items[i])) {
            changes->items[kept++] = changes->items[i];
            continue;
        }
        (void)make(session, &changes->items[i]);
        free_change(&changes->items[i]);
    }
    if (changes != NULL)
        changes->count = kept;
}

void change_forget(struct session *session) {
    for (size_t i = 0; session->changes != NULL && i < session->changes->count; i++)
        free_change(&session->changes->items[i]);
    free(session->changes);
    session->changes = NULL;
}

enum change_outcome change_sender(struct session *session, struct text address, struct text parameters) {
    return change_make(session, &(struct change){CHANGE_SENDER, 0, 0, address, parameters});
}

enum change_outcome change_add_recipient(struct session *session, struct text address, struct text parameters) {
    return change_make(session, &(struct change){CHANGE_ADD_RECIPIENT, 0, 0, address, parameters});
}

enum change_outcome change_remove_recipient(struct session *session, struct text address) {
    return change_make(session, &(struct change){CHANGE_REMOVE_RECIPIENT, 0, 0, address, TEXT_NONE});
}

/* ---- what becomes of it ---- */

static void keep_reason(char kept[CHANGE_REASON_SIZE], struct text reason, const char *what) {
    char shown[CHANGE_REASON_SIZE];

    (void)text_printable(shown, sizeof shown, reason.length > 0 ? reason : text_of(what));
    log_info("the message is to be %s: %s", what, shown);
    if (kept[0] == '\0')
        (void)text_copy(kept, CHANGE_REASON_SIZE, text_of(shown));
}

void change_hold(struct session *session, struct text reason) {
    keep_reason(change_list(session)->hold, reason, "held");
}

void change_discard(struct session *session, struct text reason) {
    keep_reason(change_list(session)->discard, reason, "discarded");
}

const char *change_hold_reason(const struct session *session) {
    return session->changes != NULL ? session->changes->hold : "";
}

const char *change_discard_reason(const struct session *session) {
    return session->changes != NULL ? session->changes->discard : "";
}

bool change_is_put_off(const struct session *session) {
    return session->changes != NULL && session->changes->put_off;
}
