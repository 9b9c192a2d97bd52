/* SPDX-License-Identifier: MIT
 * Whose turn it is: which destinations start a job, at the end of each round. Nobody holds others up: mail to our own
 * mailboxes has agents that nobody else gets, servers that answer have some that nothing else may wait with, and of the
 * rest every second place goes to the destination that came last, so that a single message need not wait for a mailing
 * to a thousand domains. */
#include "base/clock.h"
#include "runner/runner_private.h"

#define AHEAD_MAXIMUM 32   /* jobs whose content is fetched before there is an agent for them */
#define RECORDING_FACTOR 4 /* unrecorded results, in agent_limits, before nothing new is started */
#define MINUTE 60000

static bool results_pile_up(const struct runner *runner) {
    return runner->recording_count >= RECORDING_FACTOR * (size_t)runner->config->agent_limit;
}

static void use_rate(struct runner *runner, struct destination *destination) {
    int64_t now = clock_now_ms();
    if (destination->rate > 0) {
        destination->next_ms = (destination->next_ms > now ? destination->next_ms : now) + MINUTE / destination->rate;
        destination_pause(runner, destination, destination->next_ms, false);
    }
}

static bool start(struct runner *runner, struct destination *destination, struct agent *agent) {
    bool started = job_take_ahead(runner, destination, agent) || job_start(runner, destination, agent);
    if (started) {
        use_rate(runner, destination);
    }
    return started;
}

static struct destination *next_of(struct runner *runner, enum destination_place place) {
    struct destination_list *list = &runner->places[place];
    runner->take_newest = place != PLACE_LOCAL && !runner->take_newest;
    return runner->take_newest ? list->last : list->first;
}

/* Starts what can be started of one place until nothing is left or there is no place for another agent. */
static void start_place(struct runner *runner, enum destination_place place) {
    struct destination *destination;
    while (!results_pile_up(runner) && (destination = next_of(runner, place)) != NULL) {
        if (!job_may_start(runner, destination)) { /* before an agent is forked for it */
            destination_settle(runner, destination);
            continue;
        }
        struct agent *agent = agent_for(runner, destination);
        if (agent == NULL) {
            if (destination->place == place) { /* not paused: there is no room */
                agent_make_place(runner, place);
                return;
            }
            continue;
        }
        destination_turn(runner, destination);
        start(runner, destination, agent);
    }
}

/* Agents that are idle although no place is free for others go on with what their own destinations have. */
static void use_idle(struct runner *runner) {
    struct agent *next;
    for (struct agent *agent = runner->agents[AGENT_IDLE].first; agent != NULL && !results_pile_up(runner);
         agent = next) {
        struct destination *destination = agent->destination;
        next = agent->next;
        if (destination->place == PLACE_LOCAL || destination->place == PLACE_PROVEN ||
            destination->place == PLACE_NEW) {
            struct agent *own = agent_for(runner, destination); /* perhaps another one of the same destination */
            next = runner->agents[AGENT_IDLE].first;
            destination_turn(runner, destination);
            if (!start(runner, destination, own)) {
                return; /* it is idle again, and paused or out of mail */
            }
        }
    }
}

/* The ledger answers between two flushes. An agent that asked only when it is idle would have one message a flush. */
static void fetch_ahead(struct runner *runner) {
    for (struct agent *agent = runner->agents[AGENT_BUSY].first;
         agent != NULL && runner->ahead_count < AHEAD_MAXIMUM && !results_pile_up(runner); agent = agent->next) {
        struct destination *destination = agent->destination;
        while (destination->quick && destination->waiting > 0 && destination->failures == 0 &&
               runner->ahead_count < AHEAD_MAXIMUM && destination->paused_until <= clock_now_ms() &&
               job_start(runner, destination, NULL)) {
        }
    }
}

void turn_start_jobs(struct runner *runner) {
    if (runner->stopping || results_pile_up(runner)) {
        return;
    }
    agent_note_slow(runner);
    destination_wake_paused(runner);
    standing_put_off(runner);
    start_place(runner, PLACE_LOCAL);
    runner->new_first = !runner->new_first; /* a place that became free is for both */
    start_place(runner, runner->new_first ? PLACE_NEW : PLACE_PROVEN);
    start_place(runner, runner->new_first ? PLACE_PROVEN : PLACE_NEW);
    use_idle(runner);
    fetch_ahead(runner);
}
