/* SPDX-License-Identifier: MIT
 * The order in which mail exchangers are tried (RFC 5321 5.1, RFC 7505). */
#include "agent/route.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

/* "10 a, 20 b" into hosts; "." gives an empty name, as the resolver's answer is read. */
static size_t read_hosts(const char *list, struct route_host *hosts) {
    size_t count = 0;
    struct text rest = text_of(list), word;
    while (text_split(&rest, ',', &word)) {
        uint64_t preference = 0;
        struct text name = text_trim(word), number;
        memset(&hosts[count], 0, sizeof hosts[count]);
        text_split(&name, ' ', &number);
        assert_true(text_number(number, 65535, &preference));
        hosts[count].preference = (unsigned)preference;
        text_copy(hosts[count].name, sizeof hosts[count].name, text_equal(name, TEXT(".")) ? TEXT_NONE : name);
        count++;
    }
    return count;
}

static void exchangers_are_ordered(void **state) {
    static const struct {
        const char *sentence, *records;
        enum route_order order;
        const char *names; /* in order */
    } rows[] = {
        {"one", "10 a", ROUTE_ORDER_OK, "a "},
        {"the lower preference first", "20 b,10 a,30 c", ROUTE_ORDER_OK, "a b c "},
        {"a null MX takes no mail", "0 .", ROUTE_ORDER_NULL_MX, ""},
        {"a nameless one among others is ignored", "0 .,10 a", ROUTE_ORDER_OK, "a "},
        {"only nameless ones are none", "0 .,10 .", ROUTE_ORDER_NONE, ""},
        {"we ourselves as the only one is a loop", "10 us", ROUTE_ORDER_LOOP, ""},
        {"we ourselves as the best is a loop", "10 US,20 a", ROUTE_ORDER_LOOP, ""},
        {"behind ourselves nobody is tried", "10 a,20 us,30 b", ROUTE_ORDER_OK, "a "},
        {"nor beside ourselves", "10 a,20 us,20 b,20 c", ROUTE_ORDER_OK, "a "},
        {"twice ourselves", "10 a,20 us,30 us", ROUTE_ORDER_OK, "a "},
        {"equal to ourselves and nobody better is a loop", "10 a,10 us", ROUTE_ORDER_LOOP, ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        print_message("%s\n", rows[i].sentence);
        for (int repeat = 0; repeat < 20; repeat++) {
            static struct route_host hosts[8];
            char names[100] = "";
            size_t count = read_hosts(rows[i].records, hosts);
            assert_int_equal(route_order(hosts, &count, "us"), rows[i].order);
            for (size_t j = 0; j < count; j++) {
                snprintf(names + strlen(names), sizeof names - strlen(names), "%.9s ", hosts[j].name);
            }
            assert_string_equal(names, rows[i].names);
        }
    }
}

static void equals_come_in_random_order(void **state) {
    int first[3] = {0};
    (void)state;
    for (int repeat = 0; repeat < 600; repeat++) {
        static struct route_host hosts[8];
        size_t count = read_hosts("10 a,10 b,10 c,5 z", hosts);
        assert_int_equal(route_order(hosts, &count, "us"), ROUTE_ORDER_OK);
        assert_string_equal(hosts[0].name, "z");
        first[hosts[1].name[0] - 'a']++;
    }
    for (int i = 0; i < 3; i++) {
        assert_in_range(first[i], 120, 280); /* 200 each; this far off happens once in many million runs */
    }
}

static void an_address_of_ours_is_one_of_this_machine_at_a_port_we_listen_to(void **state) {
    static const struct {
        const char *listen, *address;
        unsigned port;
        bool ours;
    } rows[] = {
        {"0.0.0.0:2525", "127.0.0.1", 2525, true},     {"0.0.0.0:2525", "127.9.8.7", 2525, true},
        {"0.0.0.0:2525", "0.0.0.0", 2525, true},       {"0.0.0.0:2525", "127.0.0.1", 2526, false},
        {"0.0.0.0:2525", "192.0.2.1", 2525, false},    {"[::]:2525", "::1", 2525, true},
        {"127.0.0.1:2525", "127.0.0.1", 2525, true},   {"127.0.0.1:2525", "127.0.0.2", 2525, false},
        {"192.0.2.1:2525", "192.0.2.1", 2525, true},   {"/run/sendmail", "127.0.0.1", 0, false},
        {"[2001:db8::1]:25", "2001:db8::1", 25, true}, {"[2001:db8::1]:25", "2001:db8::2", 25, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct config_listen listen = {.parsed_count = 1};
        struct config config = {.listens = &listen, .listen_count = 1};
        struct network_address address;
        bool port_only;
        print_message("%s %s\n", rows[i].listen, rows[i].address);
        assert_true(network_parse_endpoint(text_of(rows[i].listen), &listen.parsed[0], &port_only));
        assert_true(network_parse_ip(text_of(rows[i].address), rows[i].port, &address));
        assert_int_equal(route_is_own_address(&config, &address), rows[i].ours);
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(exchangers_are_ordered),
        cmocka_unit_test(an_address_of_ours_is_one_of_this_machine_at_a_port_we_listen_to),
        cmocka_unit_test(equals_come_in_random_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
