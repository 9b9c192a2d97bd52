/* SPDX-License-Identifier: MIT
 * Logins as the ledger knows them: where they failed and succeeded, whether an account is locked. Runs in the ledger; a
 * database that cannot answer locks nobody out of his account. */
#include "base/log.h"
#include "ledger/ledger_private.h"
#include "store/logins.h"
#include <time.h>

bool on_login_try(void *context, struct service_peer *peer, struct channel_message *message) {
    struct ledger *ledger = context;
    const struct config *config = ledger->config;
    const struct login_try *from = &message->values->login_try;
    const struct logins_policy policy = {.maximum = config->account_failures_maximum,
                                         .lock_seconds = config->account_lock_seconds,
                                         .history_days = config->history_days};
    const struct logins_try what = {from->account, from->contact, from->right != 0};
    enum logins_verdict verdict = LOGINS_TAKEN;
    char account[256], contact[64];
    (void)text_printable(account, sizeof account, from->account);
    (void)text_printable(contact, sizeof contact, from->contact);
    if (from->account.length == 0 || from->contact.length == 0) {
        return false;
    }
    if (!logins_record(spool_database(ledger->spool), &policy, &what, (int64_t)time(NULL), &verdict)) {
        log_error("logins: %s", database_error(spool_database(ledger->spool)));
        verdict = LOGINS_TAKEN;
    }
    if (verdict == LOGINS_LOCKS) {
        log_warn("account %s is locked for %ld seconds after %ld failed logins, but from where it was used before",
                 account, config->account_lock_seconds, config->account_failures_maximum);
    } else if (verdict == LOGINS_LOCKED) {
        log_info("account %s is locked: a login from %s with %s was refused", account, contact,
                 what.right ? "what is right" : "what is wrong");
    }
    const struct login_verdict answer = {.locked = verdict == LOGINS_LOCKED};
    service_answer(peer, LOGIN_VERDICT, message->serial, &answer, -1);
    return true;
}
