/* SPDX-License-Identifier: MIT
 * Connections that race (RFC 8305): their order, who wins, what becomes of the others, and from which address. */
#include "agent/connection.h"
#include "base/clock.h"
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))
#define FOREVER 20000

static void the_families_take_turns_with_ipv6_first(void **state) {
    static const struct {
        const char *given, *ordered; /* a letter an address: small ones are IPv4 */
    } rows[] = {{"", ""},         {"a", "a"},       {"A", "A"},       {"aA", "Aa"},         {"ABab", "AaBb"},
                {"abAB", "AaBb"}, {"abcA", "Aabc"}, {"ABCa", "AaBC"}, {"aAbBcC", "AaBbCc"}, {"abc", "abc"}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct network_address addresses[8];
        struct connection_candidate candidates[8];
        char ordered[9] = "";
        size_t count = strlen(rows[i].given);
        for (size_t j = 0; j < count; j++) {
            bool v6 = rows[i].given[j] < 'a';
            assert_true(
                network_parse_ip(v6 ? TEXT("::1") : TEXT("127.0.0.1"), (unsigned)rows[i].given[j], &addresses[j]));
            candidates[j] = (struct connection_candidate){.address = &addresses[j]};
        }
        connection_order(candidates, count);
        for (size_t j = 0; j < count; j++) {
            ordered[j] = (char)network_port(candidates[j].address);
        }
        assert_string_equal(ordered, rows[i].ordered);
    }
}

/* A listener at a free port of 127.0.0.1; closed: nothing listens there any more. */
static int listener(struct network_address *address, int backlog) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(network_parse_ip(TEXT("127.0.0.1"), 0, address));
    assert_int_equal(bind(fd, (const struct sockaddr *)&address->storage, address->length), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address->storage, &address->length), 0);
    return fd;
}

/* One whose backlog is full: every further SYN is dropped, and connecting never ends. */
struct silent {
    int listening, waiting[4];
};
static struct silent silence(struct network_address *address) {
    struct silent silent = {.listening = listener(address, 0)};
    for (size_t i = 0; i < COUNT_OF(silent.waiting); i++) {
        silent.waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(silent.waiting[i], (const struct sockaddr *)&address->storage, address->length);
    }
    return silent;
}

static void end(struct silent *silent) {
    close(silent->listening);
    for (size_t i = 0; i < COUNT_OF(silent->waiting); i++) {
        close(silent->waiting[i]);
    }
}

static void one_that_hangs_is_overtaken_and_not_given_up(void **state) {
    struct network_address hung, good;
    size_t chosen = 9;
    (void)state;
    struct silent silent = silence(&hung);
    int listening = listener(&good, 5);
    struct connection_candidate candidates[] = {{.address = &hung}, {.address = &good}};
    int64_t before = clock_now_ms();
    int fd = connection_race(candidates, 2, NULL, FOREVER, &chosen);
    int64_t took = clock_now_ms() - before;
    assert_true(fd >= 0);
    assert_int_equal(chosen, 1);
    assert_true(took >= CONNECTION_DELAY_MS && took < FOREVER);
    assert_true(candidates[1].tried && !candidates[0].tried && candidates[0].problem == 0);
    close(fd);
    close(listening);
    end(&silent);
}

static void one_that_answers_wins_without_a_second_connection(void **state) {
    struct network_address first, second;
    size_t chosen = 9;
    (void)state;
    int listening = listener(&first, 5), other = listener(&second, 5);
    struct connection_candidate candidates[] = {{.address = &first}, {.address = &second}};
    int fd = connection_race(candidates, 2, NULL, FOREVER, &chosen);
    assert_int_equal(chosen, 0);
    close(fd);
    fd = connection_race(candidates, 2, NULL, FOREVER, &chosen); /* the first was no good after all */
    assert_int_equal(chosen, 1);
    close(fd);
    assert_int_equal(connection_race(candidates, 2, NULL, FOREVER, &chosen), -1);
    close(listening);
    close(other);
}

static void failures_are_told_for_each_address(void **state) {
    struct network_address closed, hung, good;
    size_t chosen = 9;
    (void)state;
    close(listener(&closed, 5));
    struct silent silent = silence(&hung);
    struct connection_candidate candidates[] = {{.address = &closed}, {.address = &hung}};
    assert_int_equal(connection_race(candidates, 2, NULL, 300, &chosen), -1);
    assert_true(candidates[0].tried && candidates[1].tried);
    assert_int_equal(candidates[0].problem, ECONNREFUSED);
    assert_int_equal(candidates[1].problem, ETIMEDOUT);
    int listening = listener(&good, 5);
    int64_t least = FOREVER;
    for (int i = 0; i < 5; i++) { /* the machine may have been busy with others meanwhile */
        struct connection_candidate next[] = {{.address = &closed}, {.address = &good}};
        int64_t before = clock_now_ms(), took;
        int fd = connection_race(next, 2, NULL, FOREVER, &chosen);
        took = clock_now_ms() - before;
        least = took < least ? took : least;
        assert_int_equal(chosen, 1);
        close(fd);
    }
    assert_true(least < CONNECTION_DELAY_MS); /* after a failure the next begins at once */
    close(listening);
    end(&silent);
}

static void the_first_source_of_the_family_that_can_be_had_is_taken(void **state) {
    static char foreign[] = "192.0.2.1", six[] = "::1", first[] = "127.0.0.9", second[] = "127.0.0.10";
    char *some[] = {six, foreign, first, second}, *none[] = {foreign}, *others[] = {six};
    const struct {
        struct config_strings sources;
        const char *from; /* NULL: EADDRNOTAVAIL */
    } rows[] = {{{some, 4}, "127.0.0.9"}, {{none, 1}, NULL}, {{others, 1}, "127.0.0.1"}, {{NULL, 0}, "127.0.0.1"}};
    struct network_address address;
    (void)state;
    int listening = listener(&address, 5);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct connection_candidate candidate = {.address = &address};
        struct network_address own = {.length = sizeof own.storage};
        char ip[NETWORK_IP_SIZE];
        size_t chosen;
        int fd = connection_race(&candidate, 1, &rows[i].sources, FOREVER, &chosen);
        assert_int_equal(fd >= 0, rows[i].from != NULL);
        if (fd < 0) {
            assert_int_equal(candidate.problem, EADDRNOTAVAIL);
            continue;
        }
        assert_int_equal(getsockname(fd, (struct sockaddr *)&own.storage, &own.length), 0);
        network_ip_text(&own, ip);
        assert_string_equal(ip, rows[i].from);
        close(fd);
    }
    close(listening);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_families_take_turns_with_ipv6_first),
        cmocka_unit_test(one_that_hangs_is_overtaken_and_not_given_up),
        cmocka_unit_test(one_that_answers_wins_without_a_second_connection),
        cmocka_unit_test(failures_are_told_for_each_address),
        cmocka_unit_test(the_first_source_of_the_family_that_can_be_had_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
