/* SPDX-License-Identifier: MIT
 * Contacts: what receivers and the listener report of them, and what the listener is told. Runs in the ledger; a
 * request that the database cannot answer admits the contact, for a broken database must not lock anybody out. */
#include "base/clock.h"
#include "base/log.h"
#include "ledger/ledger_private.h"
#include "store/parcels.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

struct contacts_policy contact_policy(const struct ledger *ledger) {
    const struct config *config = ledger->config;
    return (struct contacts_policy){.prohibited_seconds = config->prohibited_seconds,
                                    .lockout_maximum = config->lockout_maximum,
                                    .history_days = config->history_days,
                                    .maximum = (unsigned)config->max_failed_msgs_per_period};
}

/* ---- the allow list ---- */

static bool overlaps(const struct network *allowed, const struct network *contact) {
    if (allowed->v6 != contact->v6) {
        return false;
    }
    unsigned bits = allowed->bits < contact->bits ? allowed->bits : contact->bits;
    unsigned whole = bits / 8, rest = bits % 8;
    unsigned char mask = (unsigned char)(0xff00u >> rest);
    return memcmp(allowed->bytes, contact->bytes, whole) == 0 &&
           (rest == 0 || ((allowed->bytes[whole] ^ contact->bytes[whole]) & mask) == 0);
}

/* IPv6 contacts count as a whole prefix, so one allowed address in it allows them all. Who comes through the Unix
 * socket is a program of this host. */
static bool is_allowed(const struct ledger *ledger, struct text contact) {
    const struct config_networks *networks = &ledger->config->allow_networks;
    struct network network;
    if (text_equal(contact, TEXT("unix"))) {
        return true;
    }
    if (!network_parse(contact, &network)) {
        return false;
    }
    for (size_t i = 0; i < networks->count; i++) {
        if (overlaps(&networks->items[i], &network)) {
            return true;
        }
    }
    return false;
}

/* ---- telling the listener ---- */

static bool send_item(const struct ledger *ledger, enum message_kind kind, const struct locked_contact *item) {
    const struct hub_contact message = {text_of(item->contact), item->until, item->began};
    enum channel_result result = service_send(service_hub(ledger->service), kind, 0, &message, -1);
    return result != CHANNEL_AGAIN; /* a listener that is gone needs to know nothing */
}

static bool tell(void *context, const struct locked_contact *item) {
    return send_item(context, item->over ? HUB_UNLOCKED : HUB_LOCKED, item);
}

static void unlocked(struct ledger *ledger, struct text contact) {
    struct database *database = spool_database(ledger->spool);
    if (!contacts_unlocked(database, contact)) {
        log_error("contact %.*s: %s", TEXT_ARGS(contact), database_error(database));
    }
}

/* The listener has it run: a firewall takes no orders from this user. One that got lost would be a ban for ever, so it
 * stays due until the channel takes it, and in the row (locked_at) until it has run. */
static bool tell_command(void *context, const struct locked_contact *item) {
    struct ledger *ledger = context;
    const struct config *config = ledger->config;
    const char *command = item->over ? config->unlock_command : config->lock_command;
    if (item->over && command[0] == '\0') {
        unlocked(ledger, text_of(item->contact));
    }
    return command[0] == '\0' || send_item(context, item->over ? HUB_LOCK_ENDED : HUB_LOCK_BEGAN, item);
}

void contact_tell(struct ledger *ledger) {
    locked_tell_all(&ledger->locked, tell, tell_command, ledger);
}

static void log_began(const char *contact, int64_t until) {
    char end[CLOCK_TEXT_SIZE];
    clock_text((time_t)until, end);
    log_warn("contact %s is locked out until %s", contact, end);
}

static void log_ended(void *context, const char *contact) {
    (void)context;
    log_info("contact %s is no longer locked out", contact);
}

void contact_report(struct ledger *ledger, const struct contacts_state *state) {
    if (state->unlocked && locked_end(&ledger->locked, state->contact)) {
        log_ended(ledger, state->contact);
    }
    if (state->locked && locked_put(&ledger->locked, state->contact, state->expires_at, state->locked_at)) {
        log_began(state->contact, state->expires_at);
    }
    contact_tell(ledger);
}

static void see(void *context, const char *contact, int64_t until, int64_t began) {
    struct ledger *ledger = context;
    if (locked_see(&ledger->locked, contact, until, began)) {
        log_began(contact, until);
    }
}

void contact_reload(struct ledger *ledger) {
    struct database *database = spool_database(ledger->spool);
    bool changed; /* rows that somebody forgave by hand are ended here */
    int64_t now = (int64_t)time(NULL);
    locked_begin(&ledger->locked);
    if (!contacts_expire(database, now, &changed) || !contacts_locked(database, now, see, ledger)) {
        log_error("lockouts cannot be read: %s", database_error(database));
        return;
    }
    locked_sweep(&ledger->locked, log_ended, ledger);
    contact_tell(ledger);
}

static void see_over(void *context, const char *contact, int64_t until, int64_t began) {
    struct ledger *ledger = context;
    (void)until;
    (void)began;
    locked_put_over(&ledger->locked, contact);
    log_ended(ledger, contact);
}

/* Lockouts that were over, or forgiven, while no ledger ran: whoever the lock_command shuts out cannot connect to be
 * let in again. */
void contact_start(struct ledger *ledger) {
    struct database *database = spool_database(ledger->spool);
    if (!contacts_over(database, (int64_t)time(NULL), see_over, ledger)) {
        log_error("lockouts cannot be ended: %s", database_error(database));
    }
    contact_reload(ledger);
}

/* ---- receivers' requests ---- */

/* The listener knows only the proxy's address, so connections through proxies are counted here. */
static unsigned count_proxied(struct ledger *ledger, struct ledger_peer *data, struct text contact) {
    unsigned connections = 1;
    contact_forget_proxied(data);
    (void)text_copy(data->contact, sizeof data->contact, contact);
    for (const struct ledger_peer *other = ledger->proxied; other != NULL; other = other->next_proxied) {
        connections += strcmp(other->contact, data->contact) == 0;
    }
    data->next_proxied = ledger->proxied;
    data->link = &ledger->proxied;
    if (data->next_proxied != NULL) {
        data->next_proxied->link = &data->next_proxied;
    }
    ledger->proxied = data;
    return connections;
}

void contact_forget_proxied(struct ledger_peer *data) {
    if (data->link == NULL) {
        return;
    }
    *data->link = data->next_proxied;
    if (data->next_proxied != NULL) {
        data->next_proxied->link = data->link;
    }
    data->link = NULL;
    data->next_proxied = NULL;
}

struct found { /* besides the contact's state */
    bool good, allowed;
    unsigned connections;
    enum contact_over over;
};

static void answer(struct ledger *ledger, struct service_peer *peer, uint32_t serial,
                   const struct contacts_state *state, struct found found) {
    static const uint32_t verdicts[] = {
        [CONTACTS_ADMIT] = CONTACT_ADMITTED, [CONTACTS_WARN] = CONTACT_WARNED, [CONTACTS_CLOSE] = CONTACT_CLOSED};
    struct contact_state message = {
        .verdict = CONTACT_ADMITTED, .allowed = found.allowed, .connections = found.connections, .over = found.over};
    if (found.good) {
        const struct contacts_policy policy = contact_policy(ledger);
        message.known_good = contacts_is_known_good(&policy, state->accepted_at, (int64_t)time(NULL));
        message.contact_id = state->id;
        message.expires_at = state->expires_at;
        message.violations = state->violations;
        message.verdict = verdicts[state->verdict];
    } else {
        log_error("contacts: %s", database_error(spool_database(ledger->spool)));
    }
    service_answer(peer, CONTACT_STATE, serial, &message, -1);
    if (found.good) {
        contact_report(ledger, state);
    }
}

bool on_contact_open(void *context, struct service_peer *peer, struct channel_message *message) {
    struct ledger *ledger = context;
    const struct contact_open *open = &message->values->contact_open;
    const struct contacts_policy policy = contact_policy(ledger);
    struct contacts_state state;
    if (open->contact.length == 0) {
        return false;
    }
    bool allowed = is_allowed(ledger, open->contact);
    struct found found = {.allowed = allowed};
    if (open->proxied) { /* so the listener knows nothing of it */
        found.connections = count_proxied(ledger, peer->data, open->contact);
        found.over = allowed ? CONTACT_WITHIN : rate_count(ledger, CONTACT_CONNECTION, open->contact, open->network);
    }
    found.good = spool_contact_open(ledger->spool, &policy, open->contact, allowed, (int64_t)time(NULL), &state);
    answer(ledger, peer, message->serial, &state, found);
    return true;
}

bool on_contact_close(void *context, struct service_peer *peer, struct channel_message *message) {
    (void)context;
    (void)message;
    contact_forget_proxied(peer->data);
    return true;
}

bool on_contact_violation(void *context, struct service_peer *peer, struct channel_message *message) {
    struct ledger *ledger = context;
    const struct contact_violation *from = &message->values->contact_violation;
    const struct contacts_policy policy = contact_policy(ledger);
    static const enum contacts_mercy mercies[] = {[VIOLATION_PLAIN] = CONTACTS_PLAIN,
                                                  [VIOLATION_UNKNOWN_RECIPIENT] = CONTACTS_UNKNOWN_RECIPIENT,
                                                  [VIOLATION_BROKEN] = CONTACTS_BROKEN,
                                                  [VIOLATION_ALWAYS] = CONTACTS_PLAIN};
    struct contacts_state state;
    if (from->contact.length == 0 || from->mercy >= sizeof mercies / sizeof mercies[0]) {
        return false;
    }
    const struct contacts_violation violation = {.contact_id = from->contact_id,
                                                 .contact = from->contact,
                                                 .verb = from->verb,
                                                 .rule = from->rule,
                                                 .reply = from->reply,
                                                 .account = from->account,
                                                 .mail_id = from->mail_id,
                                                 .port = from->port,
                                                 .mercy = mercies[from->mercy]};
    bool allowed = is_allowed(ledger, from->contact);
    spool_settle(ledger->spool); /* what was accepted before clears counts before */
    bool good =
        contacts_violate(spool_database(ledger->spool), &policy, &violation, allowed, (int64_t)time(NULL), &state);
    answer(ledger, peer, message->serial, &state, (struct found){.good = good, .allowed = allowed});
    return true;
}

bool on_contact_login(void *context, struct service_peer *peer, struct channel_message *message) {
    struct ledger *ledger = context;
    struct contacts_state state;
    spool_settle(ledger->spool);
    bool good = contacts_login(spool_database(ledger->spool), message->values->contact_login.contact_id,
                               (int64_t)time(NULL), &state);
    answer(ledger, peer, message->serial, &state, (struct found){.good = good});
    return true;
}

bool on_recipient_refused(void *context, struct service_peer *peer, struct channel_message *message) {
    struct ledger *ledger = context;
    const struct recipient_refused *from = &message->values->recipient_refused;
    const struct parcels_refused refused = {from->contact_id, from->mail_id, from->from_url,
                                            from->to_url,     from->reply,   from->discarded != 0};
    (void)peer;
    if (!parcels_add_refused(spool_database(ledger->spool), &refused, (int64_t)time(NULL))) {
        log_error("a refused recipient cannot be recorded: %s", database_error(spool_database(ledger->spool)));
    }
    return true;
}

/* ---- the listener's reports ---- */

bool on_hub_hits(void *context, struct service_peer *peer, struct channel_message *message) {
    struct ledger *ledger = context;
    const struct hub_hits *report = &message->values->hub_hits;
    const struct contacts_policy policy = contact_policy(ledger);
    struct contacts_state state;
    (void)peer;
    spool_settle(ledger->spool);
    if (contacts_attempts(spool_database(ledger->spool), &policy, report->contact, report->hits, report->last_at,
                          (int64_t)time(NULL), &state)) {
        contact_report(ledger, &state);
    } else {
        log_error("hits cannot be recorded: %s", database_error(spool_database(ledger->spool)));
    }
    return true;
}

bool on_hub_lock_ended(void *context, struct service_peer *peer, struct channel_message *message) {
    (void)peer;
    unlocked(context, message->values->hub_contact.contact);
    return true;
}

bool on_hub_receiver_died(void *context, struct service_peer *peer, struct channel_message *message) {
    struct ledger *ledger = context;
    const struct hub_receiver_died *report = &message->values->hub_receiver_died;
    const struct contacts_policy policy = contact_policy(ledger);
    struct contacts_state state;
    char words[64];
    (void)peer;
    (void)snprintf(words, sizeof words, "the receiver ended by signal %u", report->signal);
    const struct contacts_violation violation = {.contact = report->contact,
                                                 .verb = TEXT_NONE,
                                                 .rule = TEXT("receiver died"),
                                                 .reply = text_of(words),
                                                 .account = TEXT_NONE,
                                                 .mail_id = TEXT_NONE};
    spool_settle(ledger->spool);
    if (report->contact.length > 0 &&
        contacts_violate(spool_database(ledger->spool), &policy, &violation, is_allowed(ledger, report->contact),
                         (int64_t)time(NULL), &state)) {
        contact_report(ledger, &state);
    }
    return true;
}
