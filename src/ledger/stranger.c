/* SPDX-License-Identifier: MIT
 * Defences that need to know what other sessions did: rates of contacts, networks and accounts, which are counted in
 * memory and begin anew with the ledger, and greylisting. Runs in the ledger; what the database cannot answer is let
 * through, for a broken database must not keep mail out. */
#include "base/clock.h"
#include "base/log.h"
#include "ledger/ledger_private.h"
#include "store/greylist.h"
#include <time.h>

#define KEYS_MAXIMUM 100000
#define MINUTE_MS 60000
#define HOUR_MS 3600000
#define DAY_MS 86400000

/* Every event has two kinds in the table: of the contact, and of its network. */
enum contact_over rate_count(struct ledger *ledger, enum contact_event event, struct text contact,
                             struct text network) {
    const struct config *config = ledger->config;
    const struct {
        int64_t period_ms;
        long contact, network;
    } limits[CONTACT_EVENTS] = {
        [CONTACT_CONNECTION] = {MINUTE_MS, config->contact_connection_rate, config->network_connection_rate},
        [CONTACT_MESSAGE] = {HOUR_MS, config->contact_message_rate, config->network_message_rate},
        [CONTACT_RECIPIENT] = {HOUR_MS, config->contact_recipient_rate, config->network_recipient_rate},
        [CONTACT_UNKNOWN_RECIPIENT] = {DAY_MS, config->unknown_recipients_maximum, 0},
        [ACCOUNT_MESSAGE] = {HOUR_MS, config->account_message_rate, 0},
        [ACCOUNT_RECIPIENT] = {HOUR_MS, config->account_recipient_rate, 0},
    };
    const struct rate_limit contact_limit = {limits[event].contact, limits[event].period_ms};
    const struct rate_limit network_limit = {limits[event].network, limits[event].period_ms};
    if (ledger->rates == NULL && (contact_limit.count > 0 || network_limit.count > 0)) {
        ledger->rates = rate_table_new(KEYS_MAXIMUM);
    }
    if (contact_limit.count > 0 && !rate_take(ledger->rates, 2 * event, contact, contact_limit, clock_now_ms())) {
        return CONTACT_OVER;
    }
    if (network_limit.count > 0 && !rate_take(ledger->rates, 2 * event + 1, network, network_limit, clock_now_ms())) {
        return CONTACT_NETWORK_OVER;
    }
    return CONTACT_WITHIN;
}

bool on_contact_count(void *context, struct service_peer *peer, struct channel_message *message) {
    const struct contact_count *from = &message->values->contact_count;
    if (from->event >= CONTACT_EVENTS) {
        return false;
    }
    const struct contact_counted answer = {rate_count(context, from->event, from->contact, from->network)};
    service_answer(peer, CONTACT_COUNTED, message->serial, &answer, -1);
    return true;
}

bool on_greylist_try(void *context, struct service_peer *peer, struct channel_message *message) {
    struct ledger *ledger = context;
    const struct config *config = ledger->config;
    const struct greylist_ask *from = &message->values->greylist_ask;
    const struct greylist_policy policy = {
        .delay = config->greylist_delay, .window = config->greylist_window, .lifetime = config->greylist_lifetime};
    const struct greylist_try what = {from->network, from->sender, from->recipient};
    struct greylist_answer answer = {0};
    if (!greylist_check(spool_database(ledger->spool), &policy, &what, (int64_t)time(NULL), &answer.wait)) {
        log_error("greylisting: %s", database_error(spool_database(ledger->spool)));
        answer.wait = 0;
    }
    service_answer(peer, GREYLIST_ANSWER, message->serial, &answer, -1);
    return true;
}
