/* SPDX-License-Identifier: MIT
 * Checks the keys of extensions. Called by check.c, in the listener and in programs, before anything starts; what is
 * wrong becomes an error of the reading. */
#include "config/reading.h"
#include "mail/extension.h"
#include "mail/solicitation.h"

#define EHLO_KEYWORDS_MAXIMUM 256 /* bytes in all: the answer to EHLO is one reply */

void check_extensions(struct reading *reading) {
    struct config *config = reading->config;
    size_t length = 0;

    for (size_t i = 0; i < config->extensions_off.count; i++) {
        enum extension extension = extension_find(text_of(config->extensions_off.items[i]));
        if (extension == EXTENSION_NONE)
            reading_complain(reading, "extensions_off", "keywords that EHLO lists", "there is no such extension");
        else
            config->extensions_off_bits |= 1u << extension;
    }
    for (size_t i = 0; i < config->ehlo_keywords.count; i++) {
        struct text line = text_of(config->ehlo_keywords.items[i]);
        length += line.length + 1;
        if (!extension_line_is_valid(line) || extension_find(text_first(line, text_find(line, ' '))) != EXTENSION_NONE)
            reading_complain(reading, "ehlo_keywords",
                             "a keyword of letters, digits and hyphens that is not one of ours, and parameters",
                             "is no line for EHLO");
    }
    for (size_t i = 0, all = 0; i < config->no_soliciting.count; i++) {
        struct text word = text_of(config->no_soliciting.items[i]);
        all += word.length + 1;
        if (!solicitation_is_valid(word) || text_find(word, ',') < word.length || all > SOLICITATION_MAXIMUM)
            reading_complain(reading, "no_soliciting",
                             "a letter, then letters, digits, '.', '-', '_' and ':'; at most 1000 bytes in all",
                             "is no solicitation keyword");
    }
    if (length > EHLO_KEYWORDS_MAXIMUM)
        reading_complain(reading, "ehlo_keywords", "at most 256 bytes in all", "is too long");
}
