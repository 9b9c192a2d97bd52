/* SPDX-License-Identifier: MIT
 * Macros in SPF records (RFC 7208 7), bounded. Called by spf.c and spf_term.c on bytes of anybody's DNS: everything is
 * written into buffers with a maximum, and what does not fit is cut, as the RFC has it, from the left. */
#include "spf/spf_private.h"
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define EXPANSION_MAXIMUM 4096u
#define PARTS_MAXIMUM 128

struct macro {
    char letter;
    bool upper, reverse;
    uint64_t parts; /* 0: all */
    struct text delimiters;
};

static bool is_one_of(char byte, const char *set) {
    return byte != '\0' && strchr(set, byte) != NULL;
}

/* "%{" macro-letter transformers *delimiter "}"; text begins behind the brace. Its length with the last brace, or 0. */
static size_t parse(struct text text, struct macro *macro) {
    size_t end = text_find(text, '}'), at = 1, digits;

    if (end == text.length || end == 0)
        return 0;
    *macro = (struct macro){.letter = (char)(text.data[0] | 0x20), .upper = text.data[0] < 'a'};
    if (!is_one_of(macro->letter, "slodiphv"))
        return 0;
    for (digits = at; digits < end && text.data[digits] >= '0' && text.data[digits] <= '9';)
        digits++;
    if (digits > at &&
        (!text_number(text_first(text_from(text, at), digits - at), 1000000, &macro->parts) || macro->parts == 0))
        return 0;
    at = digits;
    macro->reverse = at < end && is_one_of(text.data[at], "rR");
    at += macro->reverse;
    macro->delimiters = text_first(text_from(text, at), end - at);
    for (; at < end; at++)
        if (!is_one_of(text.data[at], ".-+,/_="))
            return 0;
    return end + 1;
}

bool spf_macro_is_valid(struct text spec) {
    struct macro macro;
    size_t length;

    for (size_t i = 0; i < spec.length; i++) {
        if (spec.data[i] < 0x21 || spec.data[i] > 0x7e)
            return false;
        if (spec.data[i] != '%')
            continue;
        if (++i == spec.length)
            return false;
        if (is_one_of(spec.data[i], "%_-"))
            continue;
        if (spec.data[i] != '{' || (length = parse(text_from(spec, i + 1), &macro)) == 0)
            return false;
        i += length;
    }
    return true;
}

/* ---- values ---- */

/* RFC 7208 7.3: dotted nibbles for IPv6. */
static void append_ip(const struct spf_check *check, struct buffer *value) {
    const struct sockaddr_storage *storage = &check->question->client->storage;
    const unsigned char *bytes = ((const struct sockaddr_in6 *)(const void *)storage)->sin6_addr.s6_addr;

    if (!check->v6) {
        (void)buffer_append_string(value, check->ip);
        return;
    }
    for (size_t i = 0; i < 16; i++)
        (void)buffer_format(value, "%s%x.%x", i > 0 ? "." : "", (unsigned)bytes[i] >> 4, (unsigned)bytes[i] & 15u);
}

struct best_name {
    struct text domain;
    char name[SPF_NAME_MAXIMUM + 1];
    unsigned rank; /* 3: the domain itself, 2: below it, 1: another */
};

static bool rank_name(void *context, struct text name) {
    struct best_name *best = context;
    unsigned rank = text_equal_nocase(name, best->domain) ? 3 : spf_is_below(name, best->domain) ? 2 : 1;

    if (rank > best->rank && text_copy(best->name, sizeof best->name, name))
        best->rank = rank;
    return best->rank == 3;
}

static void append_value(struct spf_check *check, char letter, const char *domain, struct buffer *value) {
    struct best_name best = {.domain = text_of(domain), .name = "unknown"};

    switch (letter) {
    case 's':
        (void)buffer_format(value, "%s@%s", check->local, check->domain);
        break;
    case 'l':
        (void)buffer_append_string(value, check->local);
        break;
    case 'o':
        (void)buffer_append_string(value, check->domain);
        break;
    case 'd':
        (void)buffer_append_string(value, domain);
        break;
    case 'i':
        append_ip(check, value);
        break;
    case 'p':
        (void)spf_client_names(check, rank_name, &best);
        (void)buffer_append_string(value, best.name);
        break;
    case 'v':
        (void)buffer_append_string(value, check->v6 ? "ip6" : "in-addr");
        break;
    default:
        (void)buffer_append_string(value, check->question->helo);
        break;
    }
}

/* ---- transformers ---- */

static size_t split(struct text value, struct text delimiters, struct text parts[PARTS_MAXIMUM]) {
    size_t count = 0, start = 0;

    for (size_t i = 0; i <= value.length && count < PARTS_MAXIMUM; i++)
        if (i == value.length || text_find(delimiters, value.data[i]) < delimiters.length) {
            parts[count++] = text_first(text_from(value, start), i - start);
            start = i + 1;
        }
    return count;
}

static void append_part(struct buffer *result, struct text part, bool escape) {
    for (size_t i = 0; i < part.length; i++) {
        char byte = part.data[i];
        bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
                     is_one_of(byte, "-._~");
        if (plain || !escape)
            (void)buffer_append_byte(result, byte);
        else
            (void)buffer_format(result, "%%%02X", (unsigned)(unsigned char)byte);
    }
}

static void expand_one(struct spf_check *check, const struct macro *macro, const char *domain, struct buffer *result) {
    struct text parts[PARTS_MAXIMUM];
    struct buffer value;

    buffer_init(&value, EXPANSION_MAXIMUM);
    append_value(check, macro->letter, domain, &value);
    size_t count = split(buffer_text(&value), macro->delimiters.length > 0 ? macro->delimiters : TEXT("."), parts);
    size_t first = macro->parts > 0 && macro->parts < count ? count - (size_t)macro->parts : 0;
    for (size_t i = first; i < count; i++) {
        if (i > first)
            (void)buffer_append_byte(result, '.');
        append_part(result, parts[macro->reverse ? count - 1 - i : i], macro->upper);
    }
    buffer_free(&value);
}

/* Labels go from the left until the rest is no longer than a name may be. */
static void shorten(struct text name, char shortened[SPF_NAME_SIZE]) {
    while (name.length > 0 && name.data[name.length - 1] == '.')
        name = text_first(name, name.length - 1);
    while (name.length > SPF_NAME_MAXIMUM && text_find(name, '.') < name.length)
        name = text_from(name, text_find(name, '.') + 1);
    (void)text_copy(shortened, SPF_NAME_SIZE, name);
}

void spf_macro_expand(struct spf_check *check, struct text spec, const char *domain, char name[SPF_NAME_SIZE]) {
    struct buffer result;
    struct macro macro;

    buffer_init(&result, EXPANSION_MAXIMUM);
    for (size_t i = 0; i < spec.length; i++) {
        if (spec.data[i] != '%' || i + 1 == spec.length) {
            (void)buffer_append_byte(&result, spec.data[i]);
            continue;
        }
        i++;
        if (spec.data[i] == '{') {
            i += parse(text_from(spec, i + 1), &macro);
            expand_one(check, &macro, domain, &result);
        } else {
            (void)buffer_append_string(&result, spec.data[i] == '%' ? "%" : spec.data[i] == '_' ? " " : "%20");
        }
    }
    shorten(buffer_text(&result), name);
    buffer_free(&result);
}
