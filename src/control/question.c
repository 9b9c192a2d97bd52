/* SPDX-License-Identifier: MIT
 * A single DNS question with a loop of its own, see question.h. Runs under the caller's privileges. */
#include "control/question.h"

struct waiting {
    enum dns_outcome outcome;
    bool done;
    question_visit *visit;
    void *context;
    struct loop *loop;
};

static void answered(void *context, const struct dns_reply *reply) {
    struct waiting *waiting = context;
    waiting->outcome = reply->outcome;
    waiting->done = true;
    for (size_t i = 0; waiting->visit != NULL && i < reply->count; i++) {
        waiting->visit(waiting->context, &reply->items[i]);
    }
}

enum dns_outcome question_ask(const struct config *config, const char *name, enum dns_question_type type,
                              question_visit *visit, void *context) {
    struct waiting waiting = {.outcome = DNS_OUTCOME_TIMEOUT, .visit = visit, .context = context};
    const struct dns_settings settings = {
        .servers = config->dns_servers.items,
        .server_count = config->dns_servers.count,
        .timeout_ms = (int)config->dns_timeout_ms,
        .tries = (int)config->dns_tries,
        .cache_size = 1,
    };
    struct loop *loop = loop_new();
    struct dns *dns = dns_new(loop, &settings);
    dns_resolve(dns, text_of(name), type, answered, &waiting);
    while (!waiting.done) {
        loop_round(loop, -1);
    }
    dns_free(dns);
    loop_free(loop);
    return waiting.outcome;
}

const char *question_outcome_words(enum dns_outcome outcome) {
    static const char *const words[DNS_OUTCOMES] = {
        [DNS_OUTCOME_FOUND] = "found",
        [DNS_OUTCOME_NO_DATA] = "the name exists, but has no such record",
        [DNS_OUTCOME_NO_NAME] = "there is no such name (NXDOMAIN)",
        [DNS_OUTCOME_FAILED] = "the name server failed (SERVFAIL)",
        [DNS_OUTCOME_TIMEOUT] = "no name server answered",
        [DNS_OUTCOME_BAD_NAME] = "that is no name that can be asked",
    };
    return words[outcome];
}
