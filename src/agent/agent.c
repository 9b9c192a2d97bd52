/* SPDX-License-Identifier: MIT
 * The delivery agent: forked by the listener when the runner wants one, works off AGENT_JOBs, mostly of one
 * destination, and ends when its job channel closes. Drops to the network user in an empty directory (smtp, lmtp, null)
 * or to the transport's configured user (maildir, pipe) before it reads anything. Whatever goes wrong with a message is
 * a result; only a malformed job or a missing transport ends the agent with a status of its own. */
#include "agent/agent.h"
#include "agent/filter.h"
#include "agent/transport.h"
#include "base/clock.h"
#include "base/exit_status.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/sandbox.h"
#include "config/confinement.h"
#include "ipc/ask.h"
#include "ipc/whitelist.h"
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void ignore_signals(void) {
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE}; /* a closing channel is how an agent is told */
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
        signal(ignored[i], SIG_IGN);
    }
}

/* What needs files, the dropping of privileges, and what must not be held afterwards. */
static void drop_privileges(const struct process_start *start, const struct transport_context *context) {
    const int keep[] = {start->job, start->hub, start->resolver, log_descriptor()};
    tzset();
    privilege_close_other_descriptors(keep, sizeof keep / sizeof keep[0]);
    privilege_drop(&start->user, transport_needs_file_system(context) ? NULL : start->chroot);
    if (!context->filtered && !context->transport->runs_programs) { /* a program would inherit the filter */
        confinement_enter(context->transport->network ? CONFINED_NETWORK_AGENT : CONFINED_FOLDER_AGENT, start->config,
                          context->target);
    }
}

static void take_log(struct channel_message *message) {
    if (message->kind == HUB_LOG && message->fd >= 0) {
        int former = log_set_descriptor(message->fd);
        message->fd = -1;
        if (former > STDERR_FILENO) {
            close(former);
        }
    }
}

/* One message from the listener. False when it is gone: then the agent ends, as it does after the job in hand. */
static bool serve_hub(int hub, char *storage) {
    union channel_values values;
    struct channel_message message = {.fd = -1};
    enum channel_result result = channel_receive(hub, 0, storage, &values, &message);
    if (result == CHANNEL_OK) {
        take_log(&message);
    }
    if (message.fd >= 0) {
        close(message.fd);
    }
    return result == CHANNEL_OK || result == CHANNEL_AGAIN;
}

/* Waits for the runner's next job, serving the listener meanwhile. False: nothing will come any more, or nothing
 * should: without a resolver every destination would seem to be out of reach, and the next agent gets a new one. */
static bool wait_for_job(const struct process_start *start, char *storage) {
    struct pollfd ready[3] = {
        {.fd = start->job, .events = POLLIN}, {.fd = start->hub, .events = POLLIN}, {.fd = start->resolver}};
    for (;;) {
        int count = poll(ready, 3, -1);
        if (count < 0 && errno != EINTR) {
            return false;
        }
        if (count > 0 && ready[1].revents != 0 && !serve_hub(start->hub, storage)) {
            return false;
        }
        if (count > 0 && ready[0].revents != 0) {
            return true;
        }
        if (count > 0 && ready[2].revents != 0) {
            return false;
        }
    }
}

/* One job. False when the runner is gone or asks nonsense. */
static bool serve_job(const struct process_start *start, struct transport_context *context, char *storage) {
    static struct delivery delivery; /* holds a piece of content: too large for comfort on the stack */
    union channel_values values;
    struct channel_message message = {.fd = -1};
    if (channel_receive(start->job, clock_deadline(1000), storage, &values, &message) != CHANNEL_OK) {
        return false;
    }
    bool good = whitelist_allows(SERVICE_AGENT, PEER_RUNNER, message.kind) && delivery_read(&delivery, &message);
    if (message.fd >= 0) {
        close(message.fd);
    }
    if (!good) {
        log_error("the runner sent a malformed job");
        exit(EXIT_STATUS_PROTOCOL);
    }
    delivery.content.job = start->job;
    log_set_tag(delivery.mail_id);
    if (context->filtered && delivery.local) {
        (void)filter_apply(context->config, &delivery.content);
    }
    bool reusable = context->transport->deliver(context, &delivery) && !dns_resolver_is_gone(start->resolver);
    bool reported = delivery_report(&delivery, start->job, message.serial, reusable);
    if (!reported) {
        log_error("a result could not be reported to the runner");
    }
    log_set_tag("");
    delivery_free(&delivery);
    return reported && reusable;
}

static bool wants_tls(const struct transport_context *context) {
    const struct config *config = context->config;
    bool wanted = config->outbound_tls;
    for (size_t i = 0; i < config->route_count; i++) {
        wanted = wanted || config->routes[i].tls != ROUTE_TLS_OPPORTUNISTIC;
    }
    return context->transport->wants_tls && wanted;
}

/* Only here, with the privileges the agent was forked with, and only for remote mail: no process that talks with
 * clients has these passwords in its memory. */
static void read_passwords(struct transport_context *context) {
    const struct config *config = context->config;
    struct buffer error;
    if (context->transport != &transport_smtp || config->route_count == 0) {
        return;
    }
    buffer_init(&error, 4096);
    context->passwords = memory_new(config->route_count, sizeof *context->passwords);
    for (size_t i = 0; i < config->route_count; i++) {
        const struct config_route *route = &config->routes[i];
        context->passwords[i] = route->user[0] != '\0' ? config_route_password(route, &error) : NULL;
    }
    if (error.length > 0) {
        log_error("%s", buffer_string(&error)); /* the listener had read it: it has changed since */
    }
    buffer_free(&error);
}

/* What the runner calls "smtp" is remote mail; what any other transport delivers may be for us. */
static bool is_filtered(const struct config *config, const char *name) {
    return config->local_filter[0] != '\0' && strcmp(name, "smtp") != 0;
}

/* Asked before the file system could be out of reach; "/" where the user has none. */
static char *home_of(const struct process_start *start) {
    const struct passwd *entry = getpwuid(start->user.known && privilege_is_root() ? start->user.uid : geteuid());
    return memory_string(
        text_of(entry != NULL && entry->pw_dir != NULL && entry->pw_dir[0] == '/' ? entry->pw_dir : "/"));
}

_Noreturn void agent_main(const struct process_start *start) {
    struct transport_context context = {.resolver = start->resolver};
    const char *name = start->transport != NULL ? start->transport : "";
    log_set_program("agent");
    ignore_signals();
    if (!transport_find(start->config, name, &context)) {
        die_fatal(EXIT_STATUS_CONFIG, "there is no transport \"%s\"", name);
    }
    context.filtered = is_filtered(start->config, name);
    if (wants_tls(&context)) {
        context.tls = tls_client_new();
    }
    read_passwords(&context);
    context.home = context.transport->network ? "/" : home_of(start);
    drop_privileges(start, &context);
    char *storage = memory_new(1, CHANNEL_MESSAGE_MAXIMUM);
    while (wait_for_job(start, storage) && serve_job(start, &context, storage)) {
    }
    if (context.transport->close != NULL) {
        context.transport->close(&context);
    }
    free(storage);
    sandbox_exit(EXIT_STATUS_OK);
}
