/* SPDX-License-Identifier: MIT
 * What is due: pushed by the ledger for new mail, read from the database at the start, when a timer says so, or when
 * the ledger says that something changed. The reading is a sweep in the order of retry_at, some rows a round; it stands
 * still while memory is full and never begins anew for what it has seen. What a destination had no room for is read
 * when it has. Called by the runner's loop, read-only. A database error is logged and tried again; nothing is lost by
 * it. */
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "runner/runner_private.h"
#include <string.h>

#define WAKE_SHORTEST 1
#define WAKE_LONGEST 60   /* look at least so often */
#define WAKE_ERROR 5      /* the database could not be read */
#define SWEEP_ROWS 500    /* a round */
#define SWEEP_ANEW 600000 /* from the beginning now and then: somebody may have changed a row by hand */
#define SWEEP_OVERLAP 2   /* seconds that are read once more: later than that no row is written without PARCELS_NEW */
#define REFILLS_AT_ONCE 4 /* destinations a round */
#define REFILL_ROWS 3000  /* more than a destination can have in memory */
#define MAIL_PARCELS_MAXIMUM 50000

static int64_t now_seconds(void) {
    return (int64_t)time(NULL);
}

static bool say_unreadable(struct runner *runner) {
    log_error("the schedule cannot be read: %s", database_error(runner->database));
    runner->failed = true;
    return false;
}

/* The others are read, and this one again in a moment: a row that stays unreadable keeps nobody back. */
static void leave_unread(struct runner *runner, int64_t retry_at) {
    if (runner->sweep.unread == 0) {
        (void)say_unreadable(runner);
        runner->sweep.unread = retry_at > 0 ? retry_at : 1;
        runner->sweep.unread_after = clock_deadline(WAKE_ERROR * 1000);
        due_wake_at(runner, now_seconds() + WAKE_ERROR);
    } else if (retry_at < runner->sweep.unread) {
        runner->sweep.unread = retry_at;
    }
}

/* Whatever is known to be in memory needs no look at its mail. False when that could not be read. */
static bool add(struct runner *runner, struct schedule_parcel *due, bool fresh) {
    struct parcel *parcel = parcel_find(runner, due->parcel_id);
    if (parcel != NULL) {
        parcel_take_expiry(parcel, due->expires_at);
    }
    if (parcel != NULL && parcel->job == NULL && due->bounce[0] != '\0') {
        parcel_end(runner, parcel, PARCEL_DROPPED); /* it comes in again, to be returned */
        parcel = NULL;
    } else if (parcel != NULL && parcel->bounce == NULL && due->bounce[0] != '\0') {
        parcel->bounce = memory_string(text_of(due->bounce)); /* in hand: unless it is delivered */
    }
    enum schedule_found found = parcel == NULL ? schedule_facts(runner->database, due) : SCHEDULE_NO_MAIL;
    if (found == SCHEDULE_FOUND) {
        parcel_add(runner, due, fresh);
    } else if (found == SCHEDULE_ERROR) {
        leave_unread(runner, due->retry_at);
    }
    return found != SCHEDULE_ERROR;
}

/* ---- a mail by its name ---- */

struct named {
    struct runner *runner;
    bool unread;
};

static bool add_named(void *context, struct schedule_parcel *due) {
    struct named *named = context;
    struct runner *runner = named->runner;
    named->unread = !add(runner, due, true) || named->unread;
    struct parcel *parcel = parcel_find(runner, due->parcel_id);
    if (parcel != NULL && parcel->job == NULL) { /* somebody waits for it */
        struct destination *destination = parcel->destination;
        destination_unqueue(runner, parcel);
        destination_queue(runner, destination, parcel, true);
        standing_allow(runner, destination);
    }
    return true;
}

/* ---- the sweep ---- */

bool due_load(struct runner *runner, const char *mail_id) {
    if (mail_id != NULL) {
        struct named named = {.runner = runner};
        return schedule_mail(runner->database, mail_id, MAIL_PARCELS_MAXIMUM, add_named, &named)
                   ? !named.unread
                   : say_unreadable(runner);
    }
    runner->sweep.wanted = true;
    runner->sweep.retry_at = runner->sweep.last_id = runner->sweep.unread = 0;
    runner->sweep.began = clock_now_ms();
    runner->overflow = false;
    return true;
}

struct sweep {
    struct runner *runner;
    size_t rows;
};

static bool add_swept(void *context, struct schedule_parcel *due) {
    struct sweep *sweep = context;
    struct runner *runner = sweep->runner;
    int64_t retry_at = due->retry_at, id = due->parcel_id;
    (void)add(runner, due, false);
    if (runner->overflow) {
        return false;
    }
    runner->sweep.retry_at = retry_at;
    runner->sweep.last_id = id;
    sweep->rows++;
    return true;
}

static void sweep_ends(struct runner *runner) {
    runner->sweep.wanted = false;
    operator_all_read(runner);
    if (runner->sweep.retry_at > SWEEP_OVERLAP) {
        runner->sweep.retry_at -= SWEEP_OVERLAP;
        runner->sweep.last_id = 0;
    }
    due_wake_next(runner);
    if (runner->sweep.unread != 0) {
        due_wake_at(runner, now_seconds() + WAKE_ERROR);
    }
}

static void go_back_to_unread(struct runner *runner) {
    if (runner->sweep.unread < runner->sweep.retry_at) {
        runner->sweep.retry_at = runner->sweep.unread;
    }
    runner->sweep.last_id = runner->sweep.unread = 0;
    runner->sweep.wanted = true;
}

void due_sweep(struct runner *runner) {
    struct sweep sweep = {runner, 0};
    if (runner->sweep.unread != 0 && clock_now_ms() >= runner->sweep.unread_after) {
        go_back_to_unread(runner);
    }
    if (runner->overflow) {
        runner->overflow = runner->parcel_count >= PARCELS_MAXIMUM / 2;
    }
    if (!runner->sweep.wanted || runner->overflow) {
        return;
    }
    const struct schedule_query query = {.choice = SCHEDULE_ALL,
                                         .from = runner->sweep.retry_at,
                                         .after_id = runner->sweep.last_id,
                                         .until = now_seconds(),
                                         .limit = SWEEP_ROWS};
    if (!schedule_due(runner->database, &query, add_swept, &sweep)) {
        say_unreadable(runner);
        runner->sweep.wanted = false;
        operator_all_read(runner);
        due_wake_at(runner, now_seconds() + WAKE_ERROR);
    } else if (sweep.rows == SWEEP_ROWS) {
        runner_soon(runner, 0);
    } else if (!runner->overflow) {
        sweep_ends(runner);
    }
}

/* ---- what a destination left ---- */

struct refill {
    struct runner *runner;
    struct destination *destination;
    int64_t left_from, last;
    size_t rows;
};

static bool add_refilled(void *context, struct schedule_parcel *due) {
    struct refill *refill = context;
    int64_t retry_at = due->retry_at;
    bool room = refill->destination->waiting < parcel_room(refill->runner, refill->destination, 0);
    if (room) {
        (void)add(refill->runner, due, false); /* what cannot be read is the sweep's */
    }
    if (!room || (refill->runner->overflow && refill->destination->remote)) {
        refill->left_from = retry_at < refill->left_from ? retry_at : refill->left_from;
        return false;
    }
    refill->last = retry_at;
    refill->rows++;
    return true;
}

/* False on an error; *left_from then, or where there is more than could be read, says where to go on. */
static bool refill_by(struct refill *refill, enum schedule_choice choice, int64_t from, int64_t until) {
    const struct schedule_query query = {.choice = choice,
                                         .from = from,
                                         .until = until,
                                         .domain = text_of(refill->destination->domain),
                                         .limit = REFILL_ROWS};
    refill->rows = 0;
    if (!schedule_due(refill->runner->database, &query, add_refilled, refill)) {
        refill->left_from = from < refill->left_from ? from : refill->left_from;
        return say_unreadable(refill->runner);
    }
    if (refill->rows == REFILL_ROWS && refill->last < refill->left_from) {
        refill->left_from = refill->last;
    }
    return true;
}

static void refill(struct runner *runner, struct destination *destination) {
    struct refill refill = {.runner = runner, .destination = destination, .left_from = CLOCK_NEVER};
    int64_t from = destination->left_from, until = destination->left_until, now = now_seconds();
    bool by_domain = destination->domain[0] != '\0';
    destination->left_from = CLOCK_NEVER; /* what finds no room now sets it again */
    destination->left_until = 0;
    bool good = until <= now || refill_by(&refill, by_domain ? SCHEDULE_WAITING : SCHEDULE_LOCAL, from, until);
    good = good && refill_by(&refill, by_domain ? SCHEDULE_DOMAIN : SCHEDULE_LOCAL, from, now);
    if (refill.left_from < destination->left_from) {
        destination->left_from = refill.left_from;
    }
    if (destination->left_from != CLOCK_NEVER) {
        destination->left_until = until;
    }
    destination->wants_refill = false; /* until now, so that it could not be released */
    if (!good) {
        runner->refills_after = clock_deadline(WAKE_ERROR * 1000);
    }
    /* All local rows are read together: so far they were other destinations'. */
    bool others_alone = destination->waiting == 0 && destination->left_from > from;
    if (good ? refill.rows < REFILL_ROWS || others_alone : !runner->start->cron) {
        destination_want_refill(runner, destination); /* else when its next job ends */
    }
}

bool due_ask_for_rows(struct runner *runner) {
    const struct empty_message empty = {0};
    if (!runner->rows_asked) {
        runner->rows_asked = service_send(runner->ledger, ROWS_WANTED, 0, &empty, -1) == CHANNEL_OK;
    }
    return runner->rows_asked;
}

/* False when there may be none yet for what a destination has left: the ledger is asked to write them first. */
static bool has_rows(struct runner *runner, const struct destination *destination) {
    if (destination->rows_follow) {
        (void)due_ask_for_rows(runner);
    }
    return !destination->rows_follow;
}

/* What it tells of from now on comes behind this answer. */
bool due_on_rows_written(void *context, struct service_peer *peer, struct channel_message *message) {
    struct runner *runner = context;
    (void)peer;
    (void)message;
    runner->rows_asked = false;
    standing_read_on(runner);
    for (struct destination *one = runner->refills; one != NULL; one = one->next_refill) {
        one->rows_follow = false;
    }
    return true;
}

/* Full memory keeps what goes elsewhere in the database; our own mailboxes come first. */
static bool may_refill(const struct runner *runner) {
    return runner->refills != NULL && (!runner->overflow || !runner->refills->remote);
}

void due_refill(struct runner *runner) {
    for (int i = 0; i < REFILLS_AT_ONCE && may_refill(runner) && clock_now_ms() >= runner->refills_after &&
                    has_rows(runner, runner->refills);
         i++) {
        struct destination *destination = runner->refills;
        runner->refills = destination->next_refill;
        refill(runner, destination);
        destination_release(runner, destination);
    }
    if (may_refill(runner) && !runner->rows_asked) {
        int64_t left = runner->refills_after - clock_now_ms();
        runner_soon(runner, left > 0 ? left : 1);
    }
}

void due_release(struct runner *runner, struct destination *destination, int64_t until) {
    if (until > now_seconds()) {
        destination->left_from = 1;
        destination->left_until = until;
        destination_want_refill(runner, destination);
    }
}

/* ---- rows that somebody else ended ---- */

/* One by one: a list's mail has thousands of rows, of which a destination has a few. */
void due_confirm(struct runner *runner, struct destination *destination, const char *mail_id) {
    struct parcel *next;
    char id[MAIL_ID_SIZE]; /* mail_id may be a parcel's own, which goes */
    text_copy(id, sizeof id, text_of(mail_id));
    for (struct parcel *parcel = destination->first; parcel != NULL; parcel = next) {
        next = parcel->next;
        if (strcmp(parcel->mail_id, id) == 0 && !schedule_waits(runner->database, parcel->id)) {
            log_info("%s: the parcel for %s is no longer waiting", id, parcel->target);
            parcel_end(runner, parcel, PARCEL_DROPPED);
        }
    }
}

/* ---- waking up ---- */

static void woken(void *context) {
    struct runner *runner = context;
    runner->wake = NULL;
    runner->sweep.wanted = true;
    if (clock_now_ms() - runner->sweep.began > SWEEP_ANEW) {
        runner->reload_wanted = true;
    }
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

void due_again_at(struct runner *runner, int64_t when) {
    if (when < runner->sweep.retry_at) {
        runner->sweep.retry_at = when;
        runner->sweep.last_id = 0;
    }
    due_wake_at(runner, when);
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
    char mail_id[MAIL_ID_SIZE], from[1024], target[1024], domain[300], account[1024];
    struct text sender = item->sender.length > 0 ? item->sender : news->from_url;
    if (item->retry_at > now_seconds()) {
        due_wake_at(runner, item->retry_at);
        return;
    }
    text_copy(mail_id, sizeof mail_id, news->mail_id);
    if (!text_copy(from, sizeof from, sender) || !text_copy(target, sizeof target, item->target) ||
        !text_copy(domain, sizeof domain, item->domain) || !text_copy(account, sizeof account, news->account)) {
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
        .account = account,
        .target = target,
        .to_url = target,
        .domain = domain,
        .bounce = "",
        .recipient = item->recipient,
        .attempts = item->attempts,
        .delivery = item->delivery,
        .auto_generated = news->auto_generated,
    };
    parcel_revive(runner, item->parcel_id);
    parcel_add(runner, &due, true);
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
        runner->clock_offset = clock_offset();
        runner->settles_by = 0;
        runner->rows_move = false;
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
