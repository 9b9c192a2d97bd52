/* SPDX-License-Identifier: MIT
 * The agents the runner knows: wanted from the listener, busy, idle, ending. An agent works for one destination; idle
 * ones are kept a few seconds for its next mail. An agent that dies with a job in hand defers everybody in it. */
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "runner/runner_private.h"
#include <stdlib.h>
#include <sys/socket.h>

#define IDLE_MILLISECONDS 3000
#define WANTED_MILLISECONDS 5000 /* then the listener's answer is taken for lost */
#define TIDY_MILLISECONDS 1000
#define PAUSE_MILLISECONDS 1000
#define REFUSALS_MAXIMUM 3

static void set_state(struct runner *runner, struct agent *agent, enum agent_state state) {
    if (agent->state == AGENT_IDLE) {
        runner->idle_count--;
        agent->destination->idle--;
    }
    agent->state = state;
    if (state == AGENT_IDLE) {
        runner->idle_count++;
        agent->destination->idle++;
    }
}

static struct agent *add_agent(struct runner *runner, struct destination *destination) {
    struct agent *agent = memory_new(1, sizeof *agent);
    agent->token = ++runner->last_token;
    agent->state = AGENT_WANTED;
    agent->destination = destination;
    agent->since = clock_now_ms();
    agent->next = runner->agents;
    runner->agents = agent;
    runner->agent_count++;
    runner->remote_agent_count += destination_is_remote(destination);
    destination->agents++;
    agent_tidy_schedule(runner);
    return agent;
}

/* Takes it off the list; the destination may go with it. */
static void remove_agent(struct runner *runner, struct agent *agent) {
    struct agent **place = &runner->agents;
    while (*place != agent) {
        place = &(*place)->next;
    }
    *place = agent->next;
    set_state(runner, agent, AGENT_ENDING);
    runner->agent_count--;
    runner->remote_agent_count -= destination_is_remote(agent->destination);
    agent->destination->agents--;
    destination_release(runner, agent->destination);
    free(agent);
}

static struct agent *idle_agent(struct runner *runner, const struct destination *destination) {
    struct agent *agent = runner->agents;
    while (agent != NULL && (agent->state != AGENT_IDLE || agent->destination != destination)) {
        agent = agent->next;
    }
    return agent;
}

static struct agent *longest_idle(struct runner *runner, bool only_remote) {
    struct agent *longest = NULL;
    for (struct agent *agent = runner->agents; agent != NULL; agent = agent->next) {
        if (agent->state == AGENT_IDLE && (!only_remote || destination_is_remote(agent->destination)) &&
            (longest == NULL || agent->since < longest->since)) {
            longest = agent;
        }
    }
    return longest;
}

static bool any_ending(const struct runner *runner, bool only_remote) {
    const struct agent *agent = runner->agents;
    while (agent != NULL &&
           (agent->state != AGENT_ENDING || (only_remote && !destination_is_remote(agent->destination)))) {
        agent = agent->next;
    }
    return agent != NULL;
}

/* Slow servers elsewhere must not keep mail from our own mailboxes: what goes out leaves room for these. */
static bool remote_agents_are_used_up(const struct runner *runner) {
    size_t limit = (size_t)runner->config->agent_limit, room = (size_t)runner->config->destination_limit;
    return runner->remote_agent_count >= limit - (room < limit / 2 ? room : limit / 2);
}

/* An idle agent of somebody else ends; its place becomes free when it is gone. */
static void make_place(struct runner *runner, bool only_remote) {
    struct agent *other =
        runner->idle_count == 0 || any_ending(runner, only_remote) ? NULL : longest_idle(runner, only_remote);
    if (other != NULL) {
        agent_end(runner, other);
    }
}

struct agent *agent_for(struct runner *runner, struct destination *destination) {
    struct agent *agent = destination->idle > 0 ? idle_agent(runner, destination) : NULL;
    if (agent != NULL) {
        set_state(runner, agent, AGENT_BUSY);
        return agent;
    }
    bool only_remote = destination_is_remote(destination) && remote_agents_are_used_up(runner);
    if (only_remote || runner->agent_count >= (size_t)runner->config->agent_limit) {
        make_place(runner, only_remote);
        return NULL;
    }
    agent = add_agent(runner, destination);
    struct hub_agent wanted = {.transport = text_of(destination->transport), .token = agent->token};
    if (service_send(service_hub(runner->service), HUB_AGENT_WANTED, 0, &wanted, -1) != CHANNEL_OK) {
        destination->paused_until = clock_deadline(PAUSE_MILLISECONDS);
        runner_soon(runner, PAUSE_MILLISECONDS);
        remove_agent(runner, agent);
        return NULL;
    }
    return agent;
}

/* None could be had. A few times the parcels just wait; then it counts as an attempt, so that nothing waits for ever.
 */
static void agent_refused(struct runner *runner, struct agent *agent) {
    struct job *job = agent->job;
    struct destination *destination = agent->destination;
    if (job != NULL) {
        job->agent = NULL;
        agent->job = NULL;
        destination->paused_until = clock_deadline(PAUSE_MILLISECONDS);
        runner_soon(runner, PAUSE_MILLISECONDS);
        if (++destination->refusals < REFUSALS_MAXIMUM) {
            job_abandon(runner, job);
        } else {
            job_fail(runner, job, RESULT_DEFERRED, "451 4.3.0 no delivery agent could be started");
        }
    }
    remove_agent(runner, agent);
}

bool agent_on_hub_agent(void *context, struct service_peer *peer, struct channel_message *message) {
    struct runner *runner = context;
    uint32_t token = message->values->hub_agent.token;
    struct agent *agent = runner->agents;
    (void)peer;
    while (agent != NULL && (agent->state != AGENT_WANTED || agent->token != token)) {
        agent = agent->next;
    }
    if (agent == NULL) {
        return true; /* the frame closes its channel, and the agent ends */
    }
    if (message->fd < 0) {
        agent_refused(runner, agent);
        return true;
    }
    agent->peer = service_add_peer(runner->service, message->fd, PEER_AGENT, token);
    agent->peer->data = agent;
    message->fd = -1;
    agent->destination->refusals = 0;
    if (agent->job == NULL) {
        agent_becomes_idle(runner, agent);
        return true;
    }
    set_state(runner, agent, AGENT_BUSY);
    job_deliver(runner, agent->job);
    return true;
}

void agent_peer_gone(struct runner *runner, struct service_peer *peer) {
    struct agent *agent = peer->data;
    struct job *job = agent->job;
    if (job != NULL) {
        job->agent = NULL;
        agent->job = NULL;
        if (runner->stopping) {
            job_abandon(runner, job); /* it ended because the listener did */
        } else {
            log_error("the agent for %s %s died", agent->destination->transport, agent->destination->domain);
            job_fail(runner, job, RESULT_DEFERRED, "451 4.3.0 the delivery agent died");
        }
    }
    remove_agent(runner, agent);
}

/* Half a close: the agent sees the end, we see when it is gone. */
void agent_end(struct runner *runner, struct agent *agent) {
    set_state(runner, agent, AGENT_ENDING);
    if (agent->peer != NULL) {
        shutdown(agent->peer->fd, SHUT_WR);
    }
}

void agent_becomes_idle(struct runner *runner, struct agent *agent) {
    agent->job = NULL;
    if (agent->state == AGENT_ENDING || agent->peer == NULL) {
        return; /* one that is still wanted becomes idle when it comes */
    }
    set_state(runner, agent, AGENT_IDLE);
    agent->since = clock_now_ms();
    agent_tidy_schedule(runner);
}

static struct agent *overdue_agent(const struct runner *runner) {
    int64_t before = clock_now_ms() - WANTED_MILLISECONDS;
    struct agent *agent = runner->agents;
    while (agent != NULL && (agent->state != AGENT_WANTED || agent->since > before)) {
        agent = agent->next;
    }
    return agent;
}

static void tidy(void *context) {
    struct runner *runner = context;
    struct agent *overdue;
    int64_t before = clock_now_ms() - IDLE_MILLISECONDS;
    runner->tidy = NULL;
    for (struct agent *agent = runner->agents; agent != NULL; agent = agent->next) {
        if (agent->state == AGENT_IDLE && agent->since <= before) {
            agent_end(runner, agent);
        }
    }
    while ((overdue = overdue_agent(runner)) != NULL) {
        log_warn("no agent for %s %s came", overdue->destination->transport, overdue->destination->domain);
        agent_refused(runner, overdue);
    }
    agent_tidy_schedule(runner);
}

static bool any_wanted_or_idle(const struct runner *runner) {
    const struct agent *agent = runner->agents;
    while (agent != NULL && agent->state != AGENT_WANTED && agent->state != AGENT_IDLE) {
        agent = agent->next;
    }
    return agent != NULL;
}

void agent_tidy_schedule(struct runner *runner) {
    if (runner->tidy == NULL && any_wanted_or_idle(runner)) {
        runner->tidy = loop_after(service_loop(runner->service), TIDY_MILLISECONDS, tidy, runner);
    }
}
