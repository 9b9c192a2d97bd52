/* SPDX-License-Identifier: MIT
 * Taking and releasing values: one row a type says how. Called while a configuration is read, in the listener, or in
 * ledger and runner on a reload. Wrong text comes back as false; the caller knows file and line. */
#include "config/value.h"
#include "base/log.h"
#include "base/memory.h"
#include "mail/address.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- text ---- */

static bool is_clean(struct text text) {
    for (size_t i = 0; i < text.length; i++)
        if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7f)
            return false;
    return true;
}

static void set_string(void *field, char *owned) {
    char **string = field;

    free(*string);
    *string = owned;
}

static bool take_text(const struct config_key *key, struct text text, void *field) {
    (void)key;
    if (!is_clean(text))
        return false;
    set_string(field, memory_string(text));
    return true;
}

static bool take_domain(const struct config_key *key, struct text text, void *field) {
    char ascii[ADDRESS_DOMAIN_MAXIMUM + 1];

    if (!text_has_eight_bit(text))
        return (text.length == 0 || address_domain_is_valid(text, false)) && take_text(key, text, field);
    return address_domain_is_valid(text, true) && address_domain_ascii(text, ascii) &&
           take_text(key, text_of(ascii), field);
}

/* The directory of the first reading: a daemon may have left it since. */
static const char *start_directory(void) {
    static char directory[PATH_MAX];

    if (directory[0] == '\0' && getcwd(directory, sizeof directory) == NULL)
        (void)text_copy(directory, sizeof directory, TEXT("/"));
    return directory;
}

char *value_absolute_path(struct text path) {
    if (path.length == 0 || path.data[0] == '/' || text_equal(path, TEXT("-")))
        return memory_string(path);
    while (path.length > 2 && path.data[0] == '.' && path.data[1] == '/')
        path = text_from(path, 2);
    struct text start = text_of(start_directory());
    char *whole = memory_new(start.length + 1 + path.length + 1, 1);
    memcpy(whole, start.data, start.length);
    whole[start.length] = '/';
    memcpy(whole + start.length + 1, path.data, path.length);
    return whole;
}

static bool take_path(const struct config_key *key, struct text text, void *field) {
    (void)key;
    if (!is_clean(text) || text.length >= PATH_MAX / 2)
        return false;
    set_string(field, value_absolute_path(text));
    return true;
}

/* ---- hosts ---- */

static bool is_host_and_port(struct text text) {
    size_t colon = text_find(text, ':');
    uint64_t port;

    return text_number(text_from(text, colon + 1), 65535, &port) && port > 0 &&
           address_domain_is_valid(text_first(text, colon), true);
}

static bool looks_like_ip(struct text text) {
    for (size_t i = 0; i < text.length; i++)
        if ((text.data[i] < '0' || text.data[i] > '9') && text.data[i] != '.' && text.data[i] != ':')
            return false;
    return true;
}

bool value_is_host(struct text host) {
    struct network_address address;
    bool port_only;

    if (network_parse_endpoint(host, &address, &port_only))
        return !port_only;
    return !looks_like_ip(host) && is_host_and_port(host); /* 999.9.9.9:25 is no host name */
}

static bool is_path_like(struct text text) {
    return text_starts_nocase(text, TEXT("/")) || text_starts_nocase(text, TEXT("./")) ||
           text_starts_nocase(text, TEXT("../"));
}

static bool take_host(const struct config_key *key, struct text text, void *field) {
    (void)key;
    if (text_starts_nocase(text, TEXT("unix:")))
        text = text_from(text, 5);
    char *whole = is_path_like(text) ? value_absolute_path(text) : memory_string(text);
    if (!is_clean(text) || (text.length > 0 && !value_is_host(text_of(whole)))) {
        free(whole);
        return false;
    }
    set_string(field, whole);
    return true;
}

static bool take_outside(const struct config_key *key, struct text text, void *field) {
    if (!text_starts_nocase(text, TEXT("|")))
        return take_host(key, text, field);
    if (!is_clean(text) || text_trim(text_from(text, 1)).length == 0)
        return false;
    set_string(field, memory_string(text));
    return true;
}

/* ---- words and numbers ---- */

static const struct key_word *find_word(const struct config_key *key, struct text text) {
    for (const struct key_word *word = key->words; word->word != NULL; word++)
        if (text_equal_nocase(text, text_of(word->word)))
            return word;
    return NULL;
}

static bool take_words(const struct config_key *key, struct text text, void *field) {
    const struct key_word *word = find_word(key, text);

    if (word == NULL)
        return false;
    set_string(field, memory_string(text_of(word->word)));
    return true;
}

static bool take_enum(const struct config_key *key, struct text text, void *field) {
    const struct key_word *word = find_word(key, text);

    if (word == NULL)
        return false;
    int value = (int)word->value;
    memcpy(field, &value, sizeof value); /* an enum field: an int for both compilers, config.h's are checked below */
    return true;
}
_Static_assert(sizeof(enum listen_role) == sizeof(int) && sizeof(enum log_life) == sizeof(int) &&
                   sizeof(enum runner_mode) == sizeof(int),
               "enumerations are stored as int");

static bool take_choice(const struct config_key *key, struct text text, void *field) {
    const struct key_word *word = find_word(key, text);

    if (word == NULL)
        return false;
    *(long *)field = word->value;
    return true;
}

/* A whole number, then perhaps one of the letters of units; multiplied by what the letter stands for. */
static bool parse_scaled(struct text text, const char *units, const long *factors, long maximum, long *number) {
    const char *unit = text.length > 1 ? strchr(units, text.data[text.length - 1]) : NULL;
    long factor = 1;
    uint64_t value;

    if (unit != NULL && *unit != '\0') {
        factor = factors[unit - units];
        text = text_first(text, text.length - 1);
    }
    if (!text_number(text, (uint64_t)(maximum / factor), &value))
        return false;
    *number = (long)value * factor;
    return true;
}

bool value_seconds(struct text text, long maximum, long *seconds) {
    static const long factors[] = {1, 60, 3600, 86400, 7 * 86400L};

    return parse_scaled(text, "smhdw", factors, maximum, seconds);
}

static bool parse_size(struct text text, long maximum, long *bytes) {
    static const long factors[] = {1024, 1024, 1024L * 1024, 1024L * 1024, 1024L * 1024 * 1024, 1024L * 1024 * 1024};

    return parse_scaled(text, "kKmMgG", factors, maximum, bytes);
}

static bool take_number(const struct config_key *key, struct text text, void *field) {
    bool negative = key->minimum < 0 && text_starts_nocase(text, TEXT("-"));
    uint64_t value;

    if (!text_number(text_from(text, negative ? 1 : 0), (uint64_t)(negative ? -key->minimum : key->maximum), &value) ||
        (!negative && (long)value < key->minimum))
        return false;
    *(long *)field = negative ? -(long)value : (long)value;
    return true;
}

static bool take_size(const struct config_key *key, struct text text, void *field) {
    long value;

    if (!parse_size(text, key->maximum, &value) || value < key->minimum)
        return false;
    *(long *)field = value;
    return true;
}

static bool take_seconds(const struct config_key *key, struct text text, void *field) {
    long value;

    if (!value_seconds(text, key->maximum, &value) || value < key->minimum)
        return false;
    *(long *)field = value;
    return true;
}

static bool take_mode(const struct config_key *key, struct text text, void *field) {
    long value = 0;

    if (text.length == 0 || text.length > 6)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '7')
            return false;
        value = value * 8 + (text.data[i] - '0');
    }
    if (value > key->maximum)
        return false;
    *(long *)field = value;
    return true;
}

static bool take_switch(const struct config_key *key, struct text text, void *field) {
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"yes", true}, {"no", false}, {"true", true}, {"false", false}, {"on", true}, {"off", false}};

    (void)key;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (text_equal_nocase(text, text_of(words[i].word))) {
            *(bool *)field = words[i].value;
            return true;
        }
    return false;
}

/* ---- lists ---- */

static bool add_string(void *field, struct text text) {
    struct config_strings *strings = field;

    strings->items = memory_resize(strings->items, strings->count + 1, sizeof strings->items[0]);
    strings->items[strings->count++] = memory_string(text);
    return true;
}

static bool add_text(const struct config_key *key, struct text text, void *field) {
    (void)key;
    return is_clean(text) && add_string(field, text);
}

static bool add_path(const struct config_key *key, struct text text, void *field) {
    (void)key;
    if (!is_clean(text) || text.length >= PATH_MAX / 2)
        return false;
    if (text.length == 0) /* "" is none */
        return true;
    char *whole = value_absolute_path(text);
    bool added = add_string(field, text_of(whole));
    free(whole);
    return added;
}

static bool add_domain(const struct config_key *key, struct text text, void *field) {
    (void)key;
    char ascii[ADDRESS_DOMAIN_MAXIMUM + 2] = ".";
    bool below = text_equal(text_first(text, 1), TEXT("."));
    struct text name = below ? text_from(text, 1) : text;

    if (text_equal(text, TEXT("*")) || address_domain_is_valid(name, false))
        return add_string(field, text);
    return address_domain_is_valid(name, true) && address_domain_ascii(name, ascii + 1) &&
           add_string(field, text_of(below ? ascii : ascii + 1));
}

static bool add_server(const struct config_key *key, struct text text, void *field) {
    struct network_address address;
    bool port_only = false;

    (void)key;
    if (!network_parse_ip(text, 53, &address) &&
        !(network_parse_endpoint(text, &address, &port_only) && !port_only && address.storage.ss_family != AF_UNIX))
        return false;
    return add_string(field, text);
}

static bool add_address(const struct config_key *key, struct text text, void *field) {
    struct network_address address;

    (void)key;
    return network_parse_ip(text, 0, &address) && add_string(field, text);
}

static bool add_time(const struct config_key *key, struct text text, void *field) {
    long seconds;

    (void)key;
    return value_seconds(text, 31536000, &seconds) && seconds > 0 && add_string(field, text);
}

static bool add_network(const struct config_key *key, struct text text, void *field) {
    struct config_networks *networks = field;
    struct network network;

    (void)key;
    if (!network_parse(text, &network))
        return false;
    networks->items = memory_resize(networks->items, networks->count + 1, sizeof network);
    networks->items[networks->count++] = network;
    return true;
}

/* ---- the table ---- */

static bool (*const takers[KEY_TYPES])(const struct config_key *key, struct text text, void *field) = {
    [KEY_TEXT] = take_text,        [KEY_WORDS] = take_words,     [KEY_DOMAIN] = take_domain,
    [KEY_PATH] = take_path,        [KEY_OUTSIDE] = take_outside, [KEY_HOST] = take_host,
    [KEY_ENUM] = take_enum,        [KEY_CHOICE] = take_choice,   [KEY_NUMBER] = take_number,
    [KEY_SIZE] = take_size,        [KEY_SECONDS] = take_seconds, [KEY_MODE] = take_mode,
    [KEY_SWITCH] = take_switch,    [KEY_TEXTS] = add_text,       [KEY_DOMAINS] = add_domain,
    [KEY_SERVERS] = add_server,    [KEY_TIMES] = add_time,       [KEY_NETWORKS] = add_network,
    [KEY_ADDRESSES] = add_address, [KEY_PATHS] = add_path,
};

bool value_is_list(enum key_type type) {
    return type >= KEY_TEXTS;
}

bool value_take(const struct config_key *key, struct text text, void *field) {
    return takers[key->type](key, text, field);
}

static void release_strings(struct config_strings *strings) {
    for (size_t i = 0; i < strings->count; i++)
        free(strings->items[i]);
    free(strings->items);
    *strings = (struct config_strings){NULL, 0};
}

void value_release(const struct config_key *key, void *field) {
    if (key->type <= KEY_HOST) {
        set_string(field, NULL);
    } else if (key->type == KEY_NETWORKS) {
        struct config_networks *networks = field;
        free(networks->items);
        *networks = (struct config_networks){NULL, 0};
    } else if (value_is_list(key->type)) {
        release_strings(field);
    }
}

void value_take_default(const struct config_key *key, void *field) {
    struct text rest = text_of(key->standard), item;
    bool good = true;

    value_release(key, field);
    if (value_is_list(key->type)) {
        while (text_split(&rest, ',', &item))
            good &= value_take(key, item, field);
    } else if (rest.length > 0 || key->type <= KEY_HOST) {
        good = value_take(key, rest, field);
    }
    if (!good)
        die_panic("the default of %s is not one", key->name);
}
