/* SPDX-License-Identifier: MIT
 * What is due: pushed by the ledger for new mail, read from the database at the start, when a timer says so, or when
 * the ledger says that something changed. Called by the runner's loop, read-only. A database error is logged and tried
 * again; nothing is lost by it. */
#include "base/clock.h"
#include "base/log.h"
#include "runner/runner_private.h"
#include <string.h>

#define WAKE_SHORTEST 1
#define WAKE_LONGEST 60 /* look at least so often: somebody may have changed a row by hand */
#define WAKE_ERROR 5    /* the database could not be read */

static int64_t now_seconds(void) {
    return (int64_t)time(NULL);
}

static bool add_due(void *context, const struct schedule_parcel *due) {
    struct runner *runner = context;
    parcel_add(runner, due);
    return !runner->overflow;
}

bool due_load(struct runner *runner, const char *mail_id) {
    runner->overflow = mail_id == NULL ? false : runner->overflow;
    bool good = schedule_due(runner->database, now_seconds(), mail_id, PARCELS_MAXIMUM + 1, add_due, runner);
    if (!good) {
        log_error("the schedule cannot be read: %s", database_error(runner->database));
        runner->failed = true;
    }
    return good;
}

static bool mark_confirmed(void *context, const struct schedule_parcel *due) {
    struct parcel *parcel = parcel_find(context, due->parcel_id);
    if (parcel != NULL) {
        parcel->confirmed = true;
    }
    return true;
}

void due_confirm(struct runner *runner, struct destination *destination, const char *mail_id) {
    struct parcel *next;
    char id[MAIL_ID_SIZE]; /* mail_id may be a parcel's own, which goes */
    text_copy(id, sizeof id, text_of(mail_id));
    for (struct parcel *parcel = destination->first; parcel != NULL; parcel = parcel->next) {
        parcel->confirmed = strcmp(parcel->mail_id, id) != 0;
    }
    if (!schedule_due(runner->database, now_seconds(), id, PARCELS_MAXIMUM, mark_confirmed, runner)) {
        return;
    }
    for (struct parcel *parcel = destination->first; parcel != NULL; parcel = next) {
        next = parcel->next;
        if (!parcel->confirmed) {
            log_info("%s: the parcel for %s is no longer waiting", id, parcel->target);
            parcel_end(runner, parcel, PARCEL_DROPPED);
        }
    }
}

static void woken(void *context) {
    struct runner *runner = context;
    runner->wake = NULL;
    runner->reload_wanted = true;
}

void due_wake_at(struct runner *runner, int64_t when) {
    int64_t now = now_seconds();
    if (runner->wake != NULL && runner->wake_at <= when) {
        return;
    }
    if (runner->wake != NULL) {
        loop_cancel(runner->wake);
    }
    int64_t seconds = when > now ? when - now : 0;
    seconds = seconds < WAKE_SHORTEST ? WAKE_SHORTEST : seconds > WAKE_LONGEST ? WAKE_LONGEST : seconds;
    runner->wake_at = now + seconds;
    runner->wake = loop_after(service_loop(runner->service), seconds * 1000, woken, runner);
}

void due_wake_next(struct runner *runner) {
    int64_t next = CLOCK_NEVER, now = now_seconds();
    if (!schedule_next(runner->database, now, &next)) {
        log_error("the schedule cannot be read: %s", database_error(runner->database));
        next = now + WAKE_ERROR;
    }
    due_wake_at(runner, next);
}

static void take_pushed(struct runner *runner, const struct parcels_new *news, const struct parcel_item *item) {
    char mail_id[MAIL_ID_SIZE], from[1024], target[1024], domain[300];
    if (item->retry_at > now_seconds()) {
        due_wake_at(runner, item->retry_at);
        return;
    }
    text_copy(mail_id, sizeof mail_id, news->mail_id);
    if (!text_copy(from, sizeof from, news->from_url) || !text_copy(target, sizeof target, item->target) ||
        !text_copy(domain, sizeof domain, item->domain)) {
        log_error("%s: a new parcel with an address that is too long", mail_id);
        return;
    }
    struct schedule_parcel due = {
        .parcel_id = item->parcel_id,
        .size = news->size,
        .received_at = news->received_at,
        .retry_at = item->retry_at,
        .expires_at = news->expires_at,
        .mail_id = mail_id,
        .from_url = from,
        .account = "",
        .target = target,
        .to_url = target,
        .domain = domain,
        .recipient = item->recipient,
        .attempts = item->attempts,
        .delivery = item->delivery,
        .auto_generated = news->auto_generated,
    };
    parcel_revive(runner, item->parcel_id);
    parcel_add(runner, &due);
}

bool due_on_parcels_new(void *context, struct service_peer *peer, struct channel_message *message) {
    struct runner *runner = context;
    const struct parcels_new *news = &message->values->parcels_new;
    struct text list = news->recipients;
    struct parcel_item item;
    bool bad = false;
    (void)peer;
    if (news->mail_id.length == 0) {
        runner->reload_wanted = true;
        return true;
    }
    while (list_next_parcel(&list, &item, &bad)) {
        take_pushed(runner, news, &item);
    }
    if (bad) {
        log_error("the ledger sent a malformed list of parcels; reading the database");
        runner->reload_wanted = true;
    }
    return true;
}
