/* SPDX-License-Identifier: MIT
 * Unit test of smtp/proxy_header: good, bad and endless headers of both versions, each also in every split. */
#include "smtp/proxy_header.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <string.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4 "\xc0\x00\x02\x07\xc6\x33\x64\x09\x30\x39\x00\x19" /* 192.0.2.7:12345 to 198.51.100.9:25 */
#define V6_CLIENT "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
#define V6_SERVER "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x09"
#define BYTES(literal) literal, sizeof(literal) - 1

static char endless[109] = "PROXY UNKNOWN ";

static const struct {
    const char *sentence, *bytes;
    size_t length;
    enum proxy_header_result result;
    const char *client, *server; /* "" for the real ones */
} rows[] = {
    {"TCP4", BYTES("PROXY TCP4 192.0.2.7 198.51.100.9 12345 25\r\n"), PROXY_HEADER_ITEM, "192.0.2.7 12345",
     "198.51.100.9 25"},
    {"TCP6", BYTES("PROXY TCP6 2001:db8::7 2001:db8::9 12345 25\r\n"), PROXY_HEADER_ITEM, "2001:db8::7 12345",
     "2001:db8::9 25"},
    {"an IPv4 address as IPv6 shows it", BYTES("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:198.51.100.9 1 25\r\n"),
     PROXY_HEADER_ITEM, "192.0.2.7 1", "198.51.100.9 25"},
    {"UNKNOWN", BYTES("PROXY UNKNOWN\r\n"), PROXY_HEADER_ITEM, "", ""},
    {"UNKNOWN with more", BYTES("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), PROXY_HEADER_ITEM, "", ""},
    {"version 2, TCP over IPv4", BYTES(SIGNATURE "\x21\x11\x00\x0c" V4), PROXY_HEADER_ITEM, "192.0.2.7 12345",
     "198.51.100.9 25"},
    {"version 2, TCP over IPv6", BYTES(SIGNATURE "\x21\x21\x00\x24" V6_CLIENT V6_SERVER "\x30\x39\x00\x19"),
     PROXY_HEADER_ITEM, "2001:db8::7 12345", "2001:db8::9 25"},
    {"version 2 with TLVs", BYTES(SIGNATURE "\x21\x11\x00\x11" V4 "\x04\x00\x02\x00\x00"), PROXY_HEADER_ITEM,
     "192.0.2.7 12345", "198.51.100.9 25"},
    {"version 2, LOCAL", BYTES(SIGNATURE "\x20\x00\x00\x00"), PROXY_HEADER_ITEM, "", ""},
    {"version 2, LOCAL with addresses", BYTES(SIGNATURE "\x20\x11\x00\x0c" V4), PROXY_HEADER_ITEM, "", ""},
    {"version 2, not said for whom", BYTES(SIGNATURE "\x21\x00\x00\x00"), PROXY_HEADER_ITEM, "", ""},

    {"no header", BYTES("EHLO client.example.net\r\n"), PROXY_HEADER_BAD, "", ""},
    {"small letters", BYTES("proxy TCP4 192.0.2.7 198.51.100.9 1 25\r\n"), PROXY_HEADER_BAD, "", ""},
    {"another family", BYTES("PROXY UDP4 192.0.2.7 198.51.100.9 1 25\r\n"), PROXY_HEADER_BAD, "", ""},
    {"an address of the other family", BYTES("PROXY TCP4 2001:db8::7 2001:db8::9 1 25\r\n"), PROXY_HEADER_BAD, "", ""},
    {"no address", BYTES("PROXY TCP4 192.0.2.777 198.51.100.9 1 25\r\n"), PROXY_HEADER_BAD, "", ""},
    {"a port too large", BYTES("PROXY TCP4 192.0.2.7 198.51.100.9 65536 25\r\n"), PROXY_HEADER_BAD, "", ""},
    {"no port", BYTES("PROXY TCP4 192.0.2.7 198.51.100.9 1\r\n"), PROXY_HEADER_BAD, "", ""},
    {"something behind the ports", BYTES("PROXY TCP4 192.0.2.7 198.51.100.9 1 25 x\r\n"), PROXY_HEADER_BAD, "", ""},
    {"two blanks", BYTES("PROXY  TCP4 192.0.2.7 198.51.100.9 1 25\r\n"), PROXY_HEADER_BAD, "", ""},
    {"a bare LF", BYTES("PROXY TCP4 192.0.2.7 198.51.100.9 1 25\n"), PROXY_HEADER_BAD, "", ""},
    {"a line that never ends", endless, 108, PROXY_HEADER_BAD, "", ""},
    {"version 3", BYTES(SIGNATURE "\x31\x11\x00\x0c" V4), PROXY_HEADER_BAD, "", ""},
    {"an unknown command", BYTES(SIGNATURE "\x22\x11\x00\x0c" V4), PROXY_HEADER_BAD, "", ""},
    {"UDP", BYTES(SIGNATURE "\x21\x12\x00\x0c" V4), PROXY_HEADER_BAD, "", ""},
    {"too short for its family", BYTES(SIGNATURE "\x21\x21\x00\x0c" V4), PROXY_HEADER_BAD, "", ""},
    {"longer than any that is of use", BYTES(SIGNATURE "\x21\x11\xff\xff"), PROXY_HEADER_BAD, "", ""},
    {"half a signature, then something else", BYTES("\r\n\r\nEHLO x\r\n"), PROXY_HEADER_BAD, "", ""},

    {"nothing", BYTES(""), PROXY_HEADER_MORE, "", ""},
    {"the beginning of a line", BYTES("PROXY TCP4 192.0.2.7"), PROXY_HEADER_MORE, "", ""},
    {"the beginning of a signature", BYTES("\r\n\r\n"), PROXY_HEADER_MORE, "", ""},
    {"a head without its addresses", BYTES(SIGNATURE "\x21\x11\x00\x0c\xc0"), PROXY_HEADER_MORE, "", ""},
};

static void compare(const char *sentence, const struct network_address *address, const char *wanted) {
    char ip[NETWORK_IP_SIZE], got[NETWORK_IP_SIZE + 16] = "";
    if (address->length > 0) {
        network_ip_text(address, ip);
        (void)snprintf(got, sizeof got, "%s %u", ip, network_port(address));
    }
    if (strcmp(got, wanted) != 0) {
        fail_msg("%s: wanted \"%s\", got \"%s\"", sentence, wanted, got);
    }
}

static void headers_are_read_whole(void **state) {
    struct proxy_header header;
    size_t consumed;
    (void)state;
    memset(endless + strlen(endless), 'x', sizeof endless - 1 - strlen(endless));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char bytes[512];
        memcpy(bytes, rows[i].bytes, rows[i].length);
        memcpy(bytes + rows[i].length, "EHLO", 4); /* what follows is the client's */
        bool whole = rows[i].result != PROXY_HEADER_MORE;
        struct text text = {bytes, rows[i].length + (whole ? 4 : 0)};
        if (proxy_header_parse(text, &header, &consumed) != rows[i].result) {
            fail_msg("%s", rows[i].sentence);
        }
        if (rows[i].result != PROXY_HEADER_ITEM) {
            continue;
        }
        assert_int_equal(consumed, rows[i].length);
        assert_int_equal(header.proxied, rows[i].client[0] != '\0');
        compare(rows[i].sentence, header.proxied ? &header.client : &(struct network_address){.length = 0},
                rows[i].client);
        compare(rows[i].sentence, header.proxied ? &header.server : &(struct network_address){.length = 0},
                rows[i].server);
    }
}

static void every_beginning_of_a_good_one_wants_more(void **state) {
    struct proxy_header header;
    size_t consumed;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t length = 0; rows[i].result == PROXY_HEADER_ITEM && length < rows[i].length; length++) {
            if (proxy_header_parse((struct text){rows[i].bytes, length}, &header, &consumed) != PROXY_HEADER_MORE) {
                fail_msg("%s, its first %zu bytes", rows[i].sentence, length);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_read_whole),
        cmocka_unit_test(every_beginning_of_a_good_one_wants_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
