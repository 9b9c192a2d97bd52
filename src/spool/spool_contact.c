/* SPDX-License-Identifier: MIT
 * A contact connects while rows of its messages may still be to be written. Called by the ledger; a database error
 * gives false, as in contacts.h. */
#include "spool/spool_private.h"

/* By the messages that no row says it of yet. */
static void learn_accepted(const struct spool *spool, struct contacts_state *state) {
    for (const struct piece *piece = spool->first; piece != NULL && piece->flushed; piece = piece->next) {
        if (piece->kind == PIECE_MAIL && piece->envelope.contact_id == state->id && piece->at > state->accepted_at) {
            state->accepted_at = piece->at;
        }
    }
}

bool spool_contact_open(struct spool *spool, const struct contacts_policy *policy, struct text contact, bool allowed,
                        int64_t now, struct contacts_state *state) {
    if (spool->options.rows_maximum > 0 && !spool->rows_wait &&
        contacts_open_noted(spool->database, &spool->notes, contact, now, state)) {
        learn_accepted(spool, state);
        return true;
    }
    spool_settle(spool); /* an accepted message clears the count */
    return contacts_open(spool->database, policy, contact, allowed, now, state);
}
