/* SPDX-License-Identifier: MIT
 * Fuzz target: SPF and DMARC with a DNS that says what the input says: pieces are answers, one behind the other.
 * Whatever they are, few questions are asked and there is a result. */
#include "fuzz.h"
#include "spf/dmarc.h"
#include "spf/spf.h"

#define ASKED_MAXIMUM 300 /* ten terms, each with a few names and addresses, and those behind macros */

struct world {
    struct text answers;
    unsigned asked;
};

static void fuzz_start(void) {
}

static enum spf_dns look_up(void *context, const char *name, enum spf_type type, struct buffer *values) {
    struct world *world = context;

    FUZZ_CHECK(strlen(name) < 256 && ++world->asked <= ASKED_MAXIMUM);
    uint8_t kind = fuzz_byte(&world->answers);
    if (kind % 8 == 0)
        return SPF_DNS_NONE;
    if (kind % 8 == 1)
        return SPF_DNS_FAILED;
    for (unsigned i = 0; i < 1u + kind / 64; i++)
        if (type == SPF_TYPE_A)
            (void)spf_add_value(values, kind & 8 ? TEXT("192.0.2.1") : TEXT("198.51.100.7"));
        else if (type == SPF_TYPE_AAAA)
            (void)spf_add_value(values, TEXT("2001:db8::1"));
        else
            (void)spf_add_value(values, fuzz_piece(&world->answers));
    return SPF_DNS_FOUND;
}

static void fuzz_one(struct text input) {
    uint8_t flags = fuzz_byte(&input);
    struct world world = {.answers = input}, other = {.answers = input};
    struct network_address client = {.length = 0};
    enum dmarc_policy policy;

    FUZZ_CHECK(network_parse_ip(flags & 1 ? TEXT("2001:db8::1") : TEXT("192.0.2.1"), 25, &client));
    const struct spf_question question = {.client = &client,
                                          .helo = "mail.example.net",
                                          .local = flags & 2 ? "" : "a.b-c",
                                          .domain = flags & 2 ? "" : "sub.example.net",
                                          .look_up = look_up,
                                          .context = &world};
    FUZZ_CHECK(spf_check(&question) < SPF_RESULTS);
    const struct dmarc_question wanted = {.from = "sub.example.net",
                                          .spf = flags & 4 ? "example.net" : "",
                                          .dkim_results = fuzz_piece(&other.answers),
                                          .look_up = look_up,
                                          .context = &other};
    FUZZ_CHECK(dmarc_check(&wanted, &policy) < DMARC_RESULTS && other.asked <= 2);
}
