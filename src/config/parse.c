/* SPDX-License-Identifier: MIT
 * libconfuse reads the file, as strings only; this file takes the strings to their keys. The only one that includes
 * its header. Called by config.c, in the listener before anything starts, or on a reload. libconfuse stops at the
 * first key it does not know: then it is told that name, too, and reads again, so that every error is found. */
#include "base/memory.h"
#include "config/comments.h"
#include "config/reading.h"
#include "config/suggestion.h"
#include "config/value.h"
#include <confuse.h>
#include <stdlib.h>
#include <string.h>

#define UNKNOWN_MAXIMUM 30
#define UNKNOWN_DEPTH 2 /* of blocks that we do not know within each other: one may stand in itself */
#define LABEL_SIZE 512
#define WORDS_SIZE 512
#define SYNTAX "KEY = VALUE, KEY = {VALUE, ...} or BLOCK \"TITLE\" { ... }"

struct unknown {
    char section[64]; /* "root" outside blocks */
    char name[64];
    bool block; /* name "TITLE" { … }: what is in it is of no interest */
};
struct option_line {
    const cfg_opt_t *option;
    unsigned line, values;
};
struct parse {
    struct reading *reading;
    const char *text; /* without comments */
    struct unknown unknowns[UNKNOWN_MAXIMUM];
    size_t unknown_count;
    unsigned depth; /* of unknown blocks, while options are made */
    bool again;     /* an unknown key was met for the first time */
    struct option_line *lines;
    size_t line_count;
};
/* libconfuse's callbacks get no context; it is not reentrant anyway. */
static struct parse *current;

/* ---- what libconfuse tells ---- */

static struct unknown *find_unknown(const char *section, const char *name) {
    for (size_t i = 0; i < current->unknown_count; i++)
        if (strcmp(current->unknowns[i].section, section) == 0 && strcmp(current->unknowns[i].name, name) == 0)
            return &current->unknowns[i];
    return NULL;
}

static void report_unknown(const cfg_t *cfg, const char *name) {
    const struct config_block *block = config_block_find(cfg->name);
    char label[LABEL_SIZE];

    if (block == NULL && strcmp(cfg->name, "root") != 0)
        return; /* in a block that is unknown itself */
    const char *near = suggestion_for(block, name);
    reading_label(label, sizeof label, block, cfg->title != NULL ? cfg->title : "", name);
    if (near != NULL)
        reading_add_error(current->reading, (unsigned)cfg->line, label, "the keys in parcelpost.conf(5)",
                          "unknown key, did you mean %s?", near);
    else
        reading_add_error(current->reading, (unsigned)cfg->line, label, "the keys in parcelpost.conf(5)",
                          "unknown key");
}

static void remember_line(const cfg_t *cfg, const cfg_opt_t *option) {
    for (size_t i = 0; i < current->line_count; i++)
        if (current->lines[i].option == option) {
            current->lines[i].values++;
            return;
        }
    current->lines = memory_resize(current->lines, current->line_count + 1, sizeof current->lines[0]);
    current->lines[current->line_count++] = (struct option_line){option, (unsigned)cfg->line, 1};
}

static unsigned line_of(const cfg_opt_t *option) {
    for (size_t i = 0; i < current->line_count; i++)
        if (current->lines[i].option == option)
            return current->lines[i].line;
    return 0;
}

/* For an empty list libconfuse calls nobody: the line that begins with the key. */
static unsigned line_beginning_with(const char *name) {
    struct text rest = text_of(current->text), line;

    for (unsigned number = 1; text_split(&rest, '\n', &line); number++) {
        line = text_trim(line);
        struct text key = text_trim(text_first(line, text_find(line, '=')));
        if (text_equal(key, text_of(name)))
            return number;
    }
    return 0;
}

static void report_again(const cfg_t *cfg, const cfg_opt_t *option, unsigned before) {
    reading_add_error(current->reading, (unsigned)cfg->line, option->name, NULL, "is set already in line %u", before);
}

/* Called by libconfuse after each value: the only moment at which the line is known. */
static int value_was_read(cfg_t *cfg, cfg_opt_t *option) {
    unsigned before = line_of(option);

    remember_line(cfg, option);
    if (before == 0 && find_unknown(cfg->name, option->name) != NULL)
        report_unknown(cfg, option->name);
    else if (before != 0 && (option->flags & CFGF_LIST) == 0)
        report_again(cfg, option, before);
    return 0;
}

/* Called for each value of a list, before it is there for value_was_read; what stood in the list before is gone when
 * it is the first one again. */
static int list_value_comes(cfg_t *cfg, cfg_opt_t *option, const char *value, void *result) {
    unsigned before = line_of(option);

    if (before != 0 && cfg_opt_size(option) == 1 && find_unknown(cfg->name, option->name) == NULL)
        report_again(cfg, option, before);
    *(const char **)result = value;
    return 0;
}

/* The name in quotes in one of libconfuse's sentences. */
static void quoted_name(const char *sentence, char *name, size_t size) {
    struct text rest = text_of(sentence);

    rest = text_from(rest, text_find(rest, '\'') + 1);
    (void)text_copy(name, size, text_first(rest, text_find(rest, '\'')));
}

static void syntax_error(const cfg_t *cfg, const char *sentence) {
    char name[64], words[WORDS_SIZE];

    quoted_name(sentence, name, sizeof name);
    const struct config_key *key = config_key_find(config_keys, config_key_count, name);
    struct unknown *unknown = find_unknown(cfg->name, name);
    if (unknown != NULL && !unknown->block) { /* not KEY = VALUE, then it must be a block */
        unknown->block = true;
        current->again = true;
    } else if (unknown != NULL) {
        report_unknown(cfg, name);
    } else if (key != NULL) {
        value_describe(key, words, sizeof words);
        reading_add_error(current->reading, (unsigned)cfg->line, name, words, "%s", sentence);
    } else {
        reading_add_error(current->reading, (unsigned)cfg->line, "syntax", SYNTAX, "%s", sentence);
    }
}

static void error_was_found(cfg_t *cfg, const char *format, va_list list) __attribute__((format(printf, 2, 0)));
static void error_was_found(cfg_t *cfg, const char *format, va_list list) {
    struct buffer sentence;

    buffer_init(&sentence, 1024);
    if (!buffer_format_list(&sentence, format, list))
        (void)buffer_append_string(&sentence, "wrong");
    const char *words = buffer_string(&sentence);
    struct unknown unknown = {.block = false};
    (void)text_copy(unknown.section, sizeof unknown.section, text_of(cfg->name));
    quoted_name(words, unknown.name, sizeof unknown.name);
    if (strncmp(words, "no such option", 14) == 0 && current->unknown_count < UNKNOWN_MAXIMUM &&
        find_unknown(unknown.section, unknown.name) == NULL) {
        current->unknowns[current->unknown_count++] = unknown;
        current->again = true;
    } else {
        syntax_error(cfg, words);
    }
    buffer_free(&sentence);
}

/* ---- what libconfuse is told ---- */

static cfg_opt_t string_option(const char *name, bool list) {
    cfg_opt_t one = CFG_STR(name, NULL, CFGF_NODEFAULT);
    cfg_opt_t many = CFG_STR_LIST(name, NULL, CFGF_NODEFAULT);

    one.validcb = many.validcb = value_was_read;
    many.parsecb = list_value_comes;
    return list ? many : one;
}

static cfg_opt_t *options_of(const struct config_key *keys, size_t key_count, size_t extra, const char *section,
                             size_t *count);

/* A key that we do not know, or a block with the keys in it that we have met. */
static cfg_opt_t unknown_option(const struct unknown *unknown) {
    size_t count;

    if (!unknown->block)
        return string_option(unknown->name, true);
    current->depth++;
    cfg_opt_t *inside = options_of(NULL, 0, 0, current->depth < UNKNOWN_DEPTH ? unknown->name : "", &count);
    current->depth--;
    cfg_opt_t block = CFG_SEC(unknown->name, inside, CFGF_MULTI | CFGF_TITLE);
    block.validcb = value_was_read;
    return block;
}

static bool is_among(const cfg_opt_t *options, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(options[i].name, name) == 0)
            return true;
    return false;
}

/* A block of ours that stands in one of the same name has keys there that we know here. */
static size_t add_unknown_options(cfg_opt_t *options, size_t count, const char *section) {
    const size_t known = count;
    for (size_t i = 0; i < current->unknown_count; i++)
        if (strcmp(current->unknowns[i].section, section) == 0 && !is_among(options, known, current->unknowns[i].name))
            options[count++] = unknown_option(&current->unknowns[i]);
    return count;
}

static cfg_opt_t *options_of(const struct config_key *keys, size_t key_count, size_t extra, const char *section,
                             size_t *count) {
    cfg_opt_t *options = memory_new(key_count + UNKNOWN_MAXIMUM + extra + 1, sizeof *options);
    cfg_opt_t end = CFG_END();

    *count = 0;
    for (size_t i = 0; i < key_count; i++)
        options[(*count)++] = string_option(keys[i].name, value_is_list(keys[i].type));
    *count = add_unknown_options(options, *count, section);
    options[*count] = end;
    return options;
}

static void free_options(cfg_opt_t *options) {
    for (cfg_opt_t *option = options; option->name != NULL; option++)
        if (option->type == CFGT_SEC)
            free_options(option->subopts);
    free(options);
}

/* A libconfuse context with every key and block; it copies the options. */
static cfg_t *make_context(void) {
    size_t count, inner;
    cfg_opt_t *options = options_of(config_keys, config_key_count, config_block_count, "root", &count);
    cfg_opt_t end = CFG_END();

    for (size_t i = 0; i < config_block_count; i++) {
        cfg_opt_t *inside =
            options_of(config_blocks[i].keys, config_blocks[i].key_count, 0, config_blocks[i].name, &inner);
        cfg_opt_t block = CFG_SEC(config_blocks[i].name, inside, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
        options[count++] = block;
    }
    options[count] = end;
    cfg_t *cfg = cfg_init(options, CFGF_NONE);
    free_options(options);
    if (cfg != NULL)
        (void)cfg_set_error_function(cfg, error_was_found);
    return cfg;
}

/* ---- from strings to keys ---- */

static void take_string(const struct config_key *key, const char *string, void *field, const char *label,
                        unsigned line) {
    char words[WORDS_SIZE];

    if (string != NULL && value_take(key, text_of(string), field))
        return;
    value_describe(key, words, sizeof words);
    reading_add_error(current->reading, line, label, words, "\"%s\" is wrong", string != NULL ? string : "");
}

/* One key of the file or of a block; false when it was not written. */
static bool take_key(cfg_t *cfg, const struct config_key *key, void *field, const char *label, unsigned *line) {
    cfg_opt_t *option = cfg_getopt(cfg, key->name);

    if (option == NULL || (option->flags & CFGF_MODIFIED) == 0)
        return false;
    *line = line_of(option);
    if (*line == 0)
        *line = line_beginning_with(key->name);
    if (*line == 0)
        *line = (unsigned)cfg->line; /* an empty list behind its block's beginning was written too */
    if (value_is_list(key->type))
        value_release(key, field);
    for (unsigned i = 0; i < cfg_opt_size(option); i++)
        take_string(key, cfg_opt_getnstr(option, i), field, label, *line);
    return true;
}

static void take_block(const struct config_block *block, cfg_t *section) {
    struct reading *reading = current->reading;
    char *base = (char *)reading->config;
    void **items = (void **)(void *)(base + block->items);
    size_t *count = (size_t *)(void *)(base + block->count);
    const char *title = cfg_title(section);
    char label[LABEL_SIZE];
    unsigned line;

    *items = memory_resize(*items, *count + 1, block->size);
    char *element = (char *)*items + *count * block->size;
    memset(element, 0, block->size);
    *(char **)(void *)(element + block->title) = memory_string(text_of(title));
    reading_set_place(reading, block, *count, NULL, (unsigned)section->line);
    for (size_t i = 0; i < block->key_count; i++) {
        const struct config_key *key = &block->keys[i];
        value_take_default(key, element + key->offset);
        reading_label(label, sizeof label, block, title, key->name);
        if (take_key(section, key, element + key->offset, label, &line))
            reading_set_place(reading, block, *count, key, line);
    }
    ++*count;
}

static void take_all(cfg_t *cfg) {
    char *base = (char *)current->reading->config;
    unsigned line;

    for (size_t i = 0; i < config_key_count; i++)
        if (take_key(cfg, &config_keys[i], base + config_keys[i].offset, config_keys[i].name, &line))
            reading_set_place(current->reading, NULL, 0, &config_keys[i], line);
    for (size_t i = 0; i < config_block_count; i++)
        for (unsigned n = 0; n < cfg_size(cfg, config_blocks[i].name); n++)
            take_block(&config_blocks[i], cfg_getnsec(cfg, config_blocks[i].name, n));
}

/* Reads once. */
static void parse_once(const char *text) {
    cfg_t *cfg = make_context();

    current->again = false;
    current->line_count = 0;
    reading_clear(current->reading);
    if (cfg == NULL || cfg_parse_buf(cfg, text) == CFG_PARSE_ERROR) {
        if (current->reading->error_count == 0 && !current->again)
            reading_add_error(current->reading, 0, "syntax", SYNTAX, "cannot be read");
    }
    if (cfg != NULL && !current->again)
        take_all(cfg);
    if (cfg != NULL)
        (void)cfg_free(cfg);
}

void config_parse_text(struct reading *reading, char *text) {
    struct parse parse = {.reading = reading, .text = text};
    unsigned unclosed = comments_blank(text);

    if (unclosed > 0) {
        reading_add_error(reading, unclosed, "syntax", SYNTAX,
                          "a string, comment or brace begins that is never closed");
        return;
    }
    current = &parse;
    do
        parse_once(text);
    while (parse.again);
    current = NULL;
    free(parse.lines);
}

void config_parse_override(struct reading *reading, const char *assignment) {
    struct text value = text_of(assignment), name = text_first(value, text_find(value, '=')), item;
    char label[LABEL_SIZE], words[WORDS_SIZE];
    const struct config_key *key;

    (void)text_copy(label, sizeof label, name);
    key = config_key_find(config_keys, config_key_count, label);
    if (key == NULL || name.length == value.length) {
        reading_add_error(reading, 0, label, "KEY=VALUE", "unknown key on the command line");
        return;
    }
    value = text_from(value, name.length + 1);
    char *field = (char *)reading->config + key->offset;
    bool good = true;
    if (value_is_list(key->type)) {
        value_release(key, field);
        while (text_split(&value, ',', &item))
            good &= value_take(key, text_trim(item), field);
    } else {
        good = value_take(key, value, field);
    }
    value_describe(key, words, sizeof words);
    if (!good)
        reading_add_error(reading, 0, label, words, "\"%s\" on the command line is wrong", assignment);
}
