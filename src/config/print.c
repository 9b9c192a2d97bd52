/* SPDX-License-Identifier: MIT
 * The effective configuration for `parcelpostd -T`, and the manual's list of keys, both from the tables. Fails only
 * when the stream does. */
#include "config/config.h"
#include "config/keys.h"
#include "config/value.h"

static bool print_block(const struct config_block *block, const struct config *config, FILE *out) {
    const char *items = *(char *const *)(const void *)((const char *)config + block->items);
    size_t count = *(const size_t *)(const void *)((const char *)config + block->count);
    bool good = true;

    for (size_t i = 0; i < count; i++) {
        const char *element = items + i * block->size;
        good &= fprintf(out, "%s ", block->name) > 0;
        good &= value_print_quoted(*(char *const *)(const void *)(element + block->title), out);
        good &= fputs(" {\n", out) != EOF;
        for (size_t k = 0; k < block->key_count; k++) {
            good &= fprintf(out, "    %s = ", block->keys[k].name) > 0;
            good &= value_print(&block->keys[k], element + block->keys[k].offset, out);
            good &= fputc('\n', out) != EOF;
        }
        good &= fputs("}\n", out) != EOF;
    }
    return good;
}

bool config_print(const struct config *config, FILE *out) {
    bool good = true;

    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        if (key->heading != NULL)
            good &= fprintf(out, "%s# %s\n", i == 0 ? "" : "\n", key->heading) > 0;
        good &= fprintf(out, "%s = ", key->name) > 0;
        good &= value_print(key, (const char *)config + key->offset, out);
        good &= fputc('\n', out) != EOF;
    }
    good &= fputc('\n', out) != EOF;
    for (size_t i = 0; i < config_block_count; i++)
        good &= print_block(&config_blocks[i], config, out);
    return good;
}

/* ---- the manual page ---- */

/* Text for mdoc: a backslash would begin an escape, quotes in a macro line would pair. */
static bool print_mdoc(const char *text, FILE *out) {
    bool good = true;

    for (; *text != '\0'; text++)
        if (*text == '\\')
            good &= fputs("\\e", out) != EOF;
        else if (*text == '"')
            good &= fputs("\\(dq", out) != EOF;
        else
            good &= fputc(*text, out) != EOF;
    return good;
}

static bool print_default(const struct config_key *key, FILE *out) {
    bool good = fputs("Default: ", out) != EOF;

    if (key->derived != NULL)
        good &= print_mdoc(key->derived, out);
    else if (key->standard[0] == '\0')
        good &= fputs("empty", out) != EOF;
    else
        good &= print_mdoc(key->standard, out);
    return good && fputs(".\n", out) != EOF;
}

static bool print_manual_key(const struct config_key *key, FILE *out) {
    char words[512];
    bool good = fprintf(out, ".It Ic %s\n", key->name) > 0;

    good &= print_mdoc(key->help, out);
    value_describe(key, words, sizeof words);
    good &= fputs("\nAccepted: ", out) != EOF;
    good &= print_mdoc(words, out);
    good &= fputs(".\n", out) != EOF;
    return good && print_default(key, out);
}

static bool print_manual_block(const struct config_block *block, FILE *out) {
    bool good = fprintf(out, ".It Ic %s Qo Ar %s Qc Brq ...\n", block->name, block->title_name) > 0;

    good &= print_mdoc(block->help, out);
    good &= fputs("\n.Bl -tag -width Ds\n", out) != EOF;
    for (size_t i = 0; i < block->key_count; i++)
        good &= print_manual_key(&block->keys[i], out);
    return good && fputs(".El\n", out) != EOF;
}

bool config_print_manual(FILE *out) {
    bool good = true;

    for (size_t i = 0; i < config_key_count; i++) {
        if (config_keys[i].heading != NULL)
            good &= fprintf(out, "%s.Ss %s\n.Bl -tag -width Ds\n", i == 0 ? "" : ".El\n", config_keys[i].heading) > 0;
        good &= print_manual_key(&config_keys[i], out);
    }
    good &= fputs(".El\n.Ss Blocks\n.Bl -tag -width Ds\n", out) != EOF;
    for (size_t i = 0; i < config_block_count; i++)
        good &= print_manual_block(&config_blocks[i], out);
    return good && fputs(".El\n", out) != EOF;
}
