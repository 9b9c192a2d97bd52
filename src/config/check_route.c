/* SPDX-License-Identifier: MIT
 * What a route block says of connections and schedules: what is not written, and what would do nothing. Called by
 * check.c for each block once its label and transport are known to be good; what is wrong becomes a line of the report.
 */
#include "base/memory.h"
#include "config/reading.h"
#include "config/value.h"
#include <limits.h>
#include <string.h>

static bool is_empty(const char *string) {
    return string == NULL || string[0] == '\0';
}

/* A password is never sent in plain text, so that a route with one has TLS. */
static void check_login(struct reading *reading, size_t index, const char *label) {
    struct config_route *route = &reading->config->routes[index];
    unsigned line = reading_line(reading, "route", index, NULL);

    if (is_empty(route->user) != is_empty(route->password_file))
        reading_add_error(reading, line, label, "user and password_file, both or neither",
                          "one is useless without the other");
    if (is_empty(route->user) || route->tls != ROUTE_TLS_OPPORTUNISTIC)
        return;
    if (reading_line(reading, "route", index, "tls") != 0)
        reading_add_error(reading, line, label, "tls = required or tls = verified",
                          "a password is not sent without TLS");
    route->tls = ROUTE_TLS_REQUIRED;
}

void complete_schedule(const struct config_strings *schedule, long **seconds, size_t *count) {
    *count = schedule->count;
    *seconds = memory_new(schedule->count + 1, sizeof **seconds);
    for (size_t i = 0; i < schedule->count; i++)
        (void)value_seconds(text_of(schedule->items[i]), LONG_MAX, &(*seconds)[i]);
}

/* What the block does not say is as outside of it. */
static void complete_route(struct reading *reading, size_t index) {
    const struct config *config = reading->config;
    struct config_route *route = &reading->config->routes[index];
    const struct config_strings *schedule =
        route->retry_schedule.count > 0 ? &route->retry_schedule : &config->retry_schedule;

    complete_schedule(schedule, &route->retry_seconds, &route->retry_count);
    if (route->queue_lifetime == 0)
        route->queue_lifetime = config->queue_lifetime;
    if (route->limit == 0)
        route->limit = config->destination_limit;
    if (reading_line(reading, "route", index, "delay_warning") == 0)
        route->delay_warning = config->delay_warning;
    if (reading_line(reading, "route", index, "rate") == 0)
        route->rate = config->destination_rate;
}

/* A transport knows itself where it goes, and how: nobody may believe that its mail has the TLS that is asked for here.
 * What is as it is anyhow promises nothing: config_print writes every key. */
static void check_idle_keys(struct reading *reading, size_t index, const char *label) {
    const struct config_route *route = &reading->config->routes[index];
    const struct {
        const char *key;
        bool promises;
    } keys[] = {
        {"host", !is_empty(route->host)},
        {"lmtp", route->lmtp},
        {"tls", route->tls != ROUTE_TLS_OPPORTUNISTIC},
        {"source_addresses", route->source_addresses.count > 0},
        {"user", !is_empty(route->user)},
    };

    if (is_empty(route->transport) || strcmp(route->transport, "smtp") == 0)
        return;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (keys[i].promises)
            reading_add_error(reading, reading_line(reading, "route", index, keys[i].key), label,
                              "a route without transport, or by smtp", "%s does nothing with transport = %s",
                              keys[i].key, route->transport);
}

void check_route(struct reading *reading, size_t index, const char *label) {
    check_idle_keys(reading, index, label);
    check_login(reading, index, label);
    complete_route(reading, index);
}
