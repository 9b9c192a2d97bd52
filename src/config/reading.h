/* SPDX-License-Identifier: MIT
 * Private to config/: one reading of a configuration: the struct being filled, where each value stood, what is wrong.
 */
#ifndef CONFIG_READING_H
#define CONFIG_READING_H
#include "config/keys.h"

struct reading_error {
    unsigned line, order;
    char *text;
};
struct reading_place {                /* where a key, or a block's title, was written */
    const struct config_block *block; /* NULL outside blocks */
    size_t element;
    const struct config_key *key; /* NULL: the block itself */
    unsigned line;
};
struct reading {
    struct config *config;
    const char *file;
    struct reading_error *errors;
    size_t error_count;
    struct reading_place *places;
    size_t place_count;
};
void reading_init(struct reading *reading, struct config *config, const char *file);
void reading_free(struct reading *reading);
/* line 0: not known. label: the key, with its block where it stands in one. accepted may be NULL. */
void reading_add_error(struct reading *reading, unsigned line, const char *label, const char *accepted,
                       const char *format, ...) __attribute__((format(printf, 5, 6)));
/* The same of a key outside of blocks, where its line has no error yet: nothing is said twice of one line. */
void reading_complain(struct reading *reading, const char *key, const char *accepted, const char *sentence);
/* Forgets errors and places: the file is read once more. */
void reading_clear(struct reading *reading);
/* Writes the errors in the order of lines. */
void reading_report(struct reading *reading, struct buffer *errors);
void reading_set_place(struct reading *reading, const struct config_block *block, size_t element,
                       const struct config_key *key, unsigned line);
/* The line of a key that was written, 0 for one that was not. */
unsigned reading_line(const struct reading *reading, const char *block, size_t element, const char *key);
/* "key", or "block "title": key". Returns label. */
const char *reading_label(char *label, size_t size, const struct config_block *block, const char *title,
                          const char *key);

/* parse.c: the text of a file by libconfuse into the reading's config. Comments in text become blanks. */
void config_parse_text(struct reading *reading, char *text);
/* "key=value"; lists separated by commas. */
void config_parse_override(struct reading *reading, const char *assignment);
/* check_listen.c: the modes of a listen block: what is not written, and what cannot be. */
void check_listen_modes(struct reading *reading, size_t index, const char *label);
/* check_command.c: programs of the operator's: a command whose last words would be left out is refused. */
void check_commands(struct reading *reading);
/* check_route.c: a route block's connections and schedule: what is not written, and what would do nothing. */
void check_route(struct reading *reading, size_t index, const char *label);
void complete_schedule(const struct config_strings *schedule, long **seconds, size_t *count);
/* Whether clients log in where the block does not say. */
enum listen_auth check_listen_auth_of(enum listen_role role);
/* certificates.c: the tls_certificate blocks. */
void check_certificates(struct reading *reading);
/* check.c: works out what follows from other keys, then checks keys against each other. */
void config_complete(struct reading *reading);
/* outside.c: the blocks of what the connector opens, and which listeners use them. */
void check_outside(struct reading *reading);
/* confinement.c: where lists may lie, when the file does not say. */
void complete_alias_directories(struct config *config);
/* The keys of extensions (check_extensions.c). */
void check_extensions(struct reading *reading);
/* The keys of logins (check_login.c). */
void check_logins(struct reading *reading);
#endif
