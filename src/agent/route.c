/* SPDX-License-Identifier: MIT
 * Routing: see route.h. Runs in delivery agents without any privilege; asks the resolver over its channel, all
 * questions that can overlap at once. A dead or silent resolver gives ROUTE_DEFERRED. */
#include "agent/route.h"
#include "ipc/ask.h"
#include "mail/address.h"
#include <stdio.h>
#include <string.h>

#define EXCHANGERS_READ 64 /* of one answer, before ordering */

/* DNS gives names with or without the final dot, in any case; "." is RFC 7505's. */
static void take_name(char name[ROUTE_NAME_SIZE], struct text value) {
    while (value.length > 0 && value.data[value.length - 1] == '.') {
        value.length--;
    }
    if (!address_domain_ascii(value, name)) { /* a configured host may have U-labels */
        text_copy(name, ROUTE_NAME_SIZE, value);
        text_lower(name);
    }
}

static void add_address(struct route_host *host, struct text ip, unsigned port) {
    if (host->address_count < ROUTE_ADDRESSES_MAXIMUM &&
        network_parse_ip(ip, port, &host->addresses[host->address_count])) {
        host->address_count++;
    }
}

static size_t count_records(const struct dns_question *question) {
    struct text rest = buffer_text(&question->records);
    struct dns_record record;
    size_t count = 0;
    while (question->answer.status == DNS_FOUND && dns_question_next(&rest, &record)) {
        count++;
    }
    return count;
}

static void take_addresses(struct route_host *host, const struct dns_question *question, size_t room, unsigned port) {
    struct text rest = buffer_text(&question->records);
    struct dns_record record;
    while (question->answer.status == DNS_FOUND && host->address_count < room && dns_question_next(&rest, &record)) {
        add_address(host, record.value, port);
    }
}

static bool is_temporary(const struct dns_question *question) {
    return question->answer.status == DNS_SERVFAIL || question->answer.status == DNS_TIMEOUT;
}

/* The answers about AAAA and A. Neither family leaves the other without a place: it may be the only one that we have.
 */
static void take_answers(struct route_host *host, const struct dns_question answers[2], unsigned port) {
    size_t others = count_records(&answers[1]), half = ROUTE_ADDRESSES_MAXIMUM / 2;
    take_addresses(host, &answers[0], ROUTE_ADDRESSES_MAXIMUM - (others < half ? others : half), port);
    take_addresses(host, &answers[1], ROUTE_ADDRESSES_MAXIMUM, port);
    host->unresolved = host->address_count == 0 && (is_temporary(&answers[0]) || is_temporary(&answers[1]));
}

/* AAAA and A of every host, all asked before the first answer is waited for. True when some question failed in a way
 * that may be different tomorrow. Hosts that already have addresses, and localhost (RFC 6761 6.3), are not asked. */
static bool find_addresses(struct route *route, int resolver, unsigned port) {
    static const enum dns_type types[2] = {DNS_TYPE_AAAA, DNS_TYPE_A};
    struct dns_question questions[ROUTE_HOSTS_MAXIMUM * 2];
    struct route_host *of_pair[ROUTE_HOSTS_MAXIMUM];
    size_t count = 0;
    bool temporary = false;
    memset(questions, 0, sizeof questions);
    for (size_t i = 0; i < route->host_count; i++) {
        if (strcmp(route->hosts[i].name, "localhost") == 0) {
            add_address(&route->hosts[i], TEXT("127.0.0.1"), port);
            add_address(&route->hosts[i], TEXT("::1"), port);
        }
        for (size_t type = 0; type < 2 && route->hosts[i].address_count == 0; type++) {
            of_pair[count / 2] = &route->hosts[i];
            dns_question_ask(resolver, &questions[count++], route->hosts[i].name, types[type]);
        }
    }
    dns_question_collect(resolver, questions, count);
    for (size_t i = 0; i < count; i += 2) {
        take_answers(of_pair[i / 2], &questions[i], port);
        temporary |= is_temporary(&questions[i]) || is_temporary(&questions[i + 1]);
        dns_question_free(&questions[i]);
        dns_question_free(&questions[i + 1]);
    }
    return temporary;
}

static enum route_outcome leads_to_us(const char *domain, char reply[ROUTE_REPLY_SIZE]) {
    snprintf(reply, ROUTE_REPLY_SIZE, "554 5.4.6 mail for %.255s leads to this host, which does not serve it", domain);
    return ROUTE_FAILED;
}

static size_t address_total(const struct route *route) {
    size_t total = 0;
    for (size_t i = 0; i < route->host_count; i++) {
        total += route->hosts[i].address_count;
    }
    return total;
}

/* The addresses of route->hosts; `failed` is the reply for hosts that have none for good. */
static enum route_outcome with_addresses(const struct config *config, const char *domain, struct route *route,
                                         int resolver, const char *failed, char reply[ROUTE_REPLY_SIZE]) {
    bool temporary = find_addresses(route, resolver, (unsigned)config->remote_smtp_port);
    route_cut_own(config, route);
    if (route->host_count == 0) {
        return leads_to_us(domain, reply);
    }
    if (address_total(route) > 0) {
        return ROUTE_FOUND;
    }
    if (temporary) {
        snprintf(reply, ROUTE_REPLY_SIZE, "451 4.4.3 DNS failure for the address of %s", route->hosts[0].name);
        return ROUTE_DEFERRED;
    }
    snprintf(reply, ROUTE_REPLY_SIZE, "%s", failed);
    return ROUTE_FAILED;
}

/* "host:port" or "host"; false when the port is none. */
static bool split_port(struct text endpoint, unsigned default_port, struct text *host, unsigned *port) {
    size_t colon = text_find(endpoint, ':');
    uint64_t number = default_port;
    *host = text_first(endpoint, colon);
    bool good = colon == endpoint.length || text_number(text_from(endpoint, colon + 1), 65535, &number);
    *port = (unsigned)number;
    return good && host->length > 0 && host->length < ROUTE_NAME_SIZE;
}

enum route_outcome route_endpoint(struct text endpoint, unsigned default_port, int resolver, struct route *route,
                                  char reply[ROUTE_REPLY_SIZE]) {
    struct route_host *host = &route->hosts[0];
    bool port_only = false;
    struct text name;
    unsigned port;
    memset(host, 0, sizeof *host);
    route->host_count = 1;
    text_copy(host->name, sizeof host->name, endpoint);
    if ((network_parse_endpoint(endpoint, &host->addresses[0], &port_only) && !port_only) ||
        network_parse_ip(endpoint, default_port, &host->addresses[0])) {
        host->address_count = 1;
        if (host->addresses[0].storage.ss_family != AF_UNIX) {
            network_ip_text(&host->addresses[0], host->name);
        }
        return ROUTE_FOUND;
    }
    if (port_only || !split_port(endpoint, default_port, &name, &port)) {
        snprintf(reply, ROUTE_REPLY_SIZE, "451 4.3.5 the configured route \"%.*s\" is no HOST:PORT",
                 TEXT_ARGS(text_first(endpoint, 200)));
        return ROUTE_DEFERRED;
    }
    take_name(host->name, name);
    /* A route is the operator's word: when its host has no address, that is to be corrected, not bounced. */
    snprintf(reply, ROUTE_REPLY_SIZE, "451 4.4.3 the configured route's host %s has no address", host->name);
    bool temporary = find_addresses(route, resolver, port);
    if (temporary && host->address_count == 0) {
        snprintf(reply, ROUTE_REPLY_SIZE, "451 4.4.3 DNS failure for the address of %s", host->name);
    }
    return host->address_count > 0 ? ROUTE_FOUND : ROUTE_DEFERRED;
}

static enum route_outcome by_literal(const struct config *config, const char *domain, struct route *route,
                                     char reply[ROUTE_REPLY_SIZE]) {
    struct route_host *host = &route->hosts[0];
    memset(host, 0, sizeof *host);
    snprintf(route->why, sizeof route->why, "address literal");
    if (address_literal_ip(text_of(domain), host->name, sizeof host->name)) {
        add_address(host, text_of(host->name), (unsigned)config->remote_smtp_port);
    }
    route->host_count = 1;
    if (host->address_count == 0) {
        snprintf(reply, ROUTE_REPLY_SIZE, "550 5.1.2 the address literal %.255s cannot be used", domain);
        return ROUTE_FAILED;
    }
    return route_is_own_address(config, &host->addresses[0]) ? leads_to_us(domain, reply) : ROUTE_FOUND;
}

/* Reads the MX answer into route->hosts, the best first. */
static enum route_order order_exchangers(const struct config *config, const struct dns_question *question,
                                         struct route *route) {
    static struct route_host read[EXCHANGERS_READ]; /* large; one job at a time in this process */
    struct text rest = buffer_text(&question->records);
    struct dns_record record;
    size_t count = 0;
    while (count < EXCHANGERS_READ && dns_question_next(&rest, &record)) {
        read[count].preference = record.preference;
        read[count].address_count = 0;
        read[count].unresolved = false;
        take_name(read[count++].name, record.value);
    }
    enum route_order order = route_order(read, &count, config->server_name);
    route->host_count = count < ROUTE_HOSTS_MAXIMUM ? count : ROUTE_HOSTS_MAXIMUM;
    memcpy(route->hosts, read, route->host_count * sizeof read[0]);
    return order;
}

/* RFC 5321 5.1 with an MX answer at hand. */
static enum route_outcome by_exchangers(const struct config *config, int resolver, const char *domain,
                                        const struct dns_question *question, struct route *route,
                                        char reply[ROUTE_REPLY_SIZE]) {
    char failed[ROUTE_REPLY_SIZE];
    snprintf(route->why, sizeof route->why, "mx");
    switch (order_exchangers(config, question, route)) {
    case ROUTE_ORDER_NULL_MX:
        snprintf(reply, ROUTE_REPLY_SIZE, "556 5.1.10 %.255s takes no mail (null MX)", domain);
        return ROUTE_FAILED;
    case ROUTE_ORDER_LOOP:
        return leads_to_us(domain, reply);
    case ROUTE_ORDER_NONE:
        snprintf(reply, ROUTE_REPLY_SIZE, "550 5.1.2 the mail exchangers of %.255s have no names", domain);
        return ROUTE_FAILED;
    case ROUTE_ORDER_OK:
        break;
    }
    snprintf(failed, sizeof failed, "550 5.4.4 no mail exchanger of %.255s has an address", domain);
    return with_addresses(config, domain, route, resolver, failed, reply);
}

/* RFC 5321 5.1: without an MX the domain itself is the exchanger. */
static enum route_outcome by_domain_address(const struct config *config, int resolver, const char *domain,
                                            struct route *route, char reply[ROUTE_REPLY_SIZE]) {
    char failed[ROUTE_REPLY_SIZE];
    snprintf(route->why, sizeof route->why, "address of the domain");
    memset(&route->hosts[0], 0, sizeof route->hosts[0]);
    take_name(route->hosts[0].name, text_of(domain));
    route->host_count = 1;
    if (text_equal_nocase(text_of(domain), text_of(config->server_name))) {
        return leads_to_us(domain, reply);
    }
    snprintf(failed, sizeof failed, "550 5.1.2 %.255s has neither a mail exchanger nor an address", domain);
    return with_addresses(config, domain, route, resolver, failed, reply);
}

static enum route_outcome by_dns(const struct config *config, int resolver, const char *domain, struct route *route,
                                 char reply[ROUTE_REPLY_SIZE]) {
    struct dns_question question;
    enum route_outcome outcome = ROUTE_FAILED;
    memset(&question, 0, sizeof question);
    switch (dns_lookup(resolver, domain, DNS_TYPE_MX, &question)) {
    case DNS_FOUND:
        outcome = by_exchangers(config, resolver, domain, &question, route, reply);
        break;
    case DNS_NO_DATA:
        outcome = by_domain_address(config, resolver, domain, route, reply);
        break;
    case DNS_NO_NAME:
    case DNS_BAD_NAME:
        snprintf(reply, ROUTE_REPLY_SIZE, "550 5.1.2 the domain %.255s does not exist", domain);
        break;
    case DNS_SERVFAIL:
    case DNS_TIMEOUT:
        snprintf(reply, ROUTE_REPLY_SIZE, "451 4.4.3 DNS failure for the mail exchangers of %.255s", domain);
        outcome = ROUTE_DEFERRED;
        break;
    }
    dns_question_free(&question);
    return outcome;
}

enum route_outcome route_find(const struct config *config, int resolver, const char *domain, struct route *route,
                              char reply[ROUTE_REPLY_SIZE]) {
    const struct config_route *found = config_route_find(config, text_of(domain));
    route->lmtp = false;
    route->configured = found;
    route->found_in_dns = false;
    route->host_count = 0;
    if (found != NULL && found->host[0] != '\0') {
        snprintf(route->why, sizeof route->why, "route %.100s", found->domain);
        route->lmtp = found->lmtp;
        return route_endpoint(text_of(found->host), (unsigned)config->remote_smtp_port, resolver, route, reply);
    }
    route->found_in_dns = true;
    if (address_is_literal(text_of(domain))) {
        return by_literal(config, domain, route, reply);
    }
    return by_dns(config, resolver, domain, route, reply);
}
