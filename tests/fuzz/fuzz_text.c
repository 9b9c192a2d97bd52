/* SPDX-License-Identifier: MIT
 * Fuzz target: the small parsers that the others stand on: addresses of the network and their patterns, base64, UTF-8,
 * times, server names of TLS, mail ids, command words, and lines of a stream. What is written is read again the same.
 */
#include "base/clock.h"
#include "base/command_words.h"
#include "base/network.h"
#include "base/stream.h"
#include "fuzz.h"
#include "mail/mail_id.h"
#include "mail/mechanism.h"
#include "tls/tls.h"
#include <sys/socket.h>
#include <unistd.h>

static void fuzz_start(void) {
}

static void check_address(const struct network_address *address) {
    char text[NETWORK_IP_SIZE], name[256];
    struct network_address again;
    struct network network;

    network_ip_text(address, text);
    if (address->storage.ss_family == AF_UNIX)
        return;
    FUZZ_CHECK(network_parse_ip(text_of(text), network_port(address), &again));
    FUZZ_CHECK(network_port(&again) == network_port(address) && network_parse(text_of(text), &network));
    FUZZ_CHECK(network_contains(&network, address));
    (void)network_is_loopback(address);
    (void)network_reverse_name(text_of(text), NULL, name, sizeof name);
    (void)network_reverse_name(text_of(text), "list.test", name, 40);
    network_name(address, text);
    FUZZ_CHECK(network_parse(text_of(text), &network) && network_contains(&network, address));
    network_contact(address, 64, text);
    FUZZ_CHECK(network_parse(text_of(text), &network) && network_contains(&network, address));
}

static void check_networks(struct text input) {
    struct network_address address;
    struct network network;
    bool port_only;
    struct text pattern = text_first(input, text_find(input, ' '));

    if (network_parse_ip(input, 25, &address))
        check_address(&address);
    if (network_parse_endpoint(input, &address, &port_only))
        check_address(&address);
    if (network_parse(input, &network))
        FUZZ_CHECK(network.bits <= (network.v6 ? 128u : 32u));
    if (network_parse_ip(TEXT("2001:db8::1"), 25, &address) && network_parse(input, &network))
        (void)network_contains(&network, &address);
    bool matches = network_pattern_matches(pattern, text_from(input, pattern.length + 1));
    if (!network_pattern_is_valid(pattern))
        FUZZ_CHECK(!matches);
}

static void check_encodings(struct text input) {
    static const char *const names[] = {"", "mail.example.test", "*.example.test", "example.test"};
    char plain[3000], encoded[4004], shown[64];
    size_t length;
    uint64_t number;

    if (text_base64_decode(input, plain, sizeof plain, &length) &&
        text_base64_encode((struct text){plain, length}, encoded, sizeof encoded))
        FUZZ_CHECK(text_equal_nocase(text_of(encoded), input));
    if (text_base64_encode(input, encoded, sizeof encoded))
        FUZZ_CHECK(!text_base64_decode(text_of(encoded), plain, sizeof plain, &length) ||
                   text_equal((struct text){plain, length}, input));
    FUZZ_CHECK(text_is_printable(text_of(text_printable(shown, sizeof shown, input))));
    FUZZ_CHECK(!text_is_printable(input) || text_is_utf8(input));
    FUZZ_CHECK(!text_number(input, 1000, &number) || number <= 1000);
    FUZZ_CHECK(tls_name_find(names, 4, input) < 4);
    FUZZ_CHECK(!tls_name_is_valid(input) || input.length <= 257);
    FUZZ_CHECK(auth_mechanism_find(input) <= AUTH_MECHANISMS);
}

static void check_words(struct text input) {
    char *string = memory_string(text_first(input, text_find(input, '\0')));
    char *words[COMMAND_WORDS_MAXIMUM + 1], text[CLOCK_TEXT_SIZE], internet[CLOCK_INTERNET_SIZE], id[MAIL_ID_SIZE];
    time_t seconds;

    if (clock_parse(string, &seconds)) {
        clock_text(seconds, text);
        FUZZ_CHECK(strcmp(text, string) == 0);
    }
    if (clock_internet_parse(input, &seconds) && seconds >= 0 && seconds < 253402300800) {
        clock_internet_text(seconds, internet);
        time_t again;
        FUZZ_CHECK(clock_internet_parse(text_of(internet), &again) && again == seconds);
    }
    if (mail_id_is_valid(input)) {
        mail_id_derive(string, 1, "notice", 62, id);
        FUZZ_CHECK(mail_id_is_valid(text_of(id)));
    }
    mail_id_make(string[0] % 2 == 0 ? 36 : 62, id);
    FUZZ_CHECK(mail_id_is_valid(text_of(id)));
    size_t count = command_words_split(string, words);
    FUZZ_CHECK(count <= COMMAND_WORDS_MAXIMUM && words[count] == NULL);
    command_words_free(words);
    free(string);
}

/* A line is never longer than was allowed; strictly read, no CR or LF is left in it. */
static void check_lines(struct text input, bool lenient) {
    struct stream stream;
    struct text line;
    size_t maximum = 2 + fuzz_byte(&input), seen = 0;
    enum stream_result result;
    int ends[2];

    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    if (send(ends[1], input.data, input.length, MSG_DONTWAIT) != (ssize_t)input.length)
        input.length = 0;
    (void)close(ends[1]);
    stream_init(&stream, ends[0], 64 + 8u * fuzz_byte(&input), 64);
    do {
        int64_t now = clock_deadline(1000);
        result = lenient ? stream_read_line_lenient(&stream, maximum, now, &line)
                         : stream_read_line(&stream, maximum, now, &line);
        FUZZ_CHECK(line.length <= maximum);
        FUZZ_CHECK(result != STREAM_OK || text_find(line, '\n') == line.length);
        FUZZ_CHECK(result != STREAM_OK || lenient || text_find(line, '\r') == line.length);
        seen += line.length;
    } while (result != STREAM_CLOSED && result != STREAM_BROKEN);
    FUZZ_CHECK(seen <= input.length + 2);
    stream_close(&stream);
}

static void fuzz_one(struct text input) {
    uint8_t flags = fuzz_byte(&input);

    switch (flags % 5) {
    case 0:
        check_networks(input);
        break;
    case 1:
        check_encodings(input);
        break;
    case 2:
        check_words(input);
        break;
    default:
        check_lines(input, flags % 5 == 4);
    }
}
