/* SPDX-License-Identifier: MIT
 * The c-ares channel in the event loop: sends questions, shares those under way, keeps answers. Called by the
 * resolver's handlers, unprivileged, after the fork; ares_send keeps RCODEs visible (ARES_FLAG_NOCHECKRESP) and lets us
 * set the AD bit. Where there are several servers, what one of them fails at is asked again on a second channel, where
 * c-ares passes over a server that fails: it gives no RCODE then, but the first channel's is known. A question that
 * cannot be sent or is not answered ends as DNS_OUTCOME_TIMEOUT or _FAILED, never as "no such name". */
#include "dns/dns.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/exit_status.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "dns/cache.h"
#include "dns/message.h"
#include "dns/name.h"
#include "dns/reply.h"
#include <ares.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EDNS_SIZE 1232 /* bytes of a UDP answer that cross every network whole (DNS flag day 2020) */
#define RCODE_FORMERR 1
#define RCODE_SERVFAIL 2
#define RCODE_NOTIMP 4
#define RCODE_REFUSED 5
#define TELL_AGAIN 60000    /* milliseconds */
#define SOCKETS_MAXIMUM 128 /* c-ares keeps one UDP and one TCP socket a server and channel */

struct waiter {
    dns_done *done;
    void *context;
    struct waiter *next;
};
struct query { /* one question under way, and who waits for it */
    struct dns *dns;
    char name[DNS_NAME_SIZE];
    enum dns_question_type type;
    bool edns;
    bool failed; /* by one server: the others are asked now */
    int timeouts;
    struct waiter *waiters;
    struct query *next;
};
struct socket_watch {
    int fd;
    struct loop_watch *watch; /* NULL: free place */
    struct channel *channel;
};
struct channel {
    struct dns *dns;
    ares_channel ares; /* NULL: the second one, where there is one server */
};
enum { CHANNEL_ANY_ANSWER, CHANNEL_GOOD_ANSWER, CHANNELS };
struct dns {
    struct loop *loop;
    struct channel channels[CHANNELS];
    struct dns_cache *cache;
    struct query *queries;
    struct socket_watch sockets[SOCKETS_MAXIMUM];
    struct loop_timer *timer;
    int64_t tell_again;   /* clock_now_ms */
    int timeouts_maximum; /* of a question: tries of all servers */
    bool ending;
};

static void timer_set(struct dns *dns);

static void socket_ready(void *context, int fd, uint32_t events) {
    struct channel *channel = ((struct socket_watch *)context)->channel;
    bool in = (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0, out = (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
    ares_process_fd(channel->ares, in ? fd : ARES_SOCKET_BAD, out ? fd : ARES_SOCKET_BAD);
    timer_set(channel->dns);
}

static void timer_elapsed(void *context) {
    struct dns *dns = context;
    dns->timer = NULL;
    for (int i = 0; i < CHANNELS; i++) {
        if (dns->channels[i].ares != NULL) {
            ares_process_fd(dns->channels[i].ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
        }
    }
    timer_set(dns);
}

/* One timer for c-ares' next time-out; gone when nothing is under way. */
static void timer_set(struct dns *dns) {
    struct timeval left, *least = NULL;
    if (dns->timer != NULL) {
        loop_cancel(dns->timer);
        dns->timer = NULL;
    }
    for (int i = 0; !dns->ending && i < CHANNELS; i++) {
        if (dns->channels[i].ares != NULL && ares_timeout(dns->channels[i].ares, least, &left) == &left) {
            least = &left;
        }
    }
    if (least != NULL) {
        int64_t milliseconds = (int64_t)left.tv_sec * 1000 + left.tv_usec / 1000 + 1;
        dns->timer = loop_after(dns->loop, milliseconds, timer_elapsed, dns);
    }
}

static struct socket_watch *socket_place(struct dns *dns, int fd) {
    struct socket_watch *place = NULL;
    for (size_t i = 0; i < SOCKETS_MAXIMUM; i++) {
        if (dns->sockets[i].watch != NULL && dns->sockets[i].fd == fd) {
            return &dns->sockets[i];
        }
        if (dns->sockets[i].watch == NULL && place == NULL) {
            place = &dns->sockets[i];
        }
    }
    return place;
}

/* c-ares tells which of its sockets waits for what; neither: it is about to be closed. */
static void socket_state(void *context, ares_socket_t fd, int readable, int writable) {
    struct channel *channel = context;
    struct dns *dns = channel->dns;
    uint32_t events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u);
    struct socket_watch *place = socket_place(dns, fd);
    if (place == NULL) {
        die_fatal(EXIT_STATUS_SYSTEM, "DNS: more than %d sockets at once", SOCKETS_MAXIMUM);
    }
    if (place->watch == NULL && events != 0) {
        place->fd = fd;
        place->channel = channel;
        place->watch = loop_watch(dns->loop, fd, events, socket_ready, place);
    } else if (place->watch != NULL && events != 0) {
        loop_change(place->watch, events);
    } else if (place->watch != NULL) {
        loop_unwatch(place->watch);
        place->watch = NULL;
    }
}

static void set_servers(struct channel *channel, const struct dns_settings *settings) {
    struct buffer list;
    if (settings->server_count == 0) {
        return;
    }
    buffer_init(&list, 4096);
    for (size_t i = 0; i < settings->server_count; i++) {
        if (!buffer_format(&list, "%s%s", i > 0 ? "," : "", settings->servers[i])) {
            die_fatal(EXIT_STATUS_CONFIG, "dns_servers: the list is too long");
        }
    }
    int status = ares_set_servers_ports_csv(channel->ares, buffer_string(&list));
    if (status != ARES_SUCCESS) {
        die_fatal(EXIT_STATUS_CONFIG, "dns_servers: \"%s\": %s; accepted: ADDRESS, ADDRESS:PORT or [V6]:PORT",
                  buffer_string(&list), ares_strerror(status));
    }
    buffer_free(&list);
}

static void channel_start(struct channel *channel, const struct dns_settings *settings, int flags, int tries) {
    struct ares_options options = {
        .flags = flags | ARES_FLAG_EDNS | ARES_FLAG_NOSEARCH,
        .timeout = settings->timeout_ms,
        .tries = tries,
        .ednspsz = EDNS_SIZE,
        .sock_state_cb = socket_state,
        .sock_state_cb_data = channel,
    };
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ | ARES_OPT_SOCK_STATE_CB;
    int status = ares_init_options(&channel->ares, &options, mask);
    if (status != ARES_SUCCESS) {
        die_fatal(EXIT_STATUS_SYSTEM, "DNS cannot start: %s", ares_strerror(status));
    }
    set_servers(channel, settings);
}

static int count_servers(const struct channel *channel) {
    struct ares_addr_port_node *servers = NULL;
    int count = 0;
    (void)ares_get_servers_ports(channel->ares, &servers);
    for (const struct ares_addr_port_node *server = servers; server != NULL; server = server->next) {
        count++;
    }
    ares_free_data(servers);
    return count;
}

struct dns *dns_new(struct loop *loop, const struct dns_settings *settings) {
    struct dns *dns = memory_new(1, sizeof *dns);
    dns->loop = loop;
    dns->cache = dns_cache_new(settings->cache_size);
    dns->channels[CHANNEL_ANY_ANSWER].dns = dns->channels[CHANNEL_GOOD_ANSWER].dns = dns;
    int status = ares_library_init(ARES_LIB_INIT_ALL);
    if (status != ARES_SUCCESS) {
        die_fatal(EXIT_STATUS_SYSTEM, "DNS cannot start: %s", ares_strerror(status));
    }
    channel_start(&dns->channels[CHANNEL_ANY_ANSWER], settings, ARES_FLAG_NOCHECKRESP, settings->tries);
    int servers = count_servers(&dns->channels[CHANNEL_ANY_ANSWER]);
    dns->timeouts_maximum = servers * settings->tries;
    if (servers > 1) {
        channel_start(&dns->channels[CHANNEL_GOOD_ANSWER], settings, 0, 1);
    }
    return dns;
}

static void query_free(struct query *query) {
    while (query->waiters != NULL) {
        struct waiter *waiter = query->waiters;
        query->waiters = waiter->next;
        free(waiter);
    }
    free(query);
}

void dns_free(struct dns *dns) {
    dns->ending = true;
    for (int i = 0; i < CHANNELS; i++) {
        if (dns->channels[i].ares != NULL) {
            ares_destroy(dns->channels[i].ares); /* calls query_answered for all, which frees them */
        }
    }
    timer_set(dns);
    dns_cache_free(dns->cache);
    free(dns);
    ares_library_cleanup();
}

static void query_unlink(struct query *query) {
    struct query **link = &query->dns->queries;
    while (*link != query) {
        link = &(*link)->next;
    }
    *link = query->next;
}

/* Tells all who wait. The query is no longer in the list, so that a waiter may ask again. */
static void query_end(struct query *query, struct dns_reply *reply) {
    struct dns *dns = query->dns;
    query_unlink(query);
    for (struct waiter *waiter = query->waiters; waiter != NULL; waiter = waiter->next) {
        waiter->done(waiter->context, reply);
    }
    dns_cache_store(dns->cache, query->name, query->type, reply, clock_now_ms());
    query_free(query);
}

static enum dns_outcome outcome_of(int ares_status) {
    switch (ares_status) {
    case ARES_ETIMEOUT:
    case ARES_ECONNREFUSED: /* no server could be reached */
        return DNS_OUTCOME_TIMEOUT;
    case ARES_EBADNAME:
    case ARES_EBADQUERY:
        return DNS_OUTCOME_BAD_NAME;
    case ARES_ENOTFOUND: /* names that RFC 7686 forbids to ask (.onion) */
        return DNS_OUTCOME_NO_NAME;
    default:
        return DNS_OUTCOME_FAILED;
    }
}

/* c-ares does not say whether there was no socket or no server. */
static void tell_unreachable(struct dns *dns) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const char *reason = fd < 0 ? strerror(errno) : "none of dns_servers can be reached";
    if (fd >= 0) {
        close(fd);
    }
    if (clock_now_ms() >= dns->tell_again) {
        dns->tell_again = clock_deadline(TELL_AGAIN);
        log_warn("DNS cannot be asked: %s", reason);
    }
}

static void query_send(struct query *query);

static bool is_failure(int rcode) {
    return rcode == RCODE_SERVFAIL || rcode == RCODE_NOTIMP || rcode == RCODE_REFUSED;
}

static void query_answered(void *context, int status, int timeouts, unsigned char *bytes, int length) {
    struct query *query = context;
    if (status == ARES_EDESTRUCTION || status == ARES_ECANCELLED) {
        query_unlink(query);
        query_free(query);
        return;
    }
    if (status == ARES_ENOMEM) {
        die_out_of_memory();
    }
    query->timeouts += timeouts;
    if (status == ARES_ETIMEOUT && timeouts > 0 && !query->failed &&
        query->timeouts < query->dns->timeouts_maximum) { /* c-ares asks each server once over TCP */
        query_send(query);
        return;
    }
    if (status == ARES_ECONNREFUSED) {
        tell_unreachable(query->dns);
    }
    if (status != ARES_SUCCESS || bytes == NULL || length < 0) {
        query_end(query, dns_reply_new(query->failed ? DNS_OUTCOME_FAILED : outcome_of(status)));
        return;
    }
    if (!query->failed && query->dns->channels[CHANNEL_GOOD_ANSWER].ares != NULL &&
        is_failure(dns_message_rcode(bytes, (size_t)length))) {
        query->failed = true;
        query_send(query);
        return;
    }
    if (query->edns && dns_message_rcode(bytes, (size_t)length) == RCODE_FORMERR) { /* RFC 6891 7 */
        query->edns = false;
        query_send(query);
        return;
    }
    query_end(query, dns_message_read(bytes, (size_t)length, query->name, query->type));
}

static void query_send(struct query *query) {
    unsigned char *bytes = NULL;
    int length = 0;
    uint16_t id;
    random_fill(&id, sizeof id);
    int status =
        ares_create_query(query->name, 1, (int)query->type, id, 1, &bytes, &length, query->edns ? EDNS_SIZE : 0);
    if (status != ARES_SUCCESS) {
        query_end(query, dns_reply_new(outcome_of(status)));
        return;
    }
    bytes[3] |= 0x20u; /* RFC 6840 5.7: "tell me whether it was validated" */
    struct channel *channels = query->dns->channels;
    ares_send(channels[query->failed ? CHANNEL_GOOD_ANSWER : CHANNEL_ANY_ANSWER].ares, bytes, length, query_answered,
              query);
    ares_free_string(bytes);
}

static struct query *query_find(struct dns *dns, const char *name, enum dns_question_type type) {
    struct query *query = dns->queries;
    while (query != NULL && (query->type != type || strcmp(query->name, name) != 0)) {
        query = query->next;
    }
    return query;
}

static void answer_bad_name(dns_done *done, void *context) {
    struct dns_reply reply = {.outcome = DNS_OUTCOME_BAD_NAME};
    done(context, &reply);
}

static void query_wait(struct query *query, dns_done *done, void *context) {
    struct waiter *waiter = memory_new(1, sizeof *waiter);
    *waiter = (struct waiter){.done = done, .context = context, .next = query->waiters};
    query->waiters = waiter;
}

void dns_resolve(struct dns *dns, struct text name, enum dns_question_type type, dns_done *done, void *context) {
    char prepared[DNS_NAME_SIZE];
    if (!dns_name_prepare(name, prepared)) {
        answer_bad_name(done, context);
        return;
    }
    const struct dns_reply *kept = dns_cache_find(dns->cache, prepared, type, clock_now_ms());
    if (kept != NULL) {
        done(context, kept);
        return;
    }
    struct query *query = query_find(dns, prepared, type);
    if (query != NULL) {
        query_wait(query, done, context);
        return;
    }
    query = memory_new(1, sizeof *query);
    query->dns = dns;
    query->type = type;
    query->edns = true;
    (void)text_copy(query->name, sizeof query->name, text_of(prepared));
    query->next = dns->queries;
    dns->queries = query;
    query_wait(query, done, context);
    query_send(query);
    timer_set(dns);
}
