/* SPDX-License-Identifier: MIT
 * The resolver: answers DNS_ASK with DNS_ANSWER, in whatever order the servers answer. Forked by the listener; makes
 * its channel (which reads resolv.conf) and drops to parcelpost-net in an empty chroot before it takes a question. An
 * asker with too many open questions is closed; a failing server is an answer, never an end. */
#include "resolver/resolver.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/config.h"
#include "config/confinement.h"
#include "dns/dns.h"
#include "ipc/list.h"
#include "ipc/service.h"
#include <stdlib.h>

#define OPEN_MAXIMUM 512u                                 /* questions of one asker under way */
#define RECORDS_MAXIMUM (CHANNEL_MESSAGE_MAXIMUM - 4096u) /* leaves room for the rest of the answer */

struct asker {                 /* service_peer.data */
    struct service_peer *peer; /* NULL: gone, its questions end unheard */
    unsigned open;
};
struct question {
    struct asker *asker;
    uint32_t serial;
};
struct resolver {
    struct dns *dns;
};

static const enum dns_status statuses[DNS_OUTCOMES] = {
    [DNS_OUTCOME_FOUND] = DNS_FOUND,     [DNS_OUTCOME_NO_DATA] = DNS_NO_DATA, [DNS_OUTCOME_NO_NAME] = DNS_NO_NAME,
    [DNS_OUTCOME_FAILED] = DNS_SERVFAIL, [DNS_OUTCOME_TIMEOUT] = DNS_TIMEOUT, [DNS_OUTCOME_BAD_NAME] = DNS_BAD_NAME,
};

static void asker_release(struct asker *asker) {
    if (asker->peer == NULL && asker->open == 0) {
        free(asker);
    }
}

/* As many records as a message holds; the rest of a monstrous answer is left out. */
static void pack_records(const struct dns_reply *reply, struct buffer *records) {
    for (size_t i = 0; i < reply->count; i++) {
        const struct dns_record record = {.preference = reply->items[i].preference, .value = reply->items[i].value};
        if (!list_add_record(records, &record)) {
            log_warn("an answer with %zu records is cut to %zu", reply->count, i);
            return;
        }
    }
}

static void answer(void *context, const struct dns_reply *reply) {
    struct question *question = context;
    struct asker *asker = question->asker;
    struct buffer records;
    asker->open--;
    if (asker->peer != NULL) {
        buffer_init(&records, RECORDS_MAXIMUM);
        pack_records(reply, &records);
        const struct dns_answer values = {.status = statuses[reply->outcome],
                                          .ttl = reply->ttl,
                                          .authentic = reply->authentic,
                                          .records = buffer_text(&records)};
        service_answer(asker->peer, DNS_ANSWER, question->serial, &values, -1);
        buffer_free(&records);
    }
    asker_release(asker);
    free(question);
}

static bool is_known(uint32_t type) {
    return type == DNS_TYPE_A || type == DNS_TYPE_AAAA || type == DNS_TYPE_MX || type == DNS_TYPE_PTR ||
           type == DNS_TYPE_TXT;
}

static bool handle_ask(void *context, struct service_peer *peer, struct channel_message *message) {
    struct resolver *resolver = context;
    const struct dns_ask *ask = &message->values->dns_ask;
    struct asker *asker = peer->data;
    if (!is_known(ask->type)) {
        log_warn("process %u asks for DNS type %u, which it may not: closed", peer->pid, ask->type);
        return false;
    }
    if (asker->open >= OPEN_MAXIMUM) {
        log_warn("process %u has more than %u DNS questions open: closed", peer->pid, OPEN_MAXIMUM);
        return false;
    }
    struct question *question = memory_new(1, sizeof *question);
    *question = (struct question){.asker = asker, .serial = message->serial};
    asker->open++;
    dns_resolve(resolver->dns, ask->name, (enum dns_question_type)ask->type, answer, question);
    return true;
}

static void asker_new(void *context, struct service_peer *peer) {
    struct asker *asker = memory_new(1, sizeof *asker);
    (void)context;
    asker->peer = peer;
    peer->data = asker;
}

static void asker_gone(void *context, struct service_peer *peer) {
    struct asker *asker = peer->data;
    (void)context;
    asker->peer = NULL;
    peer->data = NULL;
    asker_release(asker);
}

static const struct service_row rows[] = {{DNS_ASK, handle_ask}};
static const struct service_definition definition = {
    .kind = SERVICE_RESOLVER,
    .rows = rows,
    .row_count = sizeof rows / sizeof *rows,
    .peer_new = asker_new,
    .peer_gone = asker_gone,
};

_Noreturn void resolver_main(const struct process_start *start) {
    const struct config *config = start->config;
    struct resolver resolver;
    const struct dns_settings settings = {
        .servers = config->dns_servers.items,
        .server_count = config->dns_servers.count,
        .timeout_ms = (int)config->dns_timeout_ms,
        .tries = (int)config->dns_tries,
        .cache_size = (size_t)config->dns_cache_size,
    };
    log_set_program("resolver");
    struct service *service = service_new(&definition, start->hub, &resolver);
    resolver.dns = dns_new(service_loop(service), &settings);
    privilege_drop(&start->user, start->chroot);
    confinement_enter(CONFINED_RESOLVER, config, NULL);
    service_run(service);
}
