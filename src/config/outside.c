/* SPDX-License-Identifier: MIT
 * What receivers may have opened for them: the one place that says what a kind and an index mean, so that a receiver
 * can name nothing but what the operator wrote. Read by listener, connector and receivers; the checks are called by
 * config_complete, and what is wrong becomes a line of the report. */
#include "base/memory.h"
#include "config/reading.h"
#include "config/value.h"
#include "mail/sql_rule.h"
#include <limits.h>
#include <string.h>

#define LABEL_SIZE 512
#define POLICIES_MAXIMUM 32 /* bits of policy_bits */
#define CONNECT_SECONDS 8   /* where the block does not say */

/* ---- who is asked for what ---- */

static size_t count_policies(const struct config *config) {
    return config->policy_count;
}

static struct config_outside find_policy(const struct config *config, uint32_t index) {
    const struct config_policy *policy = &config->policies[index];

    return (struct config_outside){policy->endpoint, "policy", policy->name, CONNECT_SECONDS};
}

static size_t count_milters(const struct config *config) {
    return config->milter_count;
}

static struct config_outside find_milter(const struct config *config, uint32_t index) {
    const struct config_milter *milter = &config->milters[index];

    return (struct config_outside){milter->endpoint, "milter", milter->name, milter->connect_timeout};
}

static size_t count_logins(const struct config *config) {
    return config->auth_backend == AUTH_DOVECOT ? 1 : 0;
}

static struct config_outside find_login(const struct config *config, uint32_t index) {
    (void)index;
    return (struct config_outside){config->dovecot_auth, "dovecot_auth", "", config->auth_timeout};
}

static size_t count_tokens(const struct config *config) {
    return config->oauth_check[0] != '\0' ? 1 : 0;
}

static struct config_outside find_token(const struct config *config, uint32_t index) {
    (void)index;
    return (struct config_outside){config->oauth_check, "oauth_check", "", config->auth_timeout};
}

static const struct {
    size_t (*count)(const struct config *config);
    struct config_outside (*find)(const struct config *config, uint32_t index);
} kinds[OUTSIDE_KINDS] = {
    [OUTSIDE_MILTER] = {count_milters, find_milter},
    [OUTSIDE_POLICY] = {count_policies, find_policy},
    [OUTSIDE_LOGIN] = {count_logins, find_login},
    [OUTSIDE_PROGRAM] = {count_tokens, find_token},
};

struct config_outside config_outside_find(const struct config *config, enum outside_kind kind, uint32_t index) {
    if (kind >= OUTSIDE_KINDS || index >= kinds[kind].count(config))
        return (struct config_outside){"", "", "", 0};
    return kinds[kind].find(config, index);
}

bool config_has_outside(const struct config *config, bool programs_only) {
    for (int kind = 0; kind < OUTSIDE_KINDS; kind++) {
        for (uint32_t i = 0; i < kinds[kind].count(config); i++)
            if (!programs_only || kinds[kind].find(config, i).endpoint[0] == '|')
                return true;
    }
    return false;
}

/* ---- checks ---- */

static void check_policy(struct reading *reading, size_t index) {
    struct config_policy *policy = &reading->config->policies[index];
    unsigned line = reading_line(reading, "policy", index, NULL);
    char label[LABEL_SIZE];

    reading_label(label, sizeof label, config_block_find("policy"), policy->name, NULL);
    if (policy->endpoint == NULL || policy->endpoint[0] == '\0')
        reading_add_error(reading, line, label, "endpoint = \"HOST:PORT\", a path or \"|COMMAND\"", "has no endpoint");
    if (index >= POLICIES_MAXIMUM)
        reading_add_error(reading, line, label, "at most 32 policy blocks", "is one too many");
    for (size_t i = 0; i < policy->stages.count; i++) {
        enum rule_stage stage = rule_stage_find(text_of(policy->stages.items[i]));
        if (stage == RULE_STAGES)
            reading_add_error(reading, line, label, "stages such as connect, ehlo, mail_from, rcpt_to, data, message",
                              "there is no stage \"%s\"", policy->stages.items[i]);
        else
            policy->stage_bits |= 1u << stage;
    }
}

/* What is not written becomes what holds, so that printing shows it. */
static void use_all_policies(const struct config *config, struct config_listen *listen) {
    listen->policies.items = memory_resize(listen->policies.items, config->policy_count, sizeof(char *));
    for (size_t i = 0; i < config->policy_count; i++)
        listen->policies.items[i] = memory_string(text_of(config->policies[i].name));
    listen->policies.count = config->policy_count;
}

static bool name_policy(const struct config *config, struct config_listen *listen, const char *name) {
    for (size_t i = 0; i < config->policy_count && i < POLICIES_MAXIMUM; i++)
        if (strcmp(config->policies[i].name, name) == 0) {
            listen->policy_bits |= 1u << i;
            return true;
        }
    return false;
}

static void complete_listen_policies(struct reading *reading, size_t index) {
    const struct config *config = reading->config;
    struct config_listen *listen = &reading->config->listens[index];
    unsigned line = reading_line(reading, "listen", index, "policies");
    char label[LABEL_SIZE];

    if (line == 0 && listen->role == ROLE_MX && config->policy_count > 0)
        use_all_policies(config, listen);
    for (size_t i = 0; i < listen->policies.count; i++)
        if (!name_policy(config, listen, listen->policies.items[i])) {
            reading_label(label, sizeof label, config_block_find("listen"), listen->address, "policies");
            reading_add_error(reading, line, label, "names of policy blocks", "there is no policy \"%s\"",
                              listen->policies.items[i]);
        }
}

static void check_milter(struct reading *reading, size_t index) {
    const struct config_milter *milter = &reading->config->milters[index];
    char label[LABEL_SIZE];

    reading_label(label, sizeof label, config_block_find("milter"), milter->name, NULL);
    if (milter->endpoint == NULL || milter->endpoint[0] == '\0' || milter->endpoint[0] == '|')
        reading_add_error(reading, reading_line(reading, "milter", index, NULL), label,
                          "endpoint = \"HOST:PORT\" or a path", "has no endpoint");
}

/* The order in which sessions talk to them. */
static void order_milters(struct reading *reading, const struct config_strings *names, unsigned line, const char *label,
                          unsigned char *order) {
    const struct config *config = reading->config;

    if (names->count > CONFIG_MILTERS_MAXIMUM)
        reading_add_error(reading, line, label, "16 names", "has too many");
    for (size_t i = 0; i < names->count && i < CONFIG_MILTERS_MAXIMUM; i++) {
        size_t at = 0;
        while (at < config->milter_count && strcmp(config->milters[at].name, names->items[i]) != 0)
            at++;
        if (at == config->milter_count || at > UCHAR_MAX)
            reading_add_error(reading, line, label, "names of milter blocks", "there is no milter \"%s\"",
                              names->items[i]);
        else
            order[i] = (unsigned char)at;
    }
}

static void copy_strings(struct config_strings *to, const struct config_strings *from) {
    to->items = from->count > 0 ? memory_resize(to->items, from->count, sizeof(char *)) : to->items;
    for (size_t i = 0; i < from->count; i++)
        to->items[i] = memory_string(text_of(from->items[i]));
    to->count = from->count;
}

static void use_all_milters(struct config *config) {
    struct config_strings *names = &config->milter_names;

    names->items = memory_resize(names->items, config->milter_count, sizeof(char *));
    for (size_t i = 0; i < config->milter_count; i++)
        names->items[i] = memory_string(text_of(config->milters[i].name));
    names->count = config->milter_count;
}

/* The key outside of blocks, and whose names and order listeners have that say nothing. */
static void check_milters(struct reading *reading) {
    struct config *config = reading->config;
    unsigned char order[CONFIG_MILTERS_MAXIMUM] = {0};
    unsigned line = reading_line(reading, NULL, 0, "milters");
    char label[LABEL_SIZE];

    for (size_t i = 0; i < config->milter_count; i++)
        check_milter(reading, i);
    if (line == 0 && config->milter_count > 0)
        use_all_milters(config);
    order_milters(reading, &config->milter_names, line, "milters", order);
    for (size_t i = 0; i < config->listen_count; i++) {
        struct config_listen *listen = &config->listens[i];
        line = reading_line(reading, "listen", i, "milters");
        if (line == 0) {
            copy_strings(&listen->milters, &config->milter_names);
            memcpy(listen->milter_order, order, sizeof order);
            continue;
        }
        reading_label(label, sizeof label, config_block_find("listen"), listen->address, "milters");
        order_milters(reading, &listen->milters, line, label, listen->milter_order);
    }
}

void check_outside(struct reading *reading) {
    for (size_t i = 0; i < reading->config->policy_count; i++)
        check_policy(reading, i);
    for (size_t i = 0; i < reading->config->listen_count; i++)
        complete_listen_policies(reading, i);
    check_milters(reading);
}
