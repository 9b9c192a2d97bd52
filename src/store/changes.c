/* SPDX-License-Identifier: MIT
 * What an operator does to the queue. Called by ledger/control.c; errors are outcomes. */
#include "store/changes.h"
#include "base/memory.h"
#include "store/statements.h"
#include <stdio.h>
#include <stdlib.h>

bool changes_retry(struct database *database, const char *mail_id, int64_t now, int64_t *changed) {
    bool good = mail_id != NULL
                    ? statement_run(database, STATEMENT_PARCELS_RETRY, BINDS(bind_string(mail_id), bind_time(now)))
                    : statement_run(database, STATEMENT_PARCELS_RETRY_ALL, BINDS(bind_time(now)));
    *changed = good ? statement_changes(database) : 0;
    return good;
}

static enum spool_outcome remove_all(struct spool *spool, const char *mail_id, const uint32_t *recipients,
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

enum spool_outcome changes_add(struct spool *spool, const char *mail_id, enum changes_kind kind, size_t *count) {
    uint32_t *recipients;
    enum spool_outcome outcome = SPOOL_FAILED;
    if (spool_waiting(spool, mail_id, &recipients, count)) {
        outcome = *count == 0 ? SPOOL_NOTHING
                  : kind == CHANGES_REMOVE
                      ? remove_all(spool, mail_id, recipients, *count)
                      : spool_add_change(spool, mail_id, kind == CHANGES_HOLD ? SPOOL_HOLD : SPOOL_RELEASE, NULL);
    }
    free(recipients);
    return outcome;
}

bool changes_record(struct database *database, uint32_t uid, const char *verb, const char *argument, int64_t now) {
    char what[512];
    (void)snprintf(what, sizeof what, "%s %s", verb, argument);
    return statement_run(database, STATEMENT_OPERATOR_CHANGE_ADD,
                         BINDS(bind_time(now), bind_integer(uid), bind_string(what)));
}
