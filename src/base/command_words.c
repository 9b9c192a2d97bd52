/* SPDX-License-Identifier: MIT
 * Splitting command lines; see command_words.h. Called where programs of the operator's are run, by agents, the
 * connector and the guard, and where the configuration is checked. No I/O; cannot fail. */
#include "base/command_words.h"
#include "base/memory.h"
#include "base/text.h"
#include <stdlib.h>

bool command_words_fit(const char *command) {
    struct text rest = text_of(command), word;
    size_t count = 0;
    while (count <= COMMAND_WORDS_MAXIMUM && text_split(&rest, ' ', &word)) {
        count += word.length > 0;
    }
    return count <= COMMAND_WORDS_MAXIMUM;
}

size_t command_words_split(const char *command, char *words[COMMAND_WORDS_MAXIMUM + 1]) {
    struct text rest = text_of(command), word;
    size_t count = 0;
    while (count < COMMAND_WORDS_MAXIMUM && text_split(&rest, ' ', &word)) {
        if (word.length > 0) {
            words[count++] = memory_string(word);
        }
    }
    words[count] = NULL;
    return count;
}

void command_words_free(char *words[]) {
    for (size_t i = 0; words[i] != NULL; i++) {
        free(words[i]);
    }
}
