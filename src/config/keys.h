/* SPDX-License-Identifier: MIT
 * Private to config/: the table of keys. One row a key: name, type, where it lies in struct config, default, bounds,
 * one sentence. Parser, config_print, the manual page and the test of etc/parcelpost.conf all read it. */
#ifndef CONFIG_KEYS_H
#define CONFIG_KEYS_H
#include "config/config.h"

enum key_type {
    KEY_TEXT,      /* char * */
    KEY_WORDS,     /* char *, one of the words */
    KEY_DOMAIN,    /* char *, a host name */
    KEY_PATH,      /* char *, made absolute */
    KEY_OUTSIDE,   /* char *, host:port, /path or |command */
    KEY_HOST,      /* char *, host:port or /path */
    KEY_ENUM,      /* int, one of the words */
    KEY_CHOICE,    /* long, one of the words */
    KEY_NUMBER,    /* long */
    KEY_SIZE,      /* long, bytes */
    KEY_SECONDS,   /* long */
    KEY_MODE,      /* long, octal */
    KEY_SWITCH,    /* bool */
    KEY_TEXTS,     /* lists from here on: struct config_strings */
    KEY_PATHS,     /* struct config_strings, made absolute */
    KEY_DOMAINS,   /* struct config_strings */
    KEY_SERVERS,   /* struct config_strings, addresses with or without port */
    KEY_ADDRESSES, /* struct config_strings, addresses without port */
    KEY_TIMES,     /* struct config_strings, positive seconds */
    KEY_NETWORKS,  /* struct config_networks */
    KEY_TYPES
};
struct key_word {
    const char *word; /* NULL ends the list */
    long value;
};
struct config_key {
    const char *name;
    enum key_type type;
    uint16_t offset;
    const char *standard; /* default as written in the file; lists separated by commas */
    long minimum, maximum;
    const struct key_word *words;
    const char *help;
    const char *heading; /* the group that begins here, or NULL */
    const char *derived; /* words for a default that is worked out, or NULL */
};
struct config_block { /* name "TITLE" { keys } */
    const char *name;
    const struct config_key *keys;
    size_t key_count;
    uint16_t items, count, title; /* in struct config: the array and its count; in an element: char * */
    uint16_t size;                /* of an element */
    const char *title_name, *help;
};
extern const struct config_key config_keys[];
extern const size_t config_key_count;
extern const struct config_block config_blocks[];
extern const size_t config_block_count;
extern const struct key_word config_roles[];
/* NULL when there is none of this name. */
const struct config_key *config_key_find(const struct config_key *keys, size_t count, const char *name);
const struct config_block *config_block_find(const char *name);
#endif
