/* SPDX-License-Identifier: MIT
 * Checks of commands: a program with its arguments, which is run without a shell. Called by config_complete; what is
 * wrong becomes a line of the report. */
#include "base/command_words.h"
#include "config/reading.h"
#include <string.h>

#define LABEL_SIZE 512
#define WORDS_ACCEPTED "a command of at most 64 words"
#define WORDS_COMPLAINT "has too many words"

_Static_assert(COMMAND_WORDS_MAXIMUM == 64, "as the report says");

static bool fits(const char *command) {
    return command == NULL || command_words_fit(command);
}

/* "|COMMAND", among endpoints of other kinds. */
static bool endpoint_fits(const char *endpoint) {
    return endpoint == NULL || endpoint[0] != '|' || fits(endpoint + 1);
}

static void complain(struct reading *reading, const char *block, size_t index, const char *title, const char *key) {
    char label[LABEL_SIZE];

    reading_label(label, sizeof label, config_block_find(block), title, key);
    reading_add_error(reading, reading_line(reading, block, index, key), label, WORDS_ACCEPTED, WORDS_COMPLAINT);
}

void check_commands(struct reading *reading) {
    const struct config *config = reading->config;

    if (!fits(config->lock_command))
        reading_complain(reading, "lock_command", WORDS_ACCEPTED, WORDS_COMPLAINT);
    if (!fits(config->unlock_command))
        reading_complain(reading, "unlock_command", WORDS_ACCEPTED, WORDS_COMPLAINT);
    if (!fits(config->local_filter))
        reading_complain(reading, "local_filter", WORDS_ACCEPTED, WORDS_COMPLAINT);
    if (!endpoint_fits(config->oauth_check))
        reading_complain(reading, "oauth_check", WORDS_ACCEPTED, WORDS_COMPLAINT);
    for (size_t i = 0; i < config->transport_count; i++)
        if (strcmp(config->transports[i].kind, "pipe") == 0 && !fits(config->transports[i].target))
            complain(reading, "transport", i, config->transports[i].name, "target");
    for (size_t i = 0; i < config->policy_count; i++)
        if (!endpoint_fits(config->policies[i].endpoint))
            complain(reading, "policy", i, config->policies[i].name, "endpoint");
}
