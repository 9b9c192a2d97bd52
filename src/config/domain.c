/* SPDX-License-Identifier: MIT
 * Which domains local_domains names, and which have a DKIM key; see config.h. The table domains, which lookup asks, is
 * filled from it and matched the same way. Values only, never fails. */
#include "config/config.h"

bool config_domain_is_pattern(const char *domain) {
    return domain[0] == '.' || domain[0] == '*';
}

const char *config_main_domain(const struct config *config) {
    for (size_t i = 0; i < config->local_domains.count; i++)
        if (!config_domain_is_pattern(config->local_domains.items[i]))
            return config->local_domains.items[i];
    return config->server_name;
}

static bool matches(struct text pattern, struct text domain) {
    if (pattern.data[0] == '.')
        return domain.length > pattern.length && text_ends_nocase(domain, pattern);
    return pattern.data[0] == '*' || text_equal_nocase(pattern, domain);
}

bool config_domain_is_local(const struct config *config, struct text domain) {
    for (size_t i = 0; i < config->local_domains.count; i++)
        if (matches(text_of(config->local_domains.items[i]), domain))
            return true;
    return false;
}

bool config_domain_is_signed(const struct config *config, struct text domain) {
    const char *shared = config->dkim_private_key_file;
    for (size_t i = 0; i < config->dkim_count; i++)
        if (text_equal_nocase(text_of(config->dkims[i].domain), domain))
            return true;
    for (size_t i = 0; shared != NULL && shared[0] != '\0' && i < config->local_domains.count; i++)
        if (text_equal_nocase(text_of(config->local_domains.items[i]), domain))
            return true;
    return false;
}
