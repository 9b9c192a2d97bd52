/* SPDX-License-Identifier: MIT
 * A command line of the configuration as words: split at blanks, without a shell. */
#ifndef BASE_COMMAND_WORDS_H
#define BASE_COMMAND_WORDS_H
#include <stdbool.h>
#include <stddef.h>
#define COMMAND_WORDS_MAXIMUM 64
/* True when it has no more words than that: a configuration with a longer one is refused. */
bool command_words_fit(const char *command);
/* Into owned words, NULL-terminated; a word too many is left out. Returns how many. */
size_t command_words_split(const char *command, char *words[COMMAND_WORDS_MAXIMUM + 1]);
void command_words_free(char *words[]);
#endif
