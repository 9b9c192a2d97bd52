/* SPDX-License-Identifier: MIT
 * What the ledger does by the clock: ends lockouts, notices rows that were edited by hand, tries again what did not go
 * through, asks for checkpoints, purges history. Runs in the ledger's loop, each step short; errors are logged and the
 * step comes round again. */
#include "base/clock.h"
#include "base/log.h"
#include "ledger/ledger_private.h"
#include "store/clock_shift.h"
#include "store/history.h"
#include <sys/epoll.h>

#define TICK_MILLISECONDS 1000
#define BEHIND_MILLISECONDS 50
#define CHECKPOINT_PAGES 1024 /* 4 MiB */
#define FOLDS_AGAIN_MAXIMUM 3 /* a tick */
#define PURGE_EVERY 3600000
#define PURGE_AGAIN 1000
#define SWEEP_EVERY 300000
#define SWEEP_MILLISECONDS 200 /* between two steps */
#define SECONDS_A_DAY 86400
#define SLEPT_MILLISECONDS 2000
#define DRIFT_WRITTEN 10     /* seconds */
#define MOVE_MILLISECONDS 20 /* at a time, */
#define MOVE_PAUSE 10        /* and then others */

static void move_on(void *context);

static void move_soon(struct ledger *ledger, int64_t milliseconds) {
    (void)loop_after(service_loop(ledger->service), milliseconds, move_on, ledger);
}

/* The pieces of a move, between other work. The runner reads nothing until it is told that they are done. */
static void move_on(void *context) {
    struct ledger *ledger = context;
    struct database *database = spool_database(ledger->spool);
    int64_t until = clock_deadline(MOVE_MILLISECONDS);
    bool good = true;
    if (!clock_shift_goes_on(database)) {
        return; /* the clock was set again meanwhile */
    }
    while (good && clock_shift_goes_on(database) && clock_now_ms() < until) {
        good = clock_shift_step(database);
    }
    if (!good) {
        log_error("what waits could not be moved with the clock: %s", database_error(database));
    }
    if (clock_shift_goes_on(database)) {
        move_soon(ledger, good ? MOVE_PAUSE : TICK_MILLISECONDS);
        return;
    }
    log_warn("the clock was set by %lld s: what waits, and lockouts, were moved with it",
             (long long)clock_shift_seconds(database));
    round_wake_runner(ledger);
}

/* Somebody set the clock: pauses, patience and lockouts are what they were, not over at once, and not longer by days.
 * True when a move of rows began. */
static bool begin_move(struct ledger *ledger) {
    int64_t offset = clock_offset(), jump = offset - ledger->clock_offset;
    if (!clock_was_set(jump)) {
        ledger->clock_offset = offset; /* a drift adds up to nothing, */
        int64_t drifted = offset - ledger->clock_written;
        if (drifted >= DRIFT_WRITTEN || drifted <= -DRIFT_WRITTEN) { /* also not for the next start */
            clock_memory_write(ledger);
        }
        return false;
    }
    if (clock_now_ms() < ledger->next_shift) {
        return false;
    }
    ledger->next_shift = clock_deadline(TICK_MILLISECONDS);
    spool_settle(ledger->spool); /* by the clock as it was */
    if (spool_has_waiting_rows(ledger->spool)) {
        return false; /* they would be written behind, and stay where they were */
    }
    bool good = true;
    while (good && clock_shift_goes_on(spool_database(ledger->spool))) {
        good = clock_shift_step(spool_database(ledger->spool)); /* set twice in a row: one after the other */
    }
    if (!good || !clock_shift_begin(spool_database(ledger->spool), jump, (int64_t)time(NULL), offset)) {
        log_error("the clock was set by %lld s, and what waits could not be moved with it: %s", (long long)jump,
                  database_error(spool_database(ledger->spool)));
        return false;
    }
    log_info("what waits is moved with the clock, by %lld s", (long long)jump);
    ledger->clock_offset = offset;
    clock_memory_write(ledger);
    return true;
}

void timer_follow_clock(struct ledger *ledger) {
    if (begin_move(ledger)) {
        contact_reload(ledger);
        move_soon(ledger, 0);
    }
}

void timer_learn_clock(struct ledger *ledger) {
    const struct database *database = spool_database(ledger->spool);
    int64_t clock = clock_shift_clock(database);
    ledger->clock_offset = clock_memory_read(ledger);
    if (clock_shift_goes_on(database) && !clock_was_set(ledger->clock_offset + clock_shift_seconds(database) - clock)) {
        ledger->clock_offset = clock; /* a move had just begun, and that was not written any more */
    }
    if (!begin_move(ledger) && !clock_was_set(clock_offset() - ledger->clock_offset)) {
        clock_memory_write(ledger);
    }
}

/* The machine slept. Time has passed, and what fell due is tried: timers in processes do not know of it. */
static void wake_after_sleep(struct ledger *ledger) {
    int64_t slept = clock_slept_ms();
    if (slept - ledger->slept > SLEPT_MILLISECONDS) {
        log_info("the machine slept for %lld s", (long long)(slept - ledger->slept) / 1000);
        round_wake_runner(ledger);
    }
    ledger->slept = slept;
}

static void end_lockouts(struct ledger *ledger) {
    bool changed;
    if (ledger->locked.count == 0) {
        return;
    }
    if (!contacts_expire_due(spool_database(ledger->spool), (int64_t)time(NULL), &changed)) {
        log_error("lockouts cannot be ended: %s", database_error(spool_database(ledger->spool)));
    } else if (changed) {
        contact_reload(ledger);
    }
}

/* Somebody wrote with sqlite3: a contact may be forgiven, a parcel due, a mail ended. */
static void look_for_edits(struct ledger *ledger) {
    int64_t version = database_data_version(spool_database(ledger->spool));
    if (version == ledger->data_version || version < 0) {
        return;
    }
    ledger->data_version = version;
    log_info("the database was edited by another program: contacts, parcels and hold rules are read anew");
    contact_reload(ledger);
    if (!spool_read_hold_rules(ledger->spool)) {
        log_error("hold rules cannot be read: %s", database_error(spool_database(ledger->spool)));
    }
    ledger->sweeps = spool_sweep(ledger->spool, true);
    round_finish(ledger);
    round_wake_runner(ledger);
}

static void sweep(struct ledger *ledger) {
    if (clock_now_ms() >= ledger->next_sweep) {
        ledger->next_sweep = clock_deadline(SWEEP_EVERY);
        ledger->sweeps = spool_sweep(ledger->spool, true);
    }
    spool_unpin(ledger->spool);
    round_finish(ledger);
}

static void purge(struct ledger *ledger) {
    bool more = false;
    if (clock_now_ms() < ledger->next_purge) {
        return;
    }
    ledger->history.now = (int64_t)time(NULL);
    ledger->history.before = ledger->history.now - ledger->config->history_days * SECONDS_A_DAY;
    ledger->history.tls_before = ledger->history.now - ledger->config->outbound_tls_memory;
    if (!history_purge(spool_database(ledger->spool), &ledger->history, &more)) {
        log_warn("history cannot be purged: %s", database_error(spool_database(ledger->spool)));
    }
    ledger->next_purge = clock_deadline(more ? PURGE_AGAIN : PURGE_EVERY);
}

/* When the log is long, or has rested since the last tick. */
static void ask_for_checkpoint(struct ledger *ledger) {
    int pages = database_wal_pages(spool_database(ledger->spool));
    bool rests = pages == ledger->pages_seen;
    ledger->pages_seen = pages;
    ledger->folds_again = 0;
    if (pages != ledger->pages_folded && (rests || pages > CHECKPOINT_PAGES)) {
        ledger->pages_folded = pages;
        checkpointer_ask(ledger->checkpointer);
    }
}

static void tick(void *context) {
    struct ledger *ledger = context;
    round_retry_rows(ledger);
    spool_settle(ledger->spool); /* what follows reads rows */
    if (ledger->domains_due) {
        ledger_write_domains(ledger);
    }
    look_for_edits(ledger);
    timer_follow_clock(ledger);
    wake_after_sleep(ledger);
    end_lockouts(ledger);
    sweep(ledger);
    purge(ledger);
    ask_for_checkpoint(ledger);
    (void)loop_after(service_loop(ledger->service), TICK_MILLISECONDS, tick, ledger);
}

/* Those who could not take a message. */
static void catch_up(void *context) {
    struct ledger *ledger = context;
    if (ledger->runner_behind) {
        round_wake_runner(ledger);
    }
    if (ledger->sweeps) {
        ledger->sweeps = spool_sweep(ledger->spool, false);
        round_finish(ledger);
    }
    contact_tell(ledger);
    (void)loop_after(service_loop(ledger->service),
                     ledger->runner_behind || ledger->locked.untold > 0 ? BEHIND_MILLISECONDS
                     : ledger->sweeps                                   ? SWEEP_MILLISECONDS
                                                                        : TICK_MILLISECONDS,
                     catch_up, ledger);
}

/* Between two transactions: a batch that has begun is still in memory. */
static void restart_log(struct ledger *ledger, const struct checkpoint_news *news) {
    if (checkpoint_restart(spool_database(ledger->spool), news) == CHECKPOINT_BEHIND &&
        ledger->folds_again < FOLDS_AGAIN_MAXIMUM) {
        ledger->folds_again++;
        checkpointer_ask(ledger->checkpointer);
    }
}

static void collect(void *context, int fd, uint32_t events) {
    struct ledger *ledger = context;
    struct checkpoint_news news;
    (void)fd;
    (void)events;
    checkpointer_collect(ledger->checkpointer, &news);
    if (news.ran && news.good) {
        journal_set_durable(spool_journal(ledger->spool), news.durable);
    }
    if (news.spare) {
        journal_spare_made(spool_journal(ledger->spool), news.spare_good);
    }
    restart_log(ledger, &news);
}

void timer_start(struct ledger *ledger) {
    struct loop *loop = service_loop(ledger->service);
    ledger->data_version = database_data_version(spool_database(ledger->spool));
    ledger->slept = clock_slept_ms();
    ledger->next_purge = clock_deadline(PURGE_AGAIN);
    ledger->next_sweep = 0; /* a mail may have ended just before the last end of this process */
    (void)loop_watch(loop, checkpointer_descriptor(ledger->checkpointer), EPOLLIN, collect, ledger);
    (void)loop_after(loop, TICK_MILLISECONDS, tick, ledger);
    (void)loop_after(loop, BEHIND_MILLISECONDS, catch_up, ledger);
    if (clock_shift_goes_on(spool_database(ledger->spool))) {
        move_soon(ledger, 0);
    }
}
