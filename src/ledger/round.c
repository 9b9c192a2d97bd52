/* SPDX-License-Identifier: MIT
 * The end of a round: everything that arrived while the last flush ran becomes one flush and one transaction, then is
 * answered, then goes to the queue runner. Runs in the ledger. A runner that does not keep up is told later to read the
 * database; nothing here waits for anybody. */
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "ipc/list.h"
#include "ledger/ledger_private.h"
#include "mail/address.h"
#include "store/clock_shift.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SETTLE_IDLE 3          /* milliseconds without anything new until rows are written */
#define SETTLE_LATE 25         /* milliseconds at most */
#define LIST_ROOM (96u * 1024) /* of recipients in one PARCELS_NEW; longer lists are split */

struct ticket { /* lives until the end of its round, as its peer does at least */
    struct service_peer *peer;
    uint32_t serial, kind;
};

/* ---- answers ---- */

void *round_ticket(struct service_peer *peer, uint32_t serial, uint32_t answer_kind) {
    struct ticket *ticket = memory_new(1, sizeof *ticket);
    *ticket = (struct ticket){peer, serial, answer_kind};
    return ticket;
}

static enum commit_outcome outcome_for_askers(enum spool_outcome outcome) {
    static const enum commit_outcome outcomes[] = {[SPOOL_OK] = COMMIT_OK,
                                                   [SPOOL_FAILED] = COMMIT_FAILED,
                                                   [SPOOL_FULL] = COMMIT_FULL,
                                                   [SPOOL_INVALID] = COMMIT_INVALID,
                                                   [SPOOL_NOTHING] = COMMIT_OK};
    return outcomes[outcome];
}

static void answer(void *context, void *data, enum spool_outcome outcome) {
    struct ticket *ticket = data;
    const struct mail_committed committed = {(uint32_t)outcome_for_askers(outcome)};
    const struct mail_recorded recorded = {(uint32_t)outcome_for_askers(outcome)};
    (void)context;
    service_answer(ticket->peer, ticket->kind, ticket->serial,
                   ticket->kind == MAIL_COMMITTED ? (const void *)&committed : &recorded, -1);
    free(ticket);
}

void round_refuse(void *ticket, enum spool_outcome outcome) {
    answer(NULL, ticket, outcome);
}

/* ---- news for the runner ---- */

static bool tell_runner(struct ledger *ledger, const struct parcels_new *message) {
    if (ledger->runner == NULL) {
        return true; /* it will read the database when it is there */
    }
    return service_send(ledger->runner, PARCELS_NEW, 0, message, -1) != CHANNEL_AGAIN;
}

void round_wake_runner(struct ledger *ledger) {
    timer_follow_clock(ledger); /* it takes this for the word that rows are right by the clock that it knows */
    if (clock_shift_goes_on(spool_database(ledger->spool))) {
        ledger->runner_behind = false; /* it waits for the end of the move, and is woken then */
        return;
    }
    spool_settle(ledger->spool); /* for what it is told to read */
    const struct parcels_new empty = {
        .mail_id = TEXT_NONE, .from_url = TEXT_NONE, .account = TEXT_NONE, .recipients = TEXT_NONE};
    ledger->runner_behind = !tell_runner(ledger, &empty);
}

/* With the time that stands in its row: by that the runner finds again what it has no room for now. */
static bool add_parcel(struct buffer *list, const struct spool_news *news, uint32_t recipient) {
    const struct envelope_recipient *to = &news->envelope->recipients[recipient];
    if (to->status != RECIPIENT_QUEUED) {
        return true; /* held */
    }
    const struct parcel_item item = {.recipient = recipient,
                                     .delivery = (uint32_t)to->delivery,
                                     .parcel_id = news->parcel_ids[recipient],
                                     .retry_at = news->due_at,
                                     .target = text_of(to->target),
                                     .domain = address_domain_of(text_of(to->target)),
                                     .sender = text_of(to->sender)};
    return list_add_parcel(list, &item);
}

/* As many recipients as one message takes; returns the first one that is left. */
static uint32_t fill_list(struct buffer *list, const struct spool_news *news, uint32_t first) {
    uint32_t next = first;
    buffer_clear(list);
    while (next < news->envelope->recipient_count && add_parcel(list, news, next)) {
        next++;
    }
    return next;
}

static void tell_news(void *context, const struct spool_news *news) {
    struct ledger *ledger = context;
    const struct envelope *envelope = news->envelope;
    struct buffer list;
    uint32_t next = 0;
    if (ledger->runner == NULL || ledger->runner_behind) {
        return;
    }
    buffer_init(&list, LIST_ROOM);
    while (next < envelope->recipient_count && !ledger->runner_behind) {
        uint32_t first = next;
        next = fill_list(&list, news, first);
        const struct parcels_new message = {.mail_id = text_of(envelope->mail_id),
                                            .from_url = text_of(envelope->from_url),
                                            .account = text_of(envelope->account),
                                            .size = (int64_t)news->size,
                                            .received_at = envelope_begins_at(envelope),
                                            .expires_at = news->expires_at,
                                            .auto_generated = envelope->auto_generated,
                                            .recipients = buffer_text(&list)};
        ledger->runner_behind = next == first || !tell_runner(ledger, &message);
    }
    buffer_free(&list);
}

/* ---- the round ---- */

static struct spool_events events_of(struct ledger *ledger) {
    return (struct spool_events){.context = ledger, .answer = answer, .news = tell_news};
}

static void ask_for_spare(struct ledger *ledger) {
    struct journal *journal = spool_journal(ledger->spool);
    char path[PATH_MAX];
    if (journal_wants_spare(journal)) {
        journal_spare_path(journal, path);
        checkpointer_ask_spare(ledger->checkpointer, path, journal_segment_size(journal));
    }
}

/* A message at a time would be a transaction each: they are written together, soon. */
static void settle_soon(void *context) {
    struct ledger *ledger = context;
    ledger->settles = NULL;
    if (ledger->goes_on && clock_now_ms() < ledger->settle_by) {
        ledger->goes_on = false;
        ledger->settles = loop_after(service_loop(ledger->service), SETTLE_IDLE, settle_soon, ledger);
    } else {
        ledger->settle_due = true; /* behind the answers of this round */
    }
}

static void settle(struct ledger *ledger) {
    if (ledger->settle_due || service_hub(ledger->service)->fd < 0) {
        spool_settle(ledger->spool);
        ledger->settle_due = false;
    }
    if (ledger->settles != NULL) {
        ledger->goes_on = true;
    } else if (spool_is_unsettled(ledger->spool) && !spool_has_waiting_rows(ledger->spool)) {
        ledger->goes_on = false;
        ledger->settle_by = clock_deadline(SETTLE_LATE);
        ledger->settles = loop_after(service_loop(ledger->service), SETTLE_IDLE, settle_soon, ledger);
    }
}

/* The runner may have looked for them in vain and taken their messages for ended, or have read on past their times. */
static void wake_for_late_rows(struct ledger *ledger) {
    if (!spool_has_waiting_rows(ledger->spool) && spool_rows_were_late(ledger->spool)) {
        round_wake_runner(ledger);
    }
}

bool round_finish(struct ledger *ledger) {
    const struct spool_events events = events_of(ledger);
    bool written = spool_finish(ledger->spool, &events);
    settle(ledger);
    wake_for_late_rows(ledger);
    ask_for_spare(ledger);
    return written;
}

void round_retry_rows(struct ledger *ledger) {
    const struct spool_events events = events_of(ledger);
    spool_retry_rows(ledger->spool, &events);
}

/* Those that SQLite refuses have the runner woken when they are in. */
bool on_rows_wanted(void *context, struct service_peer *peer, struct channel_message *message) {
    const struct empty_message empty = {0};
    struct ledger *ledger = context;
    spool_settle(ledger->spool);
    service_answer(peer, ROWS_WRITTEN, message->serial, &empty, -1);
    return true;
}
