/* SPDX-License-Identifier: MIT
 * Reading a configuration: defaults, the file, what the command line changes, what follows from it, checks. Called by
 * every program at start under its caller's privileges, and by ledger and runner on a reload from an open file. All
 * that is wrong is reported, and nothing is used then. */
#include "config/config.h"
#include "base/file.h"
#include "base/memory.h"
#include "config/keys.h"
#include "config/reading.h"
#include "config/value.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAXIMUM (1024u * 1024)

static struct config *new_config(const char *name) {
    struct config *config = memory_new(1, sizeof *config);

    config->file = memory_string(text_of(name));
    for (size_t i = 0; i < config_key_count; i++)
        value_take_default(&config_keys[i], (char *)config + config_keys[i].offset);
    return config;
}

static void free_block(const struct config_block *block, struct config *config) {
    char *items = *(char **)(void *)((char *)config + block->items);
    size_t count = *(size_t *)(void *)((char *)config + block->count);

    for (size_t i = 0; i < count; i++) {
        char *element = items + i * block->size;
        free(*(char **)(void *)(element + block->title));
        for (size_t k = 0; k < block->key_count; k++)
            value_release(&block->keys[k], element + block->keys[k].offset);
    }
    free(items);
}

void config_free(struct config *config) {
    if (config == NULL)
        return;
    for (size_t i = 0; i < config_key_count; i++)
        value_release(&config_keys[i], (char *)config + config_keys[i].offset);
    for (size_t i = 0; i < config->route_count; i++)
        free(config->routes[i].retry_seconds);
    for (size_t i = 0; i < config_block_count; i++)
        free_block(&config_blocks[i], config);
    free(config->retry_seconds);
    free(config->file);
    free(config);
}

static struct config *read_text(char *text, const char *name, const char *const *overrides, struct buffer *errors) {
    struct config *config = new_config(name);
    struct reading reading;

    reading_init(&reading, config, name);
    config_parse_text(&reading, text);
    for (; overrides != NULL && *overrides != NULL; overrides++)
        config_parse_override(&reading, *overrides);
    config_complete(&reading); /* also after errors: what was wrong has its default, and more may be wrong */
    bool good = reading.error_count == 0;
    reading_report(&reading, errors);
    reading_free(&reading);
    if (good)
        return config;
    config_free(config);
    return NULL;
}

/* Reads from the start without moving the offset: ledger and runner may hold the same open file. */
static bool read_whole(int fd, struct buffer *text) {
    int64_t size = file_size(fd);
    char *place;

    if (size <= 0)
        return file_read_into(fd, text); /* a pipe, or nothing */
    place = buffer_reserve(text, (size_t)size);
    if (place == NULL) {
        errno = EFBIG;
        return false;
    }
    if (!file_pread_all(fd, place, (size_t)size, 0))
        return false;
    buffer_advance(text, (size_t)size);
    return true;
}

/* The parser writes into it. */
static char *terminated(struct buffer *text) {
    (void)buffer_string(text);
    return text->data;
}

static struct config *read_open(FILE *stream, const char *name, const char *const *overrides, struct buffer *errors) {
    struct config *config = NULL;
    struct buffer text;

    buffer_init(&text, FILE_MAXIMUM);
    if (!read_whole(fileno(stream), &text))
        (void)buffer_format(errors, "%s: cannot be read: %s\n", name, strerror(errno));
    else if (text.length > 0 && memchr(text.data, '\0', text.length) != NULL)
        (void)buffer_format(errors, "%s: holds a NUL byte; accepted: text\n", name);
    else
        config = read_text(terminated(&text), name, overrides, errors);
    buffer_free(&text);
    return config;
}

struct config *config_read(const char *file, const char *const *overrides, struct buffer *errors) {
    FILE *stream = fopen(file, "re");

    if (stream == NULL) {
        (void)buffer_format(errors, "%s: cannot be opened: %s\n", file, strerror(errno));
        return NULL;
    }
    struct config *config = read_open(stream, file, overrides, errors);
    (void)fclose(stream);
    return config;
}

struct config *config_read_stream(FILE *stream, const char *name, struct buffer *errors) {
    return read_open(stream, name, NULL, errors);
}

const char *config_role_name(enum listen_role role) {
    for (const struct key_word *word = config_roles; word->word != NULL; word++)
        if (word->value == (long)role)
            return word->word;
    return "unknown";
}

bool config_networks_hold(const struct config_networks *networks, const struct network_address *address) {
    for (size_t i = 0; i < networks->count; i++)
        if (network_contains(&networks->items[i], address))
            return true;
    return false;
}
