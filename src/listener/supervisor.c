/* SPDX-License-Identifier: MIT
 * The listener's main: checklist, loop, end. After every round of the loop `supervisor_settle` brings the processes in
 * line with what should run, so that deaths, signals, reloads and start-up all take the same way. */
#include "listener/supervisor.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/memory.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LOCKOUTS_MAXIMUM 200000
#define ERROR_MAXIMUM (16u * 1024)
#define TICK_MS 1000

static void on_signal(void *context, int signal_number) {
    struct supervisor *supervisor = context;
    switch (signal_number) {
    case SIGCHLD: /* supervisor_settle, which comes after each signal, waits for them */
        break;
    case SIGHUP:
        supervisor->reload_wanted = !supervisor->options.queue_run; /* done as soon as everything runs */
        break;
    case SIGUSR1:
        supervisor_reopen_log(supervisor);
        break;
    default: /* SIGTERM, SIGINT; a second one does not wait */
        if (supervisor->phase == PHASE_STOPPING) {
            supervisor->stop_deadline = 0;
            supervisor->stop_stage_began = 0;
        }
        log_info("told to stop");
        stop_begin(supervisor);
    }
}

static void on_tick(void *context) {
    struct supervisor *supervisor = context;
    loop_after(supervisor->loop, TICK_MS, on_tick, supervisor);
    children_sweep(supervisor);
    if (supervisor->phase != PHASE_STOPPING) { /* stop.c has limits of its own */
        services_watch(supervisor);
    }
    if (supervisor->phase != PHASE_RUNNING) {
        return;
    }
    hits_report(supervisor);
    receivers_tick(supervisor);
    if (supervisor->tls != NULL) {
        tls_server_watch_validity(supervisor->tls, (int64_t)time(NULL));
    }
    if (supervisor->tls != NULL && tls_server_rotate(supervisor->tls, clock_now_ms())) {
        log_debug("a new key for session tickets");
        receivers_replace(supervisor); /* those that wait know the former keys alone */
    }
    if (log_file_rotate(supervisor->config, supervisor->log_period, time(NULL))) {
        supervisor_reopen_log(supervisor);
    }
}

static bool has_started(const struct supervisor *supervisor) {
    const struct child *runner = supervisor->slots[SLOT_RUNNER].child;
    bool resident = supervisor->config->runner == RUNNER_RESIDENT && !supervisor->options.queue_run;
    return services_are_ready(supervisor) && (!resident || (runner != NULL && runner->ready));
}

void supervisor_settle(void *context) {
    struct supervisor *supervisor = context;
    children_reap(supervisor);
    if (supervisor->phase == PHASE_STARTING && supervisor->status != EXIT_STATUS_OK) {
        log_error("the start failed: a service ended with status %d (%s)", supervisor->status,
                  exit_status_name((int)supervisor->status));
        stop_begin(supervisor);
    }
    if (supervisor->phase == PHASE_STOPPING) {
        stop_settle(supervisor);
        return;
    }
    cron_settle(supervisor);
    services_settle(supervisor);
    if (supervisor->phase == PHASE_STARTING && has_started(supervisor)) {
        supervisor->phase = PHASE_RUNNING;
        start_report(supervisor);
    }
    if (supervisor->phase == PHASE_RUNNING && supervisor->reload_wanted) {
        supervisor->reload_wanted = false;
        supervisor_reload(supervisor);
    }
    receivers_settle(supervisor);
    arrivals_settle(supervisor);
    ports_settle(supervisor);
}

static struct supervisor *supervisor_new(struct config *config, const struct listener_options *options) {
    struct supervisor *supervisor = memory_new(1, sizeof(*supervisor));
    supervisor->config = config;
    supervisor->options = *options;
    supervisor->lock = supervisor->ledger_socket = supervisor->runner_socket = supervisor->keys = -1;
    supervisor->start_report = options->daemonize ? start_daemonize() : -1;
    supervisor->loop = loop_new();
    supervisor->lockouts = lockout_set_new(LOCKOUTS_MAXIMUM);
    services_renew(supervisor);
    signal(SIGPIPE, SIG_IGN);
    return supervisor;
}

static void remove_control_socket(const struct supervisor *supervisor, const char *name) {
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    int length = snprintf(path, sizeof(path), "%s/%s", supervisor->config->control_directory, name);
    if (length > 0 && (size_t)length < sizeof(path)) {
        unlink(path);
    }
}

/* The names first, the lock last: whoever gets it finds nothing of ours. */
static void supervisor_free(struct supervisor *supervisor) {
    port_set_close(&supervisor->ports);
    if (supervisor->ledger_socket >= 0) {
        remove_control_socket(supervisor, "ledger.sock");
        close(supervisor->ledger_socket);
    }
    if (supervisor->runner_socket >= 0) {
        remove_control_socket(supervisor, "runner.sock");
        close(supervisor->runner_socket);
        unlink(supervisor->config->pid_path);
    }
    if (supervisor->tls != NULL) {
        tls_server_free(supervisor->tls);
    }
    if (supervisor->keys >= 0) {
        close(supervisor->keys);
    }
    guard_free(supervisor->guard);
    sql_rules_free(&supervisor->rules);
    lockout_set_free(supervisor->lockouts);
    rate_table_free(supervisor->rates);
    loop_free(supervisor->loop);
    config_free(supervisor->config);
    if (supervisor->lock >= 0) {
        close(supervisor->lock);
    }
    free(supervisor);
}

/* From the beginning: a start may take a while (the lock, names, keys), and a SIGHUP that ended it would be taken for
 * an order to stop. */
static void hold_signals(void) {
    sigset_t held;
    sigemptyset(&held);
    sigaddset(&held, SIGHUP);
    sigaddset(&held, SIGUSR1);
    (void)sigprocmask(SIG_BLOCK, &held, NULL);
}

/* Only now: whoever waits for the lock may still be interrupted. */
static void take_signals(struct supervisor *supervisor) {
    static const int signals[] = {SIGCHLD, SIGHUP, SIGUSR1, SIGTERM, SIGINT};
    loop_signals(supervisor->loop, signals, sizeof(signals) / sizeof(signals[0]), on_signal, supervisor);
}

/* Into the log, and to who stands before it when the log is elsewhere. */
static void report_failure(const struct supervisor *supervisor, struct buffer *error) {
    log_error("%s", buffer_string(error));
    if (log_descriptor() != STDERR_FILENO) {
        fprintf(stderr, "%s: %s\n", supervisor->options.queue_run ? "parcelpost-queue" : "parcelpostd",
                buffer_string(error));
    }
}

int listener_main(struct config *config, const struct listener_options *options) {
    heap_prepare();
    if (!options->queue_run) {
        hold_signals();
    }
    struct supervisor *supervisor = supervisor_new(config, options);
    struct buffer error;
    buffer_init(&error, ERROR_MAXIMUM);
    supervisor->status = start_checklist(supervisor, &error);
    if (supervisor->status != EXIT_STATUS_OK) {
        report_failure(supervisor, &error);
    } else {
        log_info("parcelpost starts: %s", supervisor->config->file);
        take_signals(supervisor);
        on_tick(supervisor);
        supervisor_settle(supervisor);
        loop_run(supervisor->loop, supervisor_settle, supervisor);
        log_info("ended");
    }
    int status = (int)supervisor->status;
    if (status != EXIT_STATUS_OK && supervisor->phase == PHASE_STOPPING && log_descriptor() != STDERR_FILENO &&
        !supervisor->options.queue_run) {
        fprintf(stderr, "parcelpostd: the start failed; the log says why: %s\n", supervisor->config->log_path_and_file);
    }
    buffer_free(&error);
    supervisor_free(supervisor);
    return status;
}
