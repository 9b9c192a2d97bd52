/* SPDX-License-Identifier: MIT
 * Which domains local_domains names, and which have a DKIM key; see config.h. The table domains, which lookup asks, is
 * filled from it and matched the same way. Values only, never fails. */
#include "config/config.h"
#include <string.h>

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

static bool has_block(const struct config *config, const char *domain, const char *selector) {
    for (size_t i = 0; i < config->dkim_count; i++)
        if (text_equal_nocase(text_of(config->dkims[i].domain), text_of(domain)) &&
            strcmp(config->dkims[i].selector, selector) == 0)
            return true;
    return false;
}

/* Blocks, then every local domain with the shared key. */
static bool next_row(const struct config *config, size_t *at, struct config_dkim *row) {
    const char *shared = config->dkim_private_key_file;

    if (*at < config->dkim_count) {
        *row = config->dkims[(*at)++];
        return true;
    }
    while (shared != NULL && shared[0] != '\0' && *at - config->dkim_count < config->local_domains.count) {
        char *domain = config->local_domains.items[(*at)++ - config->dkim_count];
        if (!config_domain_is_pattern(domain)) {
            *row = (struct config_dkim){domain, config->dkim_selector, config->dkim_private_key_file};
            return true;
        }
    }
    return false;
}

bool config_dkim_next(const struct config *config, size_t *at, struct config_dkim *row) {
    while (next_row(config, at, row))
        if (*at <= config->dkim_count || !has_block(config, row->domain, row->selector))
            return true;
    return false;
}

/* Asked for each message of a member: that a block comes before the shared key changes nothing here. */
bool config_domain_is_signed(const struct config *config, struct text domain) {
    struct config_dkim row;

    for (size_t at = 0; next_row(config, &at, &row);)
        if (text_equal_nocase(text_of(row.domain), domain))
            return true;
    return false;
}
