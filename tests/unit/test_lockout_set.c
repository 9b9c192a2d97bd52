/* SPDX-License-Identifier: MIT
 * The listener's set of locked-out contacts. */
#include "listener/lockout_set.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct lockout_rules rules = {.prohibited = 3600, .maximum = 86400};

static void an_unknown_contact_is_not_locked_out(void **state) {
    (void)state;
    struct lockout_set *set = lockout_set_new(10);
    assert_false(lockout_set_attempt(set, TEXT("192.0.2.1"), 1000, &rules));
    lockout_set_free(set);
}

struct attempt {
    const char *says;
    const char *contact;
    int64_t now;
    bool locked;
};
/* 192.0.2.1 is locked out at 1000, until 4600. */
static const struct attempt attempts[] = {
    {"the contact itself is locked out", "192.0.2.1", 1000, true},
    {"another contact is not", "192.0.2.2", 1000, false},
    {"a contact whose name begins with it is not", "192.0.2.11", 1000, false},
    {"shortly before the end it is", "192.0.2.1", 4599, true},
    {"that attempt moved the end by an hour", "192.0.2.1", 8198, true},
    {"and so on", "192.0.2.1", 11797, true},
    {"after an hour without an attempt it is over", "192.0.2.1", 15397, false},
};

static void a_lockout_ends_after_an_hour_without_an_attempt(void **state) {
    (void)state;
    struct lockout_set *set = lockout_set_new(10);
    assert_true(lockout_set_put(set, TEXT("192.0.2.1"), 1000, 4600));
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
        bool locked = lockout_set_attempt(set, text_of(attempts[i].contact), attempts[i].now, &rules);
        if (locked != attempts[i].locked) {
            fail_msg("%s", attempts[i].says);
        }
    }
    lockout_set_free(set);
}

static void attempts_never_extend_a_lockout_past_its_maximum(void **state) {
    (void)state;
    struct lockout_set *set = lockout_set_new(10);
    int64_t now = 1000;
    assert_true(lockout_set_put(set, TEXT("2001:db8::/64"), now, now + 3600));
    for (; now < 1000 + 86400; now += 600) {
        assert_true(lockout_set_attempt(set, TEXT("2001:db8::/64"), now, &rules));
    }
    assert_false(lockout_set_attempt(set, TEXT("2001:db8::/64"), 1000 + 86400, &rules));
    lockout_set_free(set);
}

static void an_attempt_never_shortens_a_lockout(void **state) {
    (void)state;
    struct lockout_set *set = lockout_set_new(10);
    assert_true(lockout_set_put(set, TEXT("192.0.2.1"), 1000, 1000 + 80000));
    assert_true(lockout_set_attempt(set, TEXT("192.0.2.1"), 1001, &rules));
    assert_true(lockout_set_attempt(set, TEXT("192.0.2.1"), 70000, &rules));
    lockout_set_free(set);
}

static void a_forgiven_contact_is_free_at_once(void **state) {
    (void)state;
    struct lockout_set *set = lockout_set_new(10);
    assert_true(lockout_set_put(set, TEXT("192.0.2.1"), 1000, 4600));
    lockout_set_remove(set, TEXT("192.0.2.1"));
    lockout_set_remove(set, TEXT("192.0.2.9"));
    assert_false(lockout_set_attempt(set, TEXT("192.0.2.1"), 1000, &rules));
    assert_int_equal(lockout_set_count(set), 0);
    lockout_set_free(set);
}

struct taken {
    unsigned calls, hits;
    int64_t last_at;
    bool accept;
};

static bool take(void *context, const char *contact, uint32_t hits, int64_t last_at) {
    struct taken *taken = context;
    assert_string_equal(contact, "192.0.2.1");
    taken->calls++;
    taken->hits = hits;
    taken->last_at = last_at;
    return taken->accept;
}

static void attempts_are_counted_and_handed_out_once(void **state) {
    (void)state;
    struct lockout_set *set = lockout_set_new(10);
    struct taken taken = {.accept = false};
    assert_true(lockout_set_put(set, TEXT("192.0.2.1"), 1000, 4600));
    assert_true(lockout_set_put(set, TEXT("192.0.2.2"), 1000, 4600));
    for (int64_t now = 1000; now < 1005; now++) {
        lockout_set_attempt(set, TEXT("192.0.2.1"), now, &rules);
    }
    lockout_set_take_hits(set, take, &taken);
    assert_int_equal(taken.calls, 1);
    taken.accept = true; /* the first taker had no room: the same hits come again */
    lockout_set_take_hits(set, take, &taken);
    assert_int_equal(taken.calls, 2);
    assert_int_equal(taken.hits, 5);
    assert_int_equal(taken.last_at, 1004);
    lockout_set_take_hits(set, take, &taken);
    assert_int_equal(taken.calls, 2);
    lockout_set_free(set);
}

static void what_has_expired_is_forgotten_but_not_its_hits(void **state) {
    (void)state;
    struct lockout_set *set = lockout_set_new(10);
    struct taken taken = {.accept = true};
    lockout_set_put(set, TEXT("192.0.2.1"), 1000, 2000);
    lockout_set_attempt(set, TEXT("192.0.2.1"), 1001, &(struct lockout_rules){1, 1000});
    lockout_set_sweep(set, 5000);
    assert_int_equal(lockout_set_count(set), 1);
    lockout_set_take_hits(set, take, &taken);
    assert_int_equal(taken.hits, 1);
    lockout_set_sweep(set, 5000);
    assert_int_equal(lockout_set_count(set), 0);
    lockout_set_free(set);
}

static void the_set_is_bounded_and_finds_all_of_many(void **state) {
    (void)state;
    enum { MANY = 5000 };
    char name[32];
    struct lockout_set *set = lockout_set_new(MANY);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "10.1.%d.%d", i / 256, i % 256);
        assert_true(lockout_set_put(set, text_of(name), 1000, 4600));
    }
    assert_false(lockout_set_put(set, TEXT("192.0.2.1"), 1000, 4600));
    assert_true(lockout_set_put(set, TEXT("10.1.0.0"), 1000, 4600));
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "10.1.%d.%d", i / 256, i % 256);
        assert_true(lockout_set_attempt(set, text_of(name), 1001, &rules));
    }
    lockout_set_free(set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unknown_contact_is_not_locked_out),
        cmocka_unit_test(a_lockout_ends_after_an_hour_without_an_attempt),
        cmocka_unit_test(attempts_never_extend_a_lockout_past_its_maximum),
        cmocka_unit_test(an_attempt_never_shortens_a_lockout),
        cmocka_unit_test(a_forgiven_contact_is_free_at_once),
        cmocka_unit_test(attempts_are_counted_and_handed_out_once),
        cmocka_unit_test(what_has_expired_is_forgotten_but_not_its_hits),
        cmocka_unit_test(the_set_is_bounded_and_finds_all_of_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
