/* SPDX-License-Identifier: MIT
 * Addresses, endpoints, networks, contact names, reverse names. */
#include "base/network.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

static struct network_address address_of(const char *ip) {
    struct network_address address;
    assert_true(network_parse_ip(text_of(ip), 25, &address));
    return address;
}

static void endpoints_are_strict(void **state) {
    static const struct {
        const char *endpoint, *ip; /* ip NULL: refused */
        unsigned port;
        bool port_only;
    } rows[] = {
        {"25", "0.0.0.0", 25, true},
        {"127.0.0.1:2025", "127.0.0.1", 2025, false},
        {"[::1]:25", "::1", 25, false},
        {"::1/25", "::1", 25, false},
        {"2001:db8::5/65535", "2001:db8::5", 65535, false},
        {"[::ffff:10.0.0.1]:25", "10.0.0.1", 25, false},
        {"/run/lmtp", "unix", 0, false},
        {"unix:/run/lmtp", "unix", 0, false},
        {"unix:relative", NULL, 0, false},
        {"999.9.9.9:99999", NULL, 0, false},
        {"999.9.9.9:25", NULL, 0, false},
        {"127.0.0.1:65536", NULL, 0, false},
        {"127.0.0.1:0", NULL, 0, false},
        {"127.0.0.1:", NULL, 0, false},
        {"127.0.0.1", NULL, 0, false},
        {"127.0.0.1:+25", NULL, 0, false},
        {"127.0.0.1:000025", NULL, 0, false},
        {"127.0.0.1/25", NULL, 0, false},
        {"[127.0.0.1]:25", NULL, 0, false},
        {"::1:25", NULL, 0, false},
        {"[::1]", NULL, 0, false},
        {"[::1]25", NULL, 0, false},
        {"[::1]:", NULL, 0, false},
        {"127.1:25", NULL, 0, false},
        {"0x7f.0.0.1:25", NULL, 0, false},
        {"localhost:25", NULL, 0, false},
        {"0", NULL, 0, false},
        {"", NULL, 0, false},
        {" 25", NULL, 0, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct network_address address;
        bool port_only = false;
        char ip[NETWORK_IP_SIZE];
        print_message("'%s' is %s\n", rows[i].endpoint, rows[i].ip == NULL ? "refused" : rows[i].ip);
        assert_int_equal(network_parse_endpoint(text_of(rows[i].endpoint), &address, &port_only), rows[i].ip != NULL);
        if (rows[i].ip != NULL) {
            network_ip_text(&address, ip);
            assert_string_equal(ip, rows[i].ip);
            assert_int_equal(network_port(&address), rows[i].port);
            assert_int_equal(port_only, rows[i].port_only);
        }
    }
}

static void a_unix_path_is_kept_whole_or_refused(void **state) {
    struct network_address address;
    bool port_only;
    char path[200];
    (void)state;
    assert_true(network_parse_endpoint(TEXT("unix:/run/a"), &address, &port_only));
    struct sockaddr_un un;
    memcpy(&un, &address.storage, sizeof un);
    assert_string_equal(un.sun_path, "/run/a");
    assert_int_equal(address.length, offsetof(struct sockaddr_un, sun_path) + 7);
    assert_true(network_is_loopback(&address));
    memset(path, 'a', sizeof path);
    path[0] = '/';
    assert_true(network_parse_endpoint((struct text){path, 107}, &address, &port_only));
    assert_false(network_parse_endpoint((struct text){path, 108}, &address, &port_only));
}

static void networks_contain_what_they_should(void **state) {
    static const struct {
        const char *network, *ip;
        bool contained;
    } rows[] = {
        {"10.0.0.0/8", "10.255.0.1", true},
        {"10.0.0.0/8", "11.0.0.1", false},
        {"10.1.2.3/8", "10.9.9.9", true},
        {"192.0.2.128/25", "192.0.2.129", true},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"0.0.0.0/0", "8.8.8.8", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "8.8.8.8", false},
        {"2001:db8::/32", "2001:db8:ffff::1", true},
        {"2001:db8::/33", "2001:db8:ffff::1", false},
        {"10.0.0.0/8", "::ffff:10.1.1.1", true},
        {"::ffff:10.0.0.0/104", "10.1.1.1", true},
        {"::1", "::1", true},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct network network;
        struct network_address address = address_of(rows[i].ip);
        print_message("%s %s %s\n", rows[i].network, rows[i].contained ? "contains" : "does not contain", rows[i].ip);
        assert_true(network_parse(text_of(rows[i].network), &network));
        assert_int_equal(network_contains(&network, &address), rows[i].contained);
    }
}

static void malformed_networks_are_refused(void **state) {
    static const char *const rows[] = {"",      "10.0.0.0/33", "::/129",      "10.0.0.0/",      "10.0.0/8",
                                       "/8",    "10.0.0.0/-1", "10.0.0.0/8 ", "host.example/8", "[::1]/128",
                                       "::1%lo"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct network network;
        print_message("'%s' is refused\n", rows[i]);
        assert_false(network_parse(text_of(rows[i]), &network));
    }
}

static void contacts_count_per_ipv4_address_and_ipv6_prefix(void **state) {
    static const struct {
        const char *ip;
        unsigned prefix;
        const char *contact;
    } rows[] = {
        {"192.0.2.7", 64, "192.0.2.7"},
        {"::ffff:192.0.2.7", 64, "192.0.2.7"},
        {"2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2::/64"},
        {"2001:db8:1:2:3:4:5:6", 56, "2001:db8:1::/56"},
        {"2001:db8:1:2:3:4:5:6", 128, "2001:db8:1:2:3:4:5:6"},
        {"2001:db8:1:2ff:3:4:5:6", 57, "2001:db8:1:280::/57"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct network_address address = address_of(rows[i].ip);
        char contact[NETWORK_IP_SIZE];
        print_message("%s counts as %s\n", rows[i].ip, rows[i].contact);
        network_contact(&address, rows[i].prefix, contact);
        assert_string_equal(contact, rows[i].contact);
    }
}

static void mapped_addresses_from_the_kernel_are_shown_as_ipv4(void **state) {
    struct { /* sockaddr_in6 as the kernel fills it */
        sa_family_t family;
        unsigned short port;
        unsigned flow;
        unsigned char bytes[16];
        unsigned scope;
    } v6 = {.family = AF_INET6, .bytes = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}};
    struct network_address address = {.length = sizeof v6};
    char ip[NETWORK_IP_SIZE];
    (void)state;
    memcpy(&address.storage, &v6, sizeof v6);
    network_ip_text(&address, ip);
    assert_string_equal(ip, "127.0.0.1");
    assert_true(network_is_loopback(&address));
}

static void reverse_names_are_made_for_both_families(void **state) {
    static const struct {
        const char *ip, *suffix, *name; /* name NULL: refused */
    } rows[] = {
        {"192.0.2.7", NULL, "7.2.0.192.in-addr.arpa"},
        {"192.0.2.7", "bl.example.test", "7.2.0.192.bl.example.test"},
        {"::ffff:192.0.2.7", "bl.example.test", "7.2.0.192.bl.example.test"},
        {"2001:db8::1", NULL, "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"},
        {"2001:db8::1", "x", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.x"},
        {"host.example", NULL, NULL},
    };
    char name[100];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        print_message("%s\n", rows[i].ip);
        assert_int_equal(network_reverse_name(text_of(rows[i].ip), rows[i].suffix, name, sizeof name),
                         rows[i].name != NULL);
        if (rows[i].name != NULL) {
            assert_string_equal(name, rows[i].name);
        }
    }
    assert_false(network_reverse_name(TEXT("192.0.2.7"), NULL, name, 22));
    assert_true(network_reverse_name(TEXT("192.0.2.7"), NULL, name, 23));
}

static void networks_have_names(void **state) {
    static const struct {
        const char *ip, *name;
    } rows[] = {{"192.0.2.77", "192.0.2.0/24"},
                {"2001:db8:1:2:3::4", "2001:db8:1::/48"},
                {"::ffff:192.0.2.77", "192.0.2.0/24"}};
    char name[NETWORK_IP_SIZE];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct network_address address = address_of(rows[i].ip);
        network_name(&address, name);
        assert_string_equal(name, rows[i].name);
    }
}

static void a_pattern_is_an_address_or_choices_of_numbers(void **state) {
    static const struct {
        const char *pattern, *ip;
        bool valid, matches;
    } rows[] = {
        {"127.0.0.2", "127.0.0.2", true, true},        {"127.0.0.2", "127.0.0.3", true, false},
        {"127.0.0.[2..4;9]", "127.0.0.9", true, true}, {"127.0.[0;1].[1..255]", "127.0.1.200", true, true},
        {"[127].0.0.[4..4]", "127.0.0.4", true, true}, {"127.0.0.2", "127.0.0.2.1", true, false},
        {"127.0.0.2", "listed", true, false},          {"127.0.0.[4..2]", "127.0.0.3", false, false},
        {"127.0.0.[2..4", "127.0.0.3", false, false},  {"127.0.0.[]", "127.0.0.3", false, false},
        {"127.0.0.[2;]", "127.0.0.2", false, false},   {"127.0.0.256", "127.0.0.2", false, false},
        {"127.0.0.", "127.0.0.2", false, false},       {"127.0.2", "127.0.0.2", false, false},
        {"127.0.0.2.", "127.0.0.2", false, false},     {"", "127.0.0.2", false, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(network_pattern_is_valid(text_of(rows[i].pattern)), rows[i].valid);
        assert_int_equal(network_pattern_matches(text_of(rows[i].pattern), text_of(rows[i].ip)), rows[i].matches);
    }
}

static void loopback_is_known_in_every_form(void **state) {
    struct network_address address = address_of("127.9.9.9");
    (void)state;
    assert_true(network_is_loopback(&address));
    address = address_of("::1");
    assert_true(network_is_loopback(&address));
    address = address_of("::2");
    assert_false(network_is_loopback(&address));
    address = address_of("128.0.0.1");
    assert_false(network_is_loopback(&address));
    assert_false(network_parse_ip(TEXT("127.0.0.1"), 65536, &address));
    assert_false(network_parse_ip(TEXT("127.0.0.1\0"), 25, &address));
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoints_are_strict),
        cmocka_unit_test(a_unix_path_is_kept_whole_or_refused),
        cmocka_unit_test(networks_contain_what_they_should),
        cmocka_unit_test(malformed_networks_are_refused),
        cmocka_unit_test(contacts_count_per_ipv4_address_and_ipv6_prefix),
        cmocka_unit_test(mapped_addresses_from_the_kernel_are_shown_as_ipv4),
        cmocka_unit_test(reverse_names_are_made_for_both_families),
        cmocka_unit_test(networks_have_names),
        cmocka_unit_test(a_pattern_is_an_address_or_choices_of_numbers),
        cmocka_unit_test(loopback_is_known_in_every_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
