/* SPDX-License-Identifier: MIT
 * The queue runner: resident, it wakes for new mail and for what is due; in cron mode it works off what is due and ends
 * with 0, 75 (something was deferred) or 1. Runs as the spool's user with the database read-only; forks nothing and
 * speaks to no other machine: agents do, which the listener forks. Without its ledger it ends, as results could not be
 * recorded; without its listener it ends after what agents have in hand. */
#include "runner/runner.h"
#include "base/clock.h"
#include "base/exit_status.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/confinement.h"
#include "runner/runner_private.h"
#include "store/clock_shift.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROWS_MOVE 30000     /* milliseconds until the ledger must have begun, */
#define ROWS_LOOKED_AT 1000 /* and then between two looks */

static enum exit_status run_status(const struct runner *runner) {
    if (runner->failed) {
        return EXIT_STATUS_ERROR;
    }
    return runner->deferred ? EXIT_STATUS_TEMPFAIL : EXIT_STATUS_OK;
}

static _Noreturn void end_runner(struct runner *runner, enum exit_status status) {
    database_close(runner->database);
    exit(status);
}

static void soon(void *context) {
    struct runner *runner = context;
    runner->soon = NULL; /* the end of this round does the rest */
}

void runner_soon(struct runner *runner, int64_t milliseconds) {
    int64_t at = clock_deadline(milliseconds);
    if (runner->soon != NULL && runner->soon_at <= at) {
        return; /* whoever has to wait longer asks again in that round */
    }
    if (runner->soon != NULL) {
        loop_cancel(runner->soon);
    }
    runner->soon_at = at;
    runner->soon = loop_after(service_loop(runner->service), milliseconds, soon, runner);
}

static bool is_idle(const struct runner *runner) {
    return runner->parcel_count == 0 && runner->job_count == 0 && !runner->sweep.wanted && runner->refills == NULL &&
           !runner->reload_wanted && !runner->names_wanted;
}

/* Whoever connected and so had this run started is still to say what for; looks again when that is overdue. */
static bool expects_request(struct runner *runner) {
    int64_t left = runner->request_until != 0 ? runner->request_until - clock_now_ms() : 0;
    if (left > 0) {
        runner_soon(runner, left);
    }
    return left > 0;
}

/* Somebody changed rows: perhaps a destination may be tried again. */
static void read_anew(struct runner *runner) {
    runner->reload_wanted = false;
    for (struct destination *one = runner->destinations; one != NULL; one = one->next_all) {
        if (one->failures > 0 || one->tls != TLS_MEMORY_NONE) {
            standing_read(runner, one);
            destination_settle(runner, one);
        }
    }
    due_load(runner, NULL);
}

/* Their times are not right yet. */
static bool rows_move(struct runner *runner) {
    return clock_shift_learn(runner->database) && clock_shift_goes_on(runner->database);
}

bool runner_rows_are_right(struct runner *runner) {
    int64_t offset = clock_offset();
    if (!runner->rows_move && !clock_was_set(offset - runner->clock_offset)) {
        return true;
    }
    if (runner->settles_by == 0) {
        runner->settles_by = clock_deadline(ROWS_MOVE);
    }
    int64_t left = runner->settles_by - clock_now_ms();
    if (left <= 0 && (runner->rows_move = rows_move(runner))) {
        runner->settles_by = clock_deadline(left = ROWS_LOOKED_AT);
    }
    if (left > 0) {
        runner_soon(runner, left);
        return false;
    }
    runner->clock_offset = offset;
    runner->settles_by = 0;
    return true;
}

/* The mails named on the command line, whatever their time. */
static void read_named(struct runner *runner) {
    runner->names_wanted = false;
    for (const char *const *ids = runner->start->arguments; *ids != NULL; ids++) {
        if (!mail_id_is_valid(text_of(*ids))) {
            log_error("\"%.40s\" is no mail id", *ids);
            runner->failed = true;
            continue;
        }
        size_t before = runner->parcel_count;
        if (due_load(runner, *ids) && runner->parcel_count == before) {
            log_warn("%s: nothing of this mail is waiting", *ids);
        }
    }
}

static void end_of_round(void *context) {
    struct runner *runner = context;
    if (!runner->stopping && runner_rows_are_right(runner)) {
        if (runner->names_wanted) {
            read_named(runner);
        }
        if (runner->reload_wanted) {
            read_anew(runner);
        }
        due_sweep(runner);
        due_refill(runner);
    }
    standing_want_rows(runner);
    turn_start_jobs(runner);
    job_pump(runner);
    if (runner->stopping && runner->job_count == 0) {
        end_runner(runner, runner->start->cron ? run_status(runner) : EXIT_STATUS_OK);
    }
    if (runner->start->cron && is_idle(runner) && !expects_request(runner)) {
        struct empty_message finished = {.unused = (uint32_t)run_status(runner)};
        service_send(service_hub(runner->service), HUB_FINISHED, 0, &finished, -1);
        end_runner(runner, run_status(runner));
    }
}

static void peer_gone(void *context, struct service_peer *peer) {
    struct runner *runner = context;
    if (peer->kind == PEER_AGENT && peer->data != NULL) {
        agent_peer_gone(runner, peer);
    } else if (peer->kind == PEER_OPERATOR) {
        operator_peer_gone(runner, peer);
    } else if (peer == runner->ledger) {
        log_error("the ledger is gone; ending");
        end_runner(runner, runner->start->cron ? EXIT_STATUS_ERROR : EXIT_STATUS_PEER_GONE);
    }
}

/* Jobs that no agent has begun go back into the queue. */
static void abandon_unbegun(struct runner *runner) {
    for (enum job_place place = JOB_IN_HAND; place <= JOB_TO_FETCH; place++) {
        struct job *next;
        for (struct job *job = runner->jobs[place].first; job != NULL; job = next) {
            next = job->next;
            if (job->state == JOB_FETCHING) {
                job_abandon(runner, job);
            }
        }
    }
}

/* The others are finished and recorded. */
static void hub_gone(void *context) {
    struct runner *runner = context;
    runner->stopping = true;
    abandon_unbegun(runner);
    runner_soon(runner, 0);
}

/* What SQLite has read lies between thousands of parcels that have gone, a page in each of their holes. */
static void rested(void *context) {
    struct runner *runner = context;
    database_rest(runner->database);
}

static bool on_reload(void *context, struct service_peer *peer, struct channel_message *message) {
    struct runner *runner = context;
    struct buffer errors;
    (void)peer;
    FILE *file = message->fd >= 0 ? fdopen(message->fd, "r") : NULL;
    if (file == NULL) {
        log_error("the new configuration cannot be read: %s", strerror(errno));
        return true;
    }
    message->fd = -1;
    buffer_init(&errors, 8192);
    struct config *config = config_read_stream(file, runner->config->file, &errors);
    if (config == NULL) {
        log_error("the new configuration is not used: %s", buffer_string(&errors));
    } else {
        config_free(runner->config);
        runner->config = config;
        log_info("new configuration");
        abandon_unbegun(runner);
        agent_outdate(runner);
        for (struct destination *one = runner->destinations; one != NULL; one = one->next_all) {
            destination_configure(runner, one);
        }
        parcel_lead_anew(runner);
        runner->reload_wanted = true;
    }
    buffer_free(&errors);
    fclose(file);
    return true;
}

static const struct service_row rows[] = {
    {HUB_RELOAD, on_reload},
    {HUB_AGENT, agent_on_hub_agent},
    {PARCELS_NEW, due_on_parcels_new},
    {MAIL_CONTENT, content_on_mail_content},
    {MAIL_RECORDED, record_on_mail_recorded},
    {ROWS_WRITTEN, due_on_rows_written},
    {AGENT_RESULT, record_on_agent_result},
    {CONTROL_REQUEST, operator_on_request},
};
static const struct service_definition definition = {
    .kind = SERVICE_RUNNER,
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .after_round = end_of_round,
    .peer_gone = peer_gone,
    .hub_gone = hub_gone,
    .rested = rested,
};

static struct database *open_database(const struct config *config) {
    struct buffer error;
    buffer_init(&error, 1024);
    struct database *database = database_open(config->database, DATABASE_MAIN, DATABASE_READ, &error);
    if (database == NULL) {
        die_fatal(EXIT_STATUS_IO, "%s", buffer_string(&error));
    }
    buffer_free(&error);
    return database;
}

_Noreturn void runner_main(const struct process_start *start) {
    const int keep[] = {start->hub, start->ledger, start->control, log_descriptor()};
    log_set_program("runner");
    tzset();
    privilege_close_other_descriptors(keep, sizeof keep / sizeof keep[0]);
    privilege_drop(&start->user, start->chroot);
    confinement_enter(CONFINED_RUNNER, start->config, NULL);
    database_put_aside(NULL);
    struct runner *runner = memory_new(1, sizeof *runner);
    runner->start = start;
    runner->config = start->config;
    runner->database = open_database(runner->config);
    runner->service = service_new(&definition, start->hub, runner);
    runner->ledger = service_add_peer(runner->service, start->ledger, PEER_LEDGER, 0);
    operator_listen(runner);
    runner->clock_offset = clock_offset();
    runner->rows_move = rows_move(runner);
    runner->names_wanted = start->arguments != NULL && start->arguments[0] != NULL;
    runner->reload_wanted = !runner->names_wanted;
    runner_soon(runner, 0);
    service_run(runner->service);
}
