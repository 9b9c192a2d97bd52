/* SPDX-License-Identifier: MIT
 * Rule: the weights of the DNS lists that name the client, its EHLO name or the sender's domain stay below the
 * threshold, or the client is allowed, by an allow list or by the configuration. Called by rule_evaluate, confined;
 * looks at facts only. A list that does not answer lists nobody. */
#include "receiver/rules/rule.h"

enum rule_outcome rule_listed(const struct rule_facts *facts, struct reply *reply) {
    const struct listings *client = &facts->client_lists, *domain = &facts->domain_lists;
    bool by_client = client->listed_in[0] != '\0';
    const struct listings *named = by_client ? client : domain;

    if (facts->allowed || client->allowed || named->listed_in[0] == '\0' ||
        client->score + domain->score < facts->config->dnsbl_threshold)
        return RULE_NO_MATCH;
    reply_set(reply, 550, "5.7.1", "%s is listed in %s%s%s", by_client ? facts->peer_ip : "your EHLO name or sender",
              named->listed_in, named->text[0] != '\0' ? ": " : "", named->text);
    return RULE_MATCH;
}
