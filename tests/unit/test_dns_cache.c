/* SPDX-License-Identifier: MIT
 * The DNS cache: what is kept, for how long, and what leaves first. */
#include "base/memory.h"
#include "dns/cache.h"
#include "dns/reply.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct dns_reply *reply_of(enum dns_outcome outcome, uint32_t ttl, size_t bytes) {
    struct dns_reply *reply = dns_reply_new(outcome);
    reply->ttl = ttl;
    if (bytes > 0) {
        char *text = memory_new(bytes, 1);
        assert_true(dns_reply_add(reply, 0, (struct text){text, bytes}));
        free(text);
        dns_reply_finish(reply);
    }
    return reply;
}

struct kept_row {
    const char *sentence;
    enum dns_outcome outcome;
    uint32_t ttl;
    size_t bytes;
    uint32_t kept_for; /* seconds; 0: not kept */
};
static const struct kept_row kept_rows[] = {
    {"an answer is kept for its TTL", DNS_OUTCOME_FOUND, 300, 4, 300},
    {"an answer is kept for a day at most", DNS_OUTCOME_FOUND, 1000000, 4, 86400},
    {"an answer with TTL 0 is not kept", DNS_OUTCOME_FOUND, 0, 4, 0},
    {"a giant answer is not kept", DNS_OUTCOME_FOUND, 300, 9000, 0},
    {"a name that does not exist is kept for its negative TTL", DNS_OUTCOME_NO_NAME, 120, 0, 120},
    {"a negative answer is kept for a minute at least", DNS_OUTCOME_NO_DATA, 1, 0, 60},
    {"a negative answer is kept for an hour at most", DNS_OUTCOME_NO_DATA, 90000, 0, 3600},
    {"a failing server is not kept", DNS_OUTCOME_FAILED, 300, 0, 0},
    {"silence is not kept", DNS_OUTCOME_TIMEOUT, 300, 0, 0},
    {"a bad name is not kept", DNS_OUTCOME_BAD_NAME, 300, 0, 0},
};

static void answers_are_kept_as_long_as_they_may(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof kept_rows / sizeof *kept_rows; i++) {
        const struct kept_row *row = &kept_rows[i];
        print_message("  %s\n", row->sentence);
        struct dns_cache *cache = dns_cache_new(4);
        int64_t now = 1000000, last = now + (int64_t)row->kept_for * 1000;
        dns_cache_store(cache, "a.test", DNS_ASK_A, reply_of(row->outcome, row->ttl, row->bytes), now);
        const struct dns_reply *kept = dns_cache_find(cache, "a.test", DNS_ASK_A, now);
        assert_int_equal(kept != NULL, row->kept_for > 0);
        if (kept != NULL) {
            assert_int_equal(kept->ttl, row->kept_for);
            assert_int_equal(kept->outcome, row->outcome);
            assert_int_equal(dns_cache_find(cache, "a.test", DNS_ASK_A, last - 1)->ttl, 1);
            assert_null(dns_cache_find(cache, "a.test", DNS_ASK_A, last));
        }
        dns_cache_free(cache);
    }
}

static void name_and_type_are_the_key(void **state) {
    (void)state;
    struct dns_cache *cache = dns_cache_new(8);
    dns_cache_store(cache, "a.test", DNS_ASK_A, reply_of(DNS_OUTCOME_FOUND, 60, 4), 0);
    assert_non_null(dns_cache_find(cache, "a.test", DNS_ASK_A, 1));
    assert_null(dns_cache_find(cache, "a.test", DNS_ASK_MX, 1));
    assert_null(dns_cache_find(cache, "b.test", DNS_ASK_A, 1));
    dns_cache_free(cache);
}

static void a_newer_answer_replaces_the_former(void **state) {
    (void)state;
    struct dns_cache *cache = dns_cache_new(8);
    dns_cache_store(cache, "a.test", DNS_ASK_A, reply_of(DNS_OUTCOME_FOUND, 60, 4), 0);
    dns_cache_store(cache, "a.test", DNS_ASK_A, reply_of(DNS_OUTCOME_NO_NAME, 60, 0), 0);
    assert_int_equal(dns_cache_find(cache, "a.test", DNS_ASK_A, 1)->outcome, DNS_OUTCOME_NO_NAME);
    dns_cache_store(cache, "a.test", DNS_ASK_A, reply_of(DNS_OUTCOME_TIMEOUT, 0, 0), 0);
    assert_null(dns_cache_find(cache, "a.test", DNS_ASK_A, 1));
    dns_cache_free(cache);
}

static void the_least_recently_used_leaves_first(void **state) {
    (void)state;
    struct dns_cache *cache = dns_cache_new(2);
    dns_cache_store(cache, "a.test", DNS_ASK_A, reply_of(DNS_OUTCOME_FOUND, 60, 4), 0);
    dns_cache_store(cache, "b.test", DNS_ASK_A, reply_of(DNS_OUTCOME_FOUND, 60, 4), 0);
    assert_non_null(dns_cache_find(cache, "a.test", DNS_ASK_A, 1));
    dns_cache_store(cache, "c.test", DNS_ASK_A, reply_of(DNS_OUTCOME_FOUND, 60, 4), 1);
    assert_non_null(dns_cache_find(cache, "a.test", DNS_ASK_A, 2));
    assert_null(dns_cache_find(cache, "b.test", DNS_ASK_A, 2));
    assert_non_null(dns_cache_find(cache, "c.test", DNS_ASK_A, 2));
    dns_cache_free(cache);
}

static void many_names_stay_within_the_maximum(void **state) {
    (void)state;
    struct dns_cache *cache = dns_cache_new(100);
    char name[32];
    size_t found = 0;
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 1000; i++) {
            (void)snprintf(name, sizeof name, "n%u.test", i);
            if (round == 0) {
                dns_cache_store(cache, name, DNS_ASK_A, reply_of(DNS_OUTCOME_FOUND, 60, 4), 0);
            } else {
                found += dns_cache_find(cache, name, DNS_ASK_A, 1) != NULL;
            }
        }
    }
    assert_int_equal(found, 100);
    dns_cache_free(cache);
}

static void a_cache_of_none_keeps_none(void **state) {
    (void)state;
    struct dns_cache *cache = dns_cache_new(0);
    dns_cache_store(cache, "a.test", DNS_ASK_A, reply_of(DNS_OUTCOME_FOUND, 60, 4), 0);
    assert_null(dns_cache_find(cache, "a.test", DNS_ASK_A, 1));
    dns_cache_free(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_kept_as_long_as_they_may), cmocka_unit_test(name_and_type_are_the_key),
        cmocka_unit_test(a_newer_answer_replaces_the_former),   cmocka_unit_test(the_least_recently_used_leaves_first),
        cmocka_unit_test(many_names_stay_within_the_maximum),   cmocka_unit_test(a_cache_of_none_keeps_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
