/* SPDX-License-Identifier: MIT
 * The ledger: the only writer of parcelpost.db and queue/. Takes everything that has arrived, makes one flush and one
 * transaction of it, answers, tells the queue runner. Runs as `parcelpost`, with no network but its channels. A spool
 * or database that cannot be used ends it with EXIT_STATUS_CANT_CREATE and one clear line. */
#include "ledger/ledger.h"
#include "base/exit_status.h"
#include "base/file.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/confinement.h"
#include "ledger/ledger_private.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAP_KEPT ((size_t)4 << 20) /* what waits for its rows, and as much again */
#define ROWS_MAXIMUM 128            /* in one transaction: 64 messages with a recipient each */

static struct spool_options options_of(const struct ledger *ledger) {
    const struct config *config = ledger->config, *first = ledger->start->config;
    return (struct spool_options){
        .queue = first->queue, /* where the spool lies does not change under way */
        .database = first->database,
        .limits = {.segment_size = (uint64_t)config->journal_segment_size,
                   .maximum_size = (uint64_t)config->queue_maximum_size,
                   .minimum_free = (uint64_t)config->queue_minimum_free},
        .journal_max_message = (uint64_t)config->journal_max_message,
        .queue_lifetime = config->queue_lifetime,
        .rows_maximum = ROWS_MAXIMUM,
        .local_domains = (const char *const *)config->local_domains.items,
        .local_domain_count = config->local_domains.count,
    };
}

/* ---- SIGHUP ---- */

/* Lookup goes by the table: mail for a domain that it lacks is refused for good. */
void ledger_write_domains(struct ledger *ledger) {
    bool again = ledger->domains_due;
    ledger->domains_due = !spool_sync_domains(ledger->spool);
    if (ledger->domains_due && !again) {
        log_error("local_domains cannot be written: %s", database_error(spool_database(ledger->spool)));
    } else if (again && !ledger->domains_due) {
        log_info("local_domains are written");
    }
}

static void use_config(struct ledger *ledger, struct config *config) {
    struct config *former = ledger->config_is_own ? ledger->config : NULL;
    ledger->config = config;
    ledger->config_is_own = true;
    const struct spool_options options = options_of(ledger);
    spool_set_options(ledger->spool, &options);
    ledger_write_domains(ledger);
    ledger->data_version = database_data_version(spool_database(ledger->spool));
    config_free(former);
    log_info("the new configuration is in force");
}

static bool on_hub_reload(void *context, struct service_peer *peer, struct channel_message *message) {
    struct ledger *ledger = context;
    struct buffer errors;
    (void)peer;
    FILE *stream = message->fd >= 0 ? fdopen(message->fd, "r") : NULL;
    if (stream == NULL) {
        log_error("a reload without a readable file");
        return true;
    }
    message->fd = -1;
    buffer_init(&errors, 16384);
    struct config *config = config_read_stream(stream, ledger->start->config->file, &errors);
    if (config != NULL) {
        use_config(ledger, config);
    } else {
        log_error("the new configuration is not taken: %s", buffer_string(&errors));
    }
    buffer_free(&errors);
    (void)fclose(stream);
    return true;
}

/* ---- peers ---- */

static void peer_new(void *context, struct service_peer *peer) {
    struct ledger *ledger = context;
    struct ledger_peer *data = memory_new(1, sizeof *data);
    data->file = -1;
    peer->data = data;
    if (peer->kind == PEER_RUNNER) {
        ledger->runner =
            peer; /* a new one reads the database when it starts, perhaps too early for what is not in it */
        ledger->runner_behind = spool_is_unsettled(ledger->spool);
        spool_settle(ledger->spool);
    }
}

static void peer_gone(void *context, struct service_peer *peer) {
    struct ledger *ledger = context;
    if (peer == ledger->runner) {
        ledger->runner = NULL;
    }
    mail_forget_file(ledger, peer->data);
    contact_forget_proxied(peer->data);
    control_forget(peer->data);
    free(peer->data);
    peer->data = NULL;
}

static void after_round(void *context) {
    timer_follow_clock(context);
    round_finish(context);
}

/* ---- the process ---- */

static const struct service_row rows[] = {
    {HUB_RELOAD, on_hub_reload},
    {HUB_HITS, on_hub_hits},
    {HUB_LOCK_ENDED, on_hub_lock_ended},
    {HUB_RECEIVER_DIED, on_hub_receiver_died},
    {CONTACT_OPEN, on_contact_open},
    {CONTACT_VIOLATION, on_contact_violation},
    {CONTACT_LOGIN, on_contact_login},
    {CONTACT_CLOSE, on_contact_close},
    {CONTACT_COUNT, on_contact_count},
    {GREYLIST_TRY, on_greylist_try},
    {LOGIN_TRY, on_login_try},
    {RECIPIENT_REFUSED, on_recipient_refused},
    {SPOOL_OPEN, on_spool_open},
    {MAIL_COMMIT, on_mail_commit},
    {MAIL_FETCH, on_mail_fetch},
    {MAIL_RESULT, on_mail_result},
    {ROWS_WANTED, on_rows_wanted}, /* before the runner reads what it had no room for */
    {CONTROL_REQUEST, on_control_request},
};
static const struct service_definition definition = {
    .kind = SERVICE_LEDGER,
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .after_round = after_round,
    .peer_new = peer_new,
    .peer_gone = peer_gone,
};

static struct spool *open_spool(const struct ledger *ledger) {
    const struct spool_options options = options_of(ledger);
    struct buffer error, aside;
    buffer_init(&error, 4096);
    buffer_init(&aside, PATH_MAX);
    if (buffer_format(&aside, "%s/tmp", options.queue)) {
        database_put_aside(buffer_string(&aside));
    }
    buffer_free(&aside);
    struct spool *spool = spool_open(&options, &error);
    if (spool == NULL) {
        die_fatal(EXIT_STATUS_CANT_CREATE, "%s", buffer_string(&error));
    }
    buffer_free(&error);
    return spool;
}

_Noreturn void ledger_main(const struct process_start *start) {
    static struct ledger ledger;
    const int keep[] = {start->hub, start->control, start->lock, log_descriptor()};
    log_set_program("ledger");
    privilege_close_other_descriptors(keep, sizeof keep / sizeof keep[0]);
    clock_memory_learn(&ledger);
    privilege_drop(&start->user, start->chroot);
    confinement_enter(CONFINED_LEDGER, start->config, NULL);
    ledger.start = start;
    ledger.config = start->config;
    heap_keep(HEAP_KEPT);
    ledger.spool = open_spool(&ledger);
    ledger.checkpointer = checkpointer_start(start->config->database);
    ledger.service = service_new(&definition, start->hub, &ledger);
    timer_learn_clock(&ledger); /* before lockouts are read that may seem to be over */
    contact_start(&ledger);
    control_listen(&ledger);
    timer_start(&ledger);
    service_run(ledger.service);
}
