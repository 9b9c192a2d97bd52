/* SPDX-License-Identifier: MIT
 * The connector: answers CONNECT_ASK with a connected descriptor. Forked by the listener where the configuration names
 * something that needs it; becomes outside_user, with that user's groups, so that sockets of policy servers and milters
 * can be opened to it. A receiver that was taken over can reach nothing but what the operator wrote, and not often:
 * what passes the limits is refused. A place that does not answer is an answer, never an end.
 *
 * Why it is confined only where no program is configured: a filter would be the program's, too. */
#include "connector/connector.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/confinement.h"
#include "connector/connector_private.h"
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* Of one asker. A server that closes after each answer costs a connection a command. */
#define OPEN_MAXIMUM 8        /* under way */
#define PROGRAMS_MAXIMUM 16   /* running */
#define ALLOWANCE_MAXIMUM 200 /* at once, and then */
#define ALLOWANCE_A_SECOND 50
#define WHY_SIZE 256

void asker_release(struct asker *asker) {
    if (asker->peer == NULL && asker->open == 0 && asker->programs == 0) {
        free(asker);
    }
}

void attempt_end(struct attempt *attempt, int fd, const char *why) {
    struct asker *asker = attempt->asker;
    asker->open--;
    if (fd < 0) {
        log_debug("%s \"%s\" at %s: %s", attempt->outside.sort, attempt->outside.name, attempt->outside.endpoint, why);
    }
    if (asker->peer != NULL) {
        const struct connect_answer answer = {.connected = fd >= 0, .why = text_of(fd >= 0 ? "" : why)};
        service_answer(asker->peer, CONNECT_ANSWER, attempt->serial, &answer, fd);
    }
    if (fd >= 0) {
        close(fd);
    }
    asker_release(asker);
    free(attempt);
}

static bool may_open(struct asker *asker) {
    int64_t now = clock_now_ms();
    asker->allowance += (double)(now - asker->allowance_at) * ALLOWANCE_A_SECOND / 1000;
    asker->allowance_at = now;
    if (asker->allowance > ALLOWANCE_MAXIMUM) {
        asker->allowance = ALLOWANCE_MAXIMUM;
    }
    if (asker->open >= OPEN_MAXIMUM || asker->allowance < 1) {
        return false;
    }
    asker->allowance -= 1;
    return true;
}

static bool handle_ask(void *context, struct service_peer *peer, struct channel_message *message) {
    struct connector *connector = context;
    const struct connect_ask *ask = &message->values->connect_ask;
    struct asker *asker = peer->data;
    struct config_outside outside = config_outside_find(connector->config, (enum outside_kind)ask->kind, ask->index);
    if (outside.endpoint[0] == '\0') {
        log_warn("process %u asks for a connection that is not configured (kind %u, number %u): closed", peer->pid,
                 ask->kind, ask->index);
        return false;
    }
    struct attempt *attempt = memory_new(1, sizeof *attempt);
    *attempt = (struct attempt){.connector = connector, .asker = asker, .serial = message->serial, .outside = outside};
    bool is_program = outside.endpoint[0] == '|';
    bool allowed = may_open(asker) && (!is_program || asker->programs < PROGRAMS_MAXIMUM);
    asker->open++;
    if (!allowed) {
        attempt_end(attempt, -1, "one session asks for too many connections");
    } else if (is_program) {
        program_begin(attempt);
    } else {
        connect_begin(attempt);
    }
    return true;
}

static void asker_new(void *context, struct service_peer *peer) {
    struct connector *connector = context;
    struct asker *asker = memory_new(1, sizeof *asker);
    *asker = (struct asker){.peer = peer, .allowance = ALLOWANCE_MAXIMUM, .allowance_at = clock_now_ms()};
    peer->data = asker;
    connector->asker_count++;
}

static void asker_gone(void *context, struct service_peer *peer) {
    struct connector *connector = context;
    struct asker *asker = peer->data;
    asker->peer = NULL;
    peer->data = NULL;
    connector->asker_count--;
    programs_kill(connector, asker);
    asker_release(asker);
}

/* Programs get their time to end by themselves, also when nobody asks any more. */
static void end_when_idle(void *context) {
    struct connector *connector = context;
    if (connector->hub_gone && connector->asker_count == 0 && connector->programs == NULL) {
        loop_stop(service_loop(connector->service));
    }
}

static void on_hub_gone(void *context) {
    struct connector *connector = context;
    connector->hub_gone = true;
}

static void child_ended(void *context, int signal_number) {
    (void)signal_number;
    programs_reap(context);
}

static const struct service_row rows[] = {{CONNECT_ASK, handle_ask}};
static const struct service_definition definition = {
    .kind = SERVICE_CONNECTOR,
    .rows = rows,
    .row_count = sizeof rows / sizeof *rows,
    .after_round = end_when_idle,
    .peer_new = asker_new,
    .peer_gone = asker_gone,
    .hub_gone = on_hub_gone,
};

_Noreturn void connector_main(const struct process_start *start) {
    static const int signals[] = {SIGCHLD};
    struct connector connector = {.config = start->config};
    log_set_program("connector");
    connector.service = service_new(&definition, start->hub, &connector);
    loop_signals(service_loop(connector.service), signals, 1, child_ended, &connector);
    names_begin(&connector, start->resolver);
    privilege_drop(&start->user, NULL);
    if (!config_has_outside(start->config, true)) {
        confinement_enter(CONFINED_CONNECTOR, start->config, NULL);
    }
    service_run(connector.service);
}
