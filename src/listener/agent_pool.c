/* SPDX-License-Identifier: MIT
 * Forking delivery agents for the queue runner, which names a transport; whom the agent becomes says the configuration,
 * never a message. Part of the listener; an agent that cannot be had is answered with none, and the runner defers. */
#include "base/clock.h"
#include "base/log.h"
#include "listener/supervisor.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define RUNNER_LINGER_MS 30000 /* a replaced runner may finish what its agents have in hand */
#define AGENT_SLACK 8          /* beyond agent_limit: those that are just ending */

/* The transport's name as the configuration keeps it, its kind and its user; false when there is no such transport. */
static bool find_transport(const struct config *config, struct text name, const char **kept, const char **kind,
                           const char **user) {
    static const char *const built_in[] = {"lmtp", "smtp", "maildir", "null"};
    *user = config->maildir_user;
    const struct config_transport *block = config_transport_find(config, name);
    if (block != NULL) {
        *kept = block->name;
        *kind = block->kind;
        *user = block->user != NULL && block->user[0] != '\0' ? block->user : *user;
        return true;
    }
    for (size_t i = 0; i < sizeof(built_in) / sizeof(built_in[0]); i++) {
        if (text_equal(text_of(built_in[i]), name)) {
            *kept = *kind = built_in[i];
            return true;
        }
    }
    return false;
}

/* Those that only talk to other machines run as the network user, in an empty directory. */
static bool is_network_kind(const char *kind) {
    return strcmp(kind, "smtp") == 0 || strcmp(kind, "lmtp") == 0 || strcmp(kind, "null") == 0;
}

static bool choose_user(const struct supervisor *supervisor, struct text name, struct process_start *start) {
    const char *kind, *user, *directory = supervisor->config->chroot_directory;
    if (!find_transport(supervisor->config, name, &start->transport, &kind, &user)) {
        log_error("the runner wants an agent for \"%.*s\", which is no transport", TEXT_ARGS(name));
        return false;
    }
    if (!privilege_is_root()) {
        return true;
    }
    if (is_network_kind(kind)) {
        start->chroot = directory[0] != '\0' ? directory : NULL;
        return true;
    }
    if (!privilege_find(user, "", &start->user) || start->user.uid == 0) {
        log_error("transport %s: the user \"%s\" does not exist, or is root", start->transport, user);
        return false;
    }
    return true;
}

/* Forks it; *job is our end of its channel to the runner. */
static bool fork_agent(struct supervisor *supervisor, struct process_start *start, int *job) {
    int jobs[2] = {-1, -1}, questions[2] = {-1, -1};
    struct child *agent = NULL, *resolver = supervisor->slots[SLOT_RESOLVER].child;
    if (channel_pair(jobs) && channel_pair(questions)) {
        start->job = jobs[1];
        start->resolver = questions[1];
        agent = child_fork(supervisor, PROCESS_AGENT, start);
    } else {
        log_error("no channels for an agent: %s", strerror(errno));
    }
    if (agent != NULL && (resolver == NULL || !service_give_peer(resolver, PEER_AGENT, agent->pid, &questions[0]))) {
        log_warn("the resolver takes no further askers now");
        child_kill(agent);
        agent = NULL;
    }
    const int unused[] = {jobs[1], questions[0], questions[1], agent == NULL ? jobs[0] : -1};
    for (size_t i = 0; i < sizeof(unused) / sizeof(unused[0]); i++) {
        if (unused[i] >= 0) {
            close(unused[i]);
        }
    }
    *job = agent != NULL ? jobs[0] : -1;
    return agent != NULL;
}

void agent_wanted(struct child *runner, const struct hub_agent *wanted) {
    struct supervisor *supervisor = runner->supervisor;
    struct process_start start = child_start(supervisor, PROCESS_AGENT);
    int job = -1;
    size_t most = (size_t)supervisor->config->agent_limit + AGENT_SLACK;
    if (supervisor->child_count[PROCESS_AGENT] >= most) {
        log_warn("the runner wants more agents than agent_limit allows");
    } else if (supervisor->phase != PHASE_STOPPING && choose_user(supervisor, wanted->transport, &start)) {
        (void)fork_agent(supervisor, &start, &job);
    }
    if (!child_send(runner, HUB_AGENT, wanted, job)) {
        log_warn("the runner does not take an agent's channel");
    }
    if (job >= 0) {
        close(job);
    }
}

bool agents_are_gone(struct supervisor *supervisor) {
    if (supervisor->child_count[PROCESS_RUNNER] == 0 && supervisor->child_count[PROCESS_AGENT] == 0) {
        supervisor->orphans_deadline = 0;
        return true;
    }
    if (supervisor->orphans_deadline == 0) {
        supervisor->orphans_deadline = clock_deadline(RUNNER_LINGER_MS);
    }
    /* Agents without a runner can tell nobody what they did, so what they still deliver would be delivered again. */
    bool late = supervisor->child_count[PROCESS_RUNNER] == 0 || clock_now_ms() >= supervisor->orphans_deadline;
    for (struct child *child = supervisor->children; child != NULL; child = child->next) {
        if (child->kind != PROCESS_RUNNER && child->kind != PROCESS_AGENT) {
            continue;
        }
        child_retire(child);
        if (late) {
            child_kill(child);
        }
    }
    return false;
}
