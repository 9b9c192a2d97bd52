/* SPDX-License-Identifier: MIT
 * Which route block a domain falls under, and which transport block a name means; see config.h. Called by receivers,
 * the queue runner and delivery agents; values only, never fails. */
#include "config/config.h"
#include <string.h>

static const struct config_route *named(const struct config *config, struct text name) {
    for (size_t i = 0; i < config->route_count; i++)
        if (text_equal_nocase(text_of(config->routes[i].domain), name))
            return &config->routes[i];
    return NULL;
}

const struct config_route *config_route_find(const struct config *config, struct text domain) {
    const struct config_route *found = named(config, domain);

    for (size_t dot = text_find(domain, '.'); found == NULL && dot < domain.length; dot = text_find(domain, '.')) {
        domain = text_from(domain, dot);
        found = named(config, domain);
        domain = text_from(domain, 1);
    }
    return found != NULL ? found : named(config, TEXT("*"));
}

/* "*" is for remote domains. */
const struct config_route *config_route_of(const struct config *config, struct text domain, bool remote) {
    const struct config_route *found = config_route_find(config, domain);

    return found != NULL && (remote || strcmp(found->domain, "*") != 0) ? found : NULL;
}

struct config_pace config_pace_for(const struct config *config, struct text domain, bool remote) {
    const struct config_route *route = config_route_of(config, domain, remote);

    if (route != NULL)
        return (struct config_pace){.retry_seconds = route->retry_seconds,
                                    .retry_count = route->retry_count,
                                    .queue_lifetime = route->queue_lifetime,
                                    .delay_warning = route->delay_warning,
                                    .limit = route->limit,
                                    .rate = route->rate};
    return (struct config_pace){.retry_seconds = config->retry_seconds,
                                .retry_count = config->retry_count,
                                .queue_lifetime = config->queue_lifetime,
                                .delay_warning = config->delay_warning,
                                .limit = config->destination_limit,
                                .rate = remote ? config->destination_rate : 0};
}

const struct config_transport *config_transport_find(const struct config *config, struct text name) {
    for (size_t i = 0; i < config->transport_count; i++)
        if (text_equal(text_of(config->transports[i].name), name))
            return &config->transports[i];
    return NULL;
}
