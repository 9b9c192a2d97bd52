/* SPDX-License-Identifier: MIT
 * Which route block a domain falls under; see config.h. Called by receivers, the queue runner and delivery agents;
 * values only, never fails. */
#include "config/config.h"

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
