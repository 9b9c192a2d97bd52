/* SPDX-License-Identifier: MIT
 * The terms of an SPF record (RFC 7208 4.6.1, 12), strictly. Called by spf.c on bytes of anybody's DNS; a term that is
 * malformed is a permanent error of its whole record. */
#include "spf/spf_private.h"
#include <string.h>

static const char *const mechanisms[SPF_MECHANISMS] = {
    [SPF_MECHANISM_ALL] = "all", [SPF_MECHANISM_INCLUDE] = "include", [SPF_MECHANISM_A] = "a",
    [SPF_MECHANISM_MX] = "mx",   [SPF_MECHANISM_PTR] = "ptr",         [SPF_MECHANISM_IP4] = "ip4",
    [SPF_MECHANISM_IP6] = "ip6", [SPF_MECHANISM_EXISTS] = "exists",
};

static bool is_alpha(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}

static size_t name_length(struct text text) {
    size_t length = 0;

    while (length < text.length && (is_alpha(text.data[length]) || is_digit(text.data[length]) ||
                                    (text.data[length] != '\0' && strchr("-_.", text.data[length]) != NULL)))
        length++;
    return length > 0 && is_alpha(text.data[0]) ? length : 0;
}

static enum spf_result take_qualifier(struct text *text) {
    static const struct {
        char sign;
        enum spf_result result;
    } rows[] = {{'+', SPF_PASS}, {'-', SPF_FAIL}, {'~', SPF_SOFTFAIL}, {'?', SPF_NEUTRAL}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (text->length > 0 && text->data[0] == rows[i].sign) {
            *text = text_from(*text, 1);
            return rows[i].result;
        }
    return SPF_PASS;
}

/* "0", or digits without a zero before them. */
static bool take_prefix(struct text digits, unsigned maximum, unsigned *prefix) {
    uint64_t number;

    if (digits.length > 3 || (digits.length > 1 && digits.data[0] == '0') || !text_number(digits, maximum, &number))
        return false;
    *prefix = (unsigned)number;
    return true;
}

/* How many bytes at the end are `slashes` and digits; 0 for none. */
static size_t prefix_length(struct text text, size_t slashes) {
    size_t digits = 0;

    while (digits < text.length && is_digit(text.data[text.length - digits - 1]))
        digits++;
    if (text.length < digits + slashes)
        return 0;
    for (size_t i = 0; i < slashes; i++)
        if (text.data[text.length - digits - 1 - i] != '/')
            return 0;
    return digits + slashes;
}

/* dual-cidr-length = [ ip4-cidr-length ] [ "/" ip6-cidr-length ], taken off the end. */
static bool take_prefixes(struct text *text, struct spf_term *term) {
    size_t length = prefix_length(*text, 2);

    if (length > 0) {
        if (!take_prefix(text_from(*text, text->length - length + 2), 128, &term->prefix6))
            return false;
        *text = text_first(*text, text->length - length);
    }
    length = prefix_length(*text, 1);
    if (length > 0) {
        if (!take_prefix(text_from(*text, text->length - length + 1), 32, &term->prefix4))
            return false;
        *text = text_first(*text, text->length - length);
    }
    return true;
}

/* toplabel: letters, digits and hyphens, not at its ends, and not digits alone. */
static bool is_toplabel(struct text label) {
    bool letter = false;

    for (size_t i = 0; i < label.length; i++) {
        if (!is_alpha(label.data[i]) && !is_digit(label.data[i]) && label.data[i] != '-')
            return false;
        letter = letter || !is_digit(label.data[i]);
    }
    return letter && label.data[0] != '-' && label.data[label.length - 1] != '-';
}

/* domain-spec = macro-string domain-end */
static bool is_domain_spec(struct text spec) {
    if (spec.length == 0 || !spf_macro_is_valid(spec))
        return false;
    if (spec.data[spec.length - 1] == '}' || text_ends_nocase(spec, TEXT("%%")) || text_ends_nocase(spec, TEXT("%_")) ||
        text_ends_nocase(spec, TEXT("%-")))
        return true;
    struct text name = spec.data[spec.length - 1] == '.' ? text_first(spec, spec.length - 1) : spec;
    size_t dot = name.length;
    while (dot > 0 && name.data[dot - 1] != '.')
        dot--;
    return dot > 0 && is_toplabel(text_from(name, dot));
}

static bool take_network(struct text text, struct spf_term *term) {
    bool v6 = term->mechanism == SPF_MECHANISM_IP6;
    size_t slash = text_find(text, '/');
    struct text ip = text_first(text, slash);
    struct network_address address;
    unsigned prefix;

    if ((text_find(ip, ':') < ip.length) != v6 || !network_parse_ip(ip, 0, &address))
        return false;
    if (slash < text.length && !take_prefix(text_from(text, slash + 1), v6 ? 128 : 32, &prefix))
        return false;
    return network_parse(text, &term->network);
}

static bool take_argument(struct text text, struct spf_term *term) {
    bool colon = text.length > 0 && text.data[0] == ':';
    struct text argument = colon ? text_from(text, 1) : text;

    switch (term->mechanism) {
    case SPF_MECHANISM_ALL:
        return text.length == 0;
    case SPF_MECHANISM_IP4:
    case SPF_MECHANISM_IP6:
        return colon && take_network(argument, term);
    case SPF_MECHANISM_A:
    case SPF_MECHANISM_MX:
        if (!take_prefixes(&argument, term))
            return false;
        break;
    default:
        break;
    }
    term->domain = argument;
    if (term->mechanism == SPF_MECHANISM_INCLUDE || term->mechanism == SPF_MECHANISM_EXISTS || colon)
        return colon && is_domain_spec(argument);
    return argument.length == 0;
}

static bool take_modifier(struct text name, struct text value, struct spf_term *term) {
    term->domain = value;
    term->mechanism = text_equal_nocase(name, TEXT("redirect")) ? SPF_REDIRECT
                      : text_equal_nocase(name, TEXT("exp"))    ? SPF_EXPLANATION
                                                                : SPF_OTHER_MODIFIER;
    return term->mechanism == SPF_OTHER_MODIFIER ? spf_macro_is_valid(value) : is_domain_spec(value);
}

bool spf_term_parse(struct text text, struct spf_term *term) {
    size_t length = name_length(text), mechanism = 0;

    *term = (struct spf_term){.domain = TEXT_NONE, .prefix4 = 32, .prefix6 = 128};
    if (length > 0 && length < text.length && text.data[length] == '=')
        return take_modifier(text_first(text, length), text_from(text, length + 1), term);
    term->result = take_qualifier(&text);
    length = name_length(text);
    while (mechanism < SPF_MECHANISMS && !text_equal_nocase(text_first(text, length), text_of(mechanisms[mechanism])))
        mechanism++;
    term->mechanism = (enum spf_mechanism)mechanism;
    return mechanism < SPF_MECHANISMS && take_argument(text_from(text, length), term);
}
