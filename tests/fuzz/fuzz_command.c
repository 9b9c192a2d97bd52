/* SPDX-License-Identifier: MIT
 * Fuzz target: command lines in pieces, their paths and parameters, addresses, and the values of DSN, BDAT and SOLICIT.
 * What is written is read again the same. */
#include "fuzz.h"
#include "mail/address.h"
#include "mail/dsn.h"
#include "mail/extension.h"
#include "mail/solicitation.h"
#include "smtp/chunk_decoder.h"
#include "smtp/command_line.h"

#define LINE_MAXIMUM 512

static void fuzz_start(void) {
}

/* What was taken for an address is one when it is written down, too. */
static void read_address(struct text argument, bool utf8) {
    struct address address, again;
    char text[2 * ADDRESS_SIZE];
    struct text rest;

    if (address_parse_path(argument, utf8, &address, &rest) != ADDRESS_OK)
        return;
    FUZZ_CHECK(rest.length <= argument.length);
    (void)address_is_dangerous(&address, true);
    (void)address_is_dangerous(&address, false);
    (void)address_text(&address, text, sizeof text);
    if (address_is_null(&address) || address.domain[0] == '\0')
        return;
    FUZZ_CHECK(address_parse(text_of(text), utf8, &again) == ADDRESS_OK);
    FUZZ_CHECK(address_equal(&address, &again));
}

/* What can be read can be handed on in ASCII, and stands for the same. */
static void read_orcpt(struct text value) {
    char ascii[DSN_ORCPT_MAXIMUM + 1], plain[DSN_ORCPT_MAXIMUM + 5], again[DSN_ORCPT_MAXIMUM + 5];

    if (!dsn_orcpt_is_valid(value))
        return;
    FUZZ_CHECK(dsn_orcpt_address(value, plain, sizeof plain));
    if (dsn_orcpt_ascii(value, ascii)[0] != '\0')
        FUZZ_CHECK(text_is_printable(text_of(ascii)) && dsn_orcpt_is_valid(text_of(ascii)) &&
                   dsn_orcpt_address(text_of(ascii), again, sizeof again) && strcmp(plain, again) == 0);
    if (dsn_orcpt_of(plain, ascii)[0] != '\0')
        FUZZ_CHECK(dsn_orcpt_address(text_of(ascii), again, sizeof again) && strcmp(plain, again) == 0);
}

static void read_utf8(struct text value) {
    char encoded[DSN_ORCPT_MAXIMUM + 1], plain[DSN_ORCPT_MAXIMUM + 5];

    if (dsn_utf8_encode(value, encoded, sizeof encoded) && text_find(value, '\0') == value.length)
        FUZZ_CHECK(text_is_printable(text_of(encoded)) && dsn_utf8_decode(text_of(encoded), plain, sizeof plain) &&
                   text_equal(text_of(plain), value));
    if (dsn_utf8_decode(value, plain, sizeof plain))
        FUZZ_CHECK(text_is_utf8(text_of(plain)));
}

static void read_domain(struct text value) {
    char ip[64], ascii[ADDRESS_DOMAIN_MAXIMUM + 1], unicode[2 * ADDRESS_SIZE];

    (void)address_literal_ip(value, ip, sizeof ip);
    (void)address_domain_unicode(value, unicode, sizeof unicode);
    if (address_domain_is_valid(value, true))
        FUZZ_CHECK(address_domain_ascii(value, ascii) && address_domain_is_valid(text_of(ascii), false));
    if (address_normal(value, unicode, sizeof unicode))
        FUZZ_CHECK(strlen(unicode) < sizeof unicode);
}

static void read_values(struct text value) {
    char plain[DSN_ORCPT_MAXIMUM + 1], xtext[3 * DSN_ORCPT_MAXIMUM + 1];
    unsigned notify, again;
    uint64_t size;
    bool last;

    if (dsn_notify_parse(value, &notify))
        FUZZ_CHECK(dsn_notify_parse(text_of(dsn_notify_text(notify)), &again) && again == notify);
    (void)dsn_envid_is_valid(value);
    read_orcpt(value);
    read_utf8(value);
    read_domain(value);
    if (solicitation_is_valid(value))
        FUZZ_CHECK(solicitation_names(value, text_first(value, text_find(value, ','))));
    FUZZ_CHECK(extension_find(value) < EXTENSIONS);
    if (dsn_xtext_decode(value, plain, sizeof plain))
        FUZZ_CHECK(dsn_xtext_encode(text_of(plain), xtext, sizeof xtext));
    (void)chunk_parse(value, &size, &last);
    (void)extension_line_is_valid(value);
}

static void read_line(struct text line) {
    struct command_parameter parameter;
    struct text verb, argument;

    FUZZ_CHECK(memchr(line.data, '\n', line.length) == NULL && memchr(line.data, '\r', line.length) == NULL);
    FUZZ_CHECK(line.length + 2 <= LINE_MAXIMUM);
    command_line_split(line, &verb, &argument);
    for (int utf8 = 0; utf8 < 2; utf8++)
        read_address(text_from(argument, text_find(argument, ':') + 1), utf8 != 0);
    struct text rest = text_from(argument, text_find(argument, ' '));
    while (command_parameter_next(&rest, &parameter) == COMMAND_PARAMETER_ITEM)
        read_values(parameter.value);
    read_values(argument);
}

/* The input comes in pieces; what is not a whole line yet stays, as a stream keeps it. */
static void fuzz_one(struct text input) {
    struct command_line_reader reader;
    struct buffer pending;
    struct text line;
    size_t consumed;

    buffer_init(&pending, 1u << 20);
    command_line_reader_init(&reader, LINE_MAXIMUM);
    while (input.length > 0) {
        FUZZ_CHECK(buffer_append_text(&pending, fuzz_piece(&input)));
        enum command_line_result result;
        do {
            result = command_line_next(&reader, buffer_text(&pending), &line, &consumed);
            FUZZ_CHECK(consumed <= pending.length);
            if (result == COMMAND_LINE_ITEM)
                read_line(line);
            buffer_consume(&pending, consumed);
        } while (result != COMMAND_LINE_MORE);
        FUZZ_CHECK(pending.length <= LINE_MAXIMUM);
    }
    buffer_free(&pending);
}
