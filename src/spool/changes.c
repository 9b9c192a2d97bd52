/* SPDX-License-Identifier: MIT
 * What an operator does to the queue. Called by orders/; errors are outcomes. */
#include "spool/changes.h"
#include "base/memory.h"
#include <stdlib.h>

static const enum parcel_change kinds[] = {[CHANGES_HOLD] = PARCEL_HOLD,
                                           [CHANGES_RELEASE] = PARCEL_RELEASE,
                                           [CHANGES_RETRY] = PARCEL_RETRY,
                                           [CHANGES_BOUNCE] = PARCEL_BOUNCE};

static enum spool_outcome remove_them(struct spool *spool, const char *mail_id, const uint32_t *recipients,
                                      size_t count) {
    struct spool_ending *endings = memory_new(count + 1, sizeof *endings);
    for (size_t i = 0; i < count; i++) {
        endings[i] = (struct spool_ending){
            .recipient = recipients[i], .result = SPOOL_ENDED_REMOVED, .reply = TEXT("removed by the operator")};
    }
    const struct spool_attempt attempt = {.mail_id = mail_id,
                                          .endings = endings,
                                          .count = count,
                                          .route = TEXT_NONE,
                                          .host = TEXT_NONE,
                                          .address = TEXT_NONE,
                                          .tls = TEXT_NONE};
    enum spool_outcome outcome = spool_add_attempt(spool, &attempt, NULL);
    free(endings);
    return outcome;
}

static bool is_wanted(const uint32_t *recipients, size_t count, uint32_t recipient) {
    for (size_t i = 0; i < count; i++) {
        if (recipients[i] == recipient) {
            return true;
        }
    }
    return count == 0;
}

static bool applies(enum changes_kind kind, const struct spool_recipient *waiting) {
    switch (kind) {
    case CHANGES_HOLD:
    case CHANGES_RETRY:
        return !waiting->held;
    case CHANGES_RELEASE:
        return waiting->held;
    case CHANGES_BOUNCE:
    case CHANGES_REMOVE:
        break;
    }
    return true;
}

static enum spool_outcome add(struct spool *spool, enum changes_kind kind, const char *mail_id,
                              const uint32_t *recipients, size_t count, struct text words) {
    const struct spool_change change = {mail_id, kinds[kind], recipients, count, words};
    return spool_add_change(spool, &change, NULL);
}

enum spool_outcome changes_add(struct spool *spool, enum changes_kind kind, const char *mail_id,
                               const uint32_t *recipients, size_t count, struct text words, size_t *affected) {
    struct spool_recipient *waiting;
    size_t all;
    *affected = 0;
    if (!spool_waiting(spool, mail_id, &waiting, &all)) {
        free(waiting);
        return SPOOL_FAILED;
    }
    uint32_t *chosen = memory_new(all + 1, sizeof *chosen);
    for (size_t i = 0; i < all; i++) {
        if (applies(kind, &waiting[i]) && is_wanted(recipients, count, waiting[i].recipient)) {
            chosen[(*affected)++] = waiting[i].recipient;
        }
    }
    enum spool_outcome outcome = *affected == 0           ? SPOOL_NOTHING
                                 : kind == CHANGES_REMOVE ? remove_them(spool, mail_id, chosen, *affected)
                                                          : add(spool, kind, mail_id, chosen, *affected, words);
    free(chosen);
    free(waiting);
    return outcome;
}
