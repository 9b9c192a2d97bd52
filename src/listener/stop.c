/* SPDX-License-Identifier: MIT
 * Stopping in order: ports first, then receivers, runner, agents and the services they ask, the ledger last. Each is
 * told by closing its hub; what does not end in time is killed, which loses nothing that was answered with 250. */
#include "base/clock.h"
#include "base/log.h"
#include "listener/supervisor.h"

#define STAGE_MS 5000         /* for each kind after the receivers */
#define LEDGER_STAGE_MS 30000 /* what it has answered is safe; this is for closing its database well */

static const enum process_kind order[] = {PROCESS_RECEIVER, PROCESS_NURSERY,   PROCESS_RUNNER,
                                          PROCESS_AGENT,    PROCESS_CONNECTOR, PROCESS_SIGNER,
                                          PROCESS_LOOKUP,   PROCESS_RESOLVER,  PROCESS_LEDGER};

void stop_begin(struct supervisor *supervisor) {
    if (supervisor->phase == PHASE_STOPPING) {
        return;
    }
    supervisor->phase = PHASE_STOPPING;
    supervisor->stop_deadline = clock_deadline(supervisor->config->stop_timeout * 1000);
    supervisor->stop_stage = PROCESS_KINDS;
    ports_ignore(supervisor);
    arrivals_dismiss(supervisor);
    port_set_close(&supervisor->ports);
}

static int64_t stage_deadline(const struct supervisor *supervisor) {
    int64_t own =
        supervisor->stop_stage_began + (supervisor->stop_stage == PROCESS_LEDGER ? LEDGER_STAGE_MS : STAGE_MS);
    if (supervisor->stop_stage == PROCESS_RECEIVER) {
        return supervisor->stop_deadline;
    }
    return own > supervisor->stop_deadline ? own : supervisor->stop_deadline;
}

static void end_kind(struct supervisor *supervisor, enum process_kind kind) {
    bool late = clock_now_ms() >= stage_deadline(supervisor);
    if (late) {
        log_warn("%zu %s(s) did not end in time: killed", supervisor->child_count[kind], process_names[kind]);
        supervisor->stop_stage_began = clock_now_ms(); /* the next warning after another while */
    }
    for (struct child *child = supervisor->children; child != NULL; child = child->next) {
        if (child->kind != kind) {
            continue;
        }
        child_retire(child);
        if (late) {
            child_kill(child);
        }
    }
}

void stop_settle(struct supervisor *supervisor) {
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        if (supervisor->child_count[order[i]] == 0) {
            continue;
        }
        if (supervisor->stop_stage != order[i]) {
            supervisor->stop_stage = order[i];
            supervisor->stop_stage_began = clock_now_ms();
        }
        end_kind(supervisor, order[i]);
        return;
    }
    loop_stop(supervisor->loop);
}
