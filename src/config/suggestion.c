/* SPDX-License-Identifier: MIT
 * Which known key is nearest to a wrong one, by Levenshtein's distance without case and underscores (so that RubyMTA's
 * ServerTitle finds server_title). Called by the parser for its error messages; cannot fail. */
#include "config/suggestion.h"
#include <string.h>

#define NAME_MAXIMUM 63

static size_t smallest(size_t a, size_t b, size_t c) {
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

/* Lower case, without '_' and '-'. Returns the length. */
static size_t plain(const char *name, char text[NAME_MAXIMUM + 1]) {
    size_t length = 0;

    for (; *name != '\0' && length < NAME_MAXIMUM; name++)
        if (*name != '_' && *name != '-')
            text[length++] = *name;
    text[length] = '\0';
    text_lower(text);
    return length;
}

static size_t distance(const char *left, const char *right) {
    char a[NAME_MAXIMUM + 1], b[NAME_MAXIMUM + 1];
    size_t a_length = plain(left, a), b_length = plain(right, b), row[NAME_MAXIMUM + 1];

    for (size_t k = 0; k <= b_length; k++)
        row[k] = k;
    for (size_t i = 1; i <= a_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t k = 1; k <= b_length; k++) {
            size_t above = row[k];
            row[k] = smallest(above + 1, row[k - 1] + 1, diagonal + (a[i - 1] != b[k - 1]));
            diagonal = above;
        }
    }
    return row[b_length];
}

static void consider(const char *candidate, const char *name, const char **best, size_t *best_distance) {
    size_t found = distance(candidate, name);

    if (found < *best_distance) {
        *best = candidate;
        *best_distance = found;
    }
}

const char *suggestion_for(const struct config_block *block, const char *name) {
    const struct config_key *keys = block != NULL ? block->keys : config_keys;
    size_t count = block != NULL ? block->key_count : config_key_count;
    const char *best = NULL;
    size_t best_distance = strlen(name) / 3 + 1; /* farther is no misspelling */

    for (size_t i = 0; i < count; i++)
        consider(keys[i].name, name, &best, &best_distance);
    for (size_t i = 0; block == NULL && i < config_block_count; i++)
        consider(config_blocks[i].name, name, &best, &best_distance);
    return best;
}
