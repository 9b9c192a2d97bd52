/* SPDX-License-Identifier: MIT
 * Values back into the file's syntax, and in words what a key accepts. Called by `parcelpostd -T`, by error messages
 * and for the manual page. Fails only when the stream does. */
#include "base/log.h"
#include "config/value.h"
#include <arpa/inet.h>
#include <string.h>

bool value_print_quoted(const char *string, FILE *out) {
    bool good = fputc('"', out) != EOF;

    for (; *string != '\0'; string++)
        if (*string == '$') /* "${NAME}" would be taken from the environment */
            good &= fputs("\\x24", out) != EOF;
        else if (*string == '"' || *string == '\\')
            good &= fprintf(out, "\\%c", *string) > 0;
        else
            good &= fputc(*string, out) != EOF;
    return good && fputc('"', out) != EOF;
}

static const char *word_of(const struct config_key *key, long value) {
    for (const struct key_word *word = key->words; word->word != NULL; word++)
        if (word->value == value)
            return word->word;
    die_panic("%s holds a value without a word", key->name);
}

static bool print_strings(const struct config_strings *strings, FILE *out) {
    bool good = fputc('{', out) != EOF;

    for (size_t i = 0; i < strings->count; i++) {
        good &= i == 0 || fputs(", ", out) != EOF;
        good &= value_print_quoted(strings->items[i], out);
    }
    return good && fputc('}', out) != EOF;
}

static bool print_networks(const struct config_networks *networks, FILE *out) {
    bool good = fputc('{', out) != EOF;

    for (size_t i = 0; i < networks->count; i++) {
        const struct network *network = &networks->items[i];
        char text[INET6_ADDRSTRLEN];
        if (inet_ntop(network->v6 ? AF_INET6 : AF_INET, network->bytes, text, sizeof text) == NULL)
            return false;
        good &= fprintf(out, "%s\"%s/%u\"", i == 0 ? "" : ", ", text, network->bits) > 0;
    }
    return good && fputc('}', out) != EOF;
}

static int enum_of(const void *field) {
    int value;

    memcpy(&value, field, sizeof value);
    return value;
}

bool value_print(const struct config_key *key, const void *field, FILE *out) {
    switch (key->type) {
    case KEY_TEXT:
    case KEY_WORDS:
    case KEY_DOMAIN:
    case KEY_PATH:
    case KEY_OUTSIDE:
    case KEY_HOST:
        return value_print_quoted(*(char *const *)field, out);
    case KEY_ENUM:
        return fputs(word_of(key, enum_of(field)), out) != EOF;
    case KEY_CHOICE:
    case KEY_NUMBER:
    case KEY_SIZE:
    case KEY_SECONDS:
        return fprintf(out, "%ld", *(const long *)field) > 0;
    case KEY_MODE:
        return fprintf(out, "%04lo", (unsigned long)*(const long *)field) > 0;
    case KEY_SWITCH:
        return fputs(*(const bool *)field ? "yes" : "no", out) != EOF;
    case KEY_NETWORKS:
        return print_networks(field, out);
    case KEY_TEXTS:
    case KEY_PATHS:
    case KEY_DOMAINS:
    case KEY_SERVERS:
    case KEY_ADDRESSES:
    case KEY_TIMES:
        return print_strings(field, out);
    case KEY_TYPES:
        break;
    }
    return false;
}

static const char *const accepted[KEY_TYPES] = {
    [KEY_TEXT] = "text without control characters",
    [KEY_DOMAIN] = "a host name of letters, digits, hyphens and dots",
    [KEY_PATH] = "a path",
    [KEY_OUTSIDE] = "host:port, [IPv6]:port, the path of a Unix socket, or |command",
    [KEY_HOST] = "host:port, [IPv6]:port or the path of a Unix socket",
    [KEY_MODE] = "octal permissions such as 0666",
    [KEY_SWITCH] = "yes or no",
    [KEY_TEXTS] = "texts without control characters",
    [KEY_DOMAINS] = "domain names such as {example.test, example.com}, .example.test for those below one, * for all",
    [KEY_PATHS] = "paths",
    [KEY_SERVERS] = "addresses such as {192.0.2.1, \"192.0.2.1:5353\", \"[2001:db8::1]:53\"}",
    [KEY_ADDRESSES] = "addresses such as {192.0.2.1, \"2001:db8::1\"}",
    [KEY_TIMES] = "positive numbers of seconds, or with a unit: {5m, 1h, 1d}",
    [KEY_NETWORKS] = "networks such as {192.0.2.0/24, \"2001:db8::/32\"}",
};

static void describe_words(const struct config_key *key, struct buffer *words) {
    for (const struct key_word *word = key->words; word->word != NULL; word++)
        (void)buffer_format(words, "%s%s", word == key->words ? "" : word[1].word == NULL ? " or " : ", ", word->word);
}

void value_describe(const struct config_key *key, char *words, size_t size) {
    const char *unit = key->type == KEY_SIZE      ? " bytes, or with K, M or G"
                       : key->type == KEY_SECONDS ? " seconds, or with m, h, d or w"
                                                  : "";
    struct buffer text;

    buffer_init(&text, size);
    if (key->words != NULL)
        describe_words(key, &text);
    else if (accepted[key->type] != NULL)
        (void)buffer_append_string(&text, accepted[key->type]);
    else
        (void)buffer_format(&text, "a number from %ld to %ld%s", key->minimum, key->maximum, unit);
    (void)text_copy(words, size, buffer_text(&text));
    buffer_free(&text);
}
