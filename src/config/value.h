/* SPDX-License-Identifier: MIT
 * Private to config/: from text to a field of struct config and back, by the type of its key. */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H
#include "config/keys.h"

bool value_is_list(enum key_type type);
/* Sets a field from text; a list's items are added one by one. False when the text is not what the key accepts; the
 * field is then as before. The field owns what it holds. */
bool value_take(const struct config_key *key, struct text text, void *field);
/* Sets the field to the key's default, releasing what it held. */
void value_take_default(const struct config_key *key, void *field);
/* Releases what the field holds and leaves it empty. */
void value_release(const struct config_key *key, void *field);
/* The field in the syntax of the file, quoted where it must be. */
bool value_print(const struct config_key *key, const void *field, FILE *out);
/* What the key accepts, in words: "a number from 1 to 10". */
void value_describe(const struct config_key *key, char *words, size_t size);
/* A string in double quotes that libconfuse reads back as the same. */
bool value_print_quoted(const char *string, FILE *out);
/* An absolute form of a path, joined to the directory the process was started in; owned by the caller. "" and "-"
 * stay as they are. */
char *value_absolute_path(struct text path);
/* True for host:port, [v6]:port, or an absolute path that fits a Unix socket. */
bool value_is_host(struct text host);
/* Seconds with an optional unit s, m, h, d or w. */
bool value_seconds(struct text text, long maximum, long *seconds);
#endif
