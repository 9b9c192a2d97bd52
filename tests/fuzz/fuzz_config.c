/* SPDX-License-Identifier: MIT
 * Fuzz target: configuration files, with what the command line changes: lines that begin with "#=". Each is refused
 * with words, or accepted, asked about the domains behind "#?", printed, and accepted again. */
#include "base/file.h"
#include "config/config.h"
#include "fuzz_directory.h"

#define OVERRIDES_MAXIMUM 4

static char path[96];

static void fuzz_start(void) {
    fuzz_make_directory();
    (void)snprintf(path, sizeof path, "%s/FILE", fuzz_directory);
}

/* Of a domain that is signed there is a row; keys of the same selector that come with a block count once. */
static void ask_signed(const struct config *config, struct text domain) {
    struct config_dkim row;
    bool found = false;

    for (size_t at = 0; config_dkim_next(config, &at, &row);)
        found = found || text_equal_nocase(text_of(row.domain), domain);
    FUZZ_CHECK(config_domain_is_signed(config, domain) == found);
}

static void ask(const struct config *config, struct text domain) {
    const struct config_route *route = config_route_find(config, domain);

    FUZZ_CHECK(route == NULL || route < config->routes + config->route_count);
    for (int remote = 0; remote < 2; remote++) {
        struct config_pace pace = config_pace_for(config, domain, remote != 0);
        FUZZ_CHECK(pace.retry_count > 0 && pace.queue_lifetime > 0);
    }
    (void)config_domain_is_local(config, domain);
    ask_signed(config, domain);
    for (uint32_t kind = 0; kind < OUTSIDE_KINDS; kind++)
        for (uint32_t index = 0; index < 2; index++)
            FUZZ_CHECK(config_outside_find(config, (enum outside_kind)kind, index).endpoint != NULL);
}

/* The text behind a line's mark, as strings; the caller frees them. */
static size_t marked(struct text input, struct text mark, char *strings[OVERRIDES_MAXIMUM + 1]) {
    struct text line;
    size_t count = 0;

    while (count < OVERRIDES_MAXIMUM && text_split(&input, '\n', &line))
        if (text_starts_nocase(line, mark))
            strings[count++] = memory_string(text_trim(text_from(line, mark.length)));
    strings[count] = NULL;
    return count;
}

static void free_strings(char *strings[]) {
    for (size_t i = 0; strings[i] != NULL; i++)
        free(strings[i]);
}

static struct config *read_open(const char *bytes, size_t length, struct buffer *errors) {
    int fd = file_memory("config");
    FILE *file = fdopen(fd, "r+");

    FUZZ_CHECK(file != NULL && file_write_all(fd, bytes, length));
    struct config *config = config_read_stream(file, "FILE", errors);
    (void)fclose(file);
    return config;
}

static void fuzz_one(struct text input) {
    char *overrides[OVERRIDES_MAXIMUM + 1], *domains[OVERRIDES_MAXIMUM + 1], *printed = NULL;
    struct buffer errors;
    size_t length = 0;

    if (memmem(input.data, input.length, "include", 7) != NULL) /* libconfuse's own: reads other files */
        return;
    buffer_init(&errors, 1u << 20);
    struct text head = text_first(input, text_find(input, '\0')); /* one with a NUL is refused before that */
    (void)marked(head, TEXT("#="), overrides);
    size_t asked = marked(head, TEXT("#?"), domains);
    fuzz_write_file(path, input);
    struct config *config = config_read(path, (const char *const *)overrides, &errors);
    FUZZ_CHECK(config != NULL || errors.length > 0);
    if (config != NULL) {
        for (size_t i = 0; i < asked; i++)
            ask(config, text_of(domains[i]));
        FILE *out = open_memstream(&printed, &length);
        FUZZ_CHECK(config_print(config, out) && fclose(out) == 0);
        config_free(config);
        config = read_open(printed, length, &errors);
        FUZZ_CHECK(config != NULL);
        config_free(config);
        free(printed);
    }
    free_strings(overrides);
    free_strings(domains);
    buffer_free(&errors);
}
