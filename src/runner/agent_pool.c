/* SPDX-License-Identifier: MIT
 * The agents the runner knows: wanted from the listener, busy, idle, ending, each in the list of its state. An agent
 * works for one destination at a time; idle ones are kept a few seconds for its next mail, or go to another. An agent
 * that dies with a job in hand defers everybody in it. Those that wait for a server get a share of the agents only. */
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "runner/runner_private.h"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define IDLE_MILLISECONDS 3000
#define SLOW_MILLISECONDS 2000   /* a job that takes longer waits for its server */
#define TURN_MILLISECONDS 5000   /* an agent that others wait for goes on so long */
#define WANTED_MILLISECONDS 5000 /* then the listener's answer is taken for lost */
#define WANTED_AT_ONCE 16        /* the listener forks them one behind the other */
#define TIDY_MILLISECONDS 1000
#define LEFT_ALONE_MILLISECONDS 500 /* idle, for the next mail to the same destination */
#define LOOK_AT_IDLE 32
#define PAUSE_MILLISECONDS 1000
#define REFUSALS_MAXIMUM 3

/* ---- lists ---- */

static void list_add(struct agent_list *list, struct agent *agent) {
    agent->previous = list->last;
    agent->next = NULL;
    *(list->last != NULL ? &list->last->next : &list->first) = agent;
    list->last = agent;
    list->count++;
}

static void list_remove(struct agent_list *list, struct agent *agent) {
    *(agent->previous != NULL ? &agent->previous->next : &list->first) = agent->next;
    *(agent->next != NULL ? &agent->next->previous : &list->last) = agent->previous;
    agent->next = agent->previous = NULL;
    list->count--;
}

static void idle_add(struct agent *agent) {
    struct agent **first = &agent->destination->idle;
    agent->next_idle = *first;
    agent->previous_idle = NULL;
    if (*first != NULL) {
        (*first)->previous_idle = agent;
    }
    *first = agent;
}

static void idle_remove(struct agent *agent) {
    *(agent->previous_idle != NULL ? &agent->previous_idle->next_idle : &agent->destination->idle) = agent->next_idle;
    if (agent->next_idle != NULL) {
        agent->next_idle->previous_idle = agent->previous_idle;
    }
}

static void set_waits(struct runner *runner, struct agent *agent, bool waits) {
    if (agent->waits != waits) {
        agent->waits = waits;
        runner->waiting_agent_count += waits ? 1 : (size_t)-1;
    }
}

static void set_slow(struct agent *agent, bool slow) {
    if (agent->slow != slow) {
        agent->slow = slow;
        agent->destination->slow += slow ? 1 : (size_t)-1;
    }
}

static void leave_state(struct runner *runner, struct agent *agent) {
    if (runner->first_quick == agent) {
        runner->first_quick = agent->next;
    }
    if (agent->state == AGENT_IDLE) {
        idle_remove(agent);
    }
    list_remove(&runner->agents[agent->state], agent);
}

static void set_state(struct runner *runner, struct agent *agent, enum agent_state state) {
    leave_state(runner, agent);
    agent->state = state;
    agent->since = clock_now_ms();
    list_add(&runner->agents[state], agent);
    if (state == AGENT_IDLE) {
        idle_add(agent);
    }
    if (state == AGENT_BUSY && runner->first_quick == NULL) {
        runner->first_quick = agent;
    }
    if (state == AGENT_IDLE || state == AGENT_ENDING) {
        set_waits(runner, agent, false);
        set_slow(agent, false);
    }
}

static struct agent *add_agent(struct runner *runner, struct destination *destination) {
    struct agent *agent = memory_new(1, sizeof *agent);
    agent->token = ++runner->last_token;
    agent->state = AGENT_WANTED;
    agent->destination = destination;
    agent->since = agent->born = clock_now_ms();
    list_add(&runner->agents[AGENT_WANTED], agent);
    runner->agent_count++;
    runner->remote_agent_count += destination->remote;
    destination->agents++;
    set_waits(runner, agent, destination_is_doubtful(destination));
    agent_tidy_schedule(runner);
    return agent;
}

/* Takes it off the list; the destination may go with it. */
static void remove_agent(struct runner *runner, struct agent *agent) {
    struct destination *destination = agent->destination;
    set_waits(runner, agent, false);
    set_slow(agent, false);
    leave_state(runner, agent);
    runner->agent_count--;
    runner->remote_agent_count -= destination->remote;
    destination->agents--;
    destination_settle(runner, destination);
    destination_release(runner, destination);
    free(agent);
}

void agent_begins(struct runner *runner, struct agent *agent) {
    set_state(runner, agent, AGENT_BUSY);
    set_waits(runner, agent, destination_is_doubtful(agent->destination));
}

void agent_note_slow(struct runner *runner) {
    int64_t before = clock_now_ms() - SLOW_MILLISECONDS;
    while (runner->first_quick != NULL && runner->first_quick->since <= before) {
        struct agent *agent = runner->first_quick;
        runner->first_quick = agent->next;
        if (agent->destination->remote) {
            set_waits(runner, agent, true);
            set_slow(agent, true);
            destination_settle(runner, agent->destination);
        }
    }
}

/* ---- room ---- */

/* Slow servers elsewhere must not keep mail from our own mailboxes: what goes out leaves room for these. */
static size_t remote_limit(const struct runner *runner) {
    size_t limit = (size_t)runner->config->agent_limit, room = (size_t)runner->config->destination_limit;
    return limit - (room < limit / 2 ? room : limit / 2);
}

/* Nor from servers that answer: of the others, three quarters may wait for those of which nothing is known. */
static size_t waiting_limit(const struct runner *runner) {
    size_t share = remote_limit(runner) * 3 / 4;
    return share > 0 ? share : 1;
}

static bool waits_too_much(const struct runner *runner, enum destination_place place) {
    return place == PLACE_NEW && runner->waiting_agent_count >= waiting_limit(runner);
}

bool agent_has_room(const struct runner *runner, enum destination_place place) {
    return runner->agents[AGENT_WANTED].count < WANTED_AT_ONCE &&
           runner->agent_count < (size_t)runner->config->agent_limit &&
           (place == PLACE_LOCAL || runner->remote_agent_count < remote_limit(runner)) &&
           !waits_too_much(runner, place);
}

static bool has_work(const struct destination *destination) {
    return destination->place == PLACE_LOCAL || destination->place == PLACE_PROVEN || destination->place == PLACE_NEW;
}

void agent_make_place(struct runner *runner, enum destination_place place) {
    bool only_remote = place != PLACE_LOCAL && runner->agent_count < (size_t)runner->config->agent_limit;
    int64_t now = clock_now_ms();
    struct agent *had_its_time = NULL;
    if (runner->agents[AGENT_ENDING].count > 0 || runner->agents[AGENT_WANTED].count >= WANTED_AT_ONCE ||
        waits_too_much(runner, place)) {
        return;
    }
    for (struct agent *agent = runner->agents[AGENT_IDLE].first; agent != NULL; agent = agent->next) {
        if (only_remote && !agent->destination->remote) {
            continue;
        }
        if (!has_work(agent->destination)) {
            agent_end(runner, agent);
            return;
        }
        if (had_its_time == NULL && now - agent->born >= TURN_MILLISECONDS) {
            had_its_time = agent;
        }
    }
    if (had_its_time != NULL) {
        agent_end(runner, had_its_time);
    }
}

/* One that has nothing to do where it is goes to another destination by the same way: a new process costs more than a
 * new connection. Where there is room for more agents, it is left to its own for a moment. */
static struct agent *agent_from_elsewhere(struct runner *runner, struct destination *destination, bool room) {
    int64_t before = clock_now_ms() - (room ? LEFT_ALONE_MILLISECONDS : 0);
    struct agent *agent = runner->agents[AGENT_IDLE].first;
    for (int looked = 0; destination->remote && agent != NULL && agent->since <= before && looked < LOOK_AT_IDLE;
         looked++, agent = agent->next) {
        struct destination *former = agent->destination;
        if (strcmp(former->transport, destination->transport) != 0 || has_work(former)) {
            continue;
        }
        idle_remove(agent);
        former->agents--;
        agent->destination = destination;
        destination->agents++;
        idle_add(agent);
        destination_release(runner, former);
        return agent;
    }
    return NULL;
}

struct agent *agent_for(struct runner *runner, struct destination *destination) {
    bool room = agent_has_room(runner, destination->place);
    struct agent *agent = destination->idle;
    if (agent == NULL && (room || !waits_too_much(runner, destination->place))) {
        agent = agent_from_elsewhere(runner, destination, room);
    }
    if (agent != NULL) {
        agent_begins(runner, agent);
        return agent;
    }
    if (!room) {
        return NULL;
    }
    agent = add_agent(runner, destination);
    struct hub_agent wanted = {.transport = text_of(destination->transport), .token = agent->token};
    if (service_send(service_hub(runner->service), HUB_AGENT_WANTED, 0, &wanted, -1) != CHANNEL_OK) {
        destination_pause(runner, destination, clock_deadline(PAUSE_MILLISECONDS), false);
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
        destination_pause(runner, destination, clock_deadline(PAUSE_MILLISECONDS), false);
        if (++destination->refusals < REFUSALS_MAXIMUM) {
            job_abandon(runner, job);
        } else {
            job_fail(runner, job, RESULT_DEFERRED, "451 4.3.0 no delivery agent could be started");
        }
    }
    remove_agent(runner, agent);
}

/* ---- their lives ---- */

bool agent_on_hub_agent(void *context, struct service_peer *peer, struct channel_message *message) {
    struct runner *runner = context;
    uint32_t token = message->values->hub_agent.token;
    struct agent *agent = runner->agents[AGENT_WANTED].first; /* the listener answers in order */
    (void)peer;
    while (agent != NULL && agent->token != token) {
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
    agent_begins(runner, agent);
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
    if (agent->outdated) {
        agent_end(runner, agent);
        return;
    }
    set_state(runner, agent, AGENT_IDLE);
    agent_tidy_schedule(runner);
}

void agent_outdate(struct runner *runner) {
    while (runner->agents[AGENT_IDLE].first != NULL) {
        agent_end(runner, runner->agents[AGENT_IDLE].first);
    }
    for (struct agent *agent = runner->agents[AGENT_BUSY].first; agent != NULL; agent = agent->next) {
        agent->outdated = true;
    }
}

static void tidy(void *context) {
    struct runner *runner = context;
    struct agent *agent;
    int64_t now = clock_now_ms();
    runner->tidy = NULL;
    while ((agent = runner->agents[AGENT_IDLE].first) != NULL && agent->since <= now - IDLE_MILLISECONDS) {
        agent_end(runner, agent);
    }
    while ((agent = runner->agents[AGENT_WANTED].first) != NULL && agent->since <= now - WANTED_MILLISECONDS) {
        log_warn("no agent for %s %s came", agent->destination->transport, agent->destination->domain);
        agent_refused(runner, agent);
    }
    agent_tidy_schedule(runner);
}

void agent_tidy_schedule(struct runner *runner) {
    if (runner->tidy == NULL && runner->agents[AGENT_WANTED].count + runner->agents[AGENT_IDLE].count > 0) {
        runner->tidy = loop_after(service_loop(runner->service), TIDY_MILLISECONDS, tidy, runner);
    }
}
