/* SPDX-License-Identifier: MIT
 * Lists of solicitation keywords. Called by the configuration and receivers, on what anybody wrote; fails only by
 * return value. */
#include "mail/solicitation.h"

static bool is_letter(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static bool is_word(struct text word) {
    for (size_t i = 0; i < word.length; i++) {
        char byte = word.data[i];
        bool inside = (byte >= '0' && byte <= '9') || byte == '.' || byte == '-' || byte == '_' || byte == ':';

        if (!is_letter(byte) && (i == 0 || !inside))
            return false;
    }
    return word.length > 0;
}

bool solicitation_is_valid(struct text keywords) {
    struct text word;
    bool valid =
        keywords.length > 0 && keywords.length <= SOLICITATION_MAXIMUM && !text_ends_nocase(keywords, TEXT(","));

    while (valid && text_split(&keywords, ',', &word))
        valid = is_word(word);
    return valid;
}

bool solicitation_names(struct text keywords, struct text word) {
    struct text one;

    while (text_split(&keywords, ',', &one))
        if (text_equal_nocase(text_trim(one), word))
            return true;
    return false;
}
