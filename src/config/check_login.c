/* SPDX-License-Identifier: MIT
 * Checks the keys of logins. Called by check.c, in the listener and in programs, before anything starts; what is wrong
 * becomes an error of the reading. */
#include "config/reading.h"
#include "mail/mechanism.h"

static void list_mechanisms(struct buffer *names) {
    for (size_t i = 0; i < AUTH_MECHANISMS; i++)
        (void)buffer_format(names, "%s%s", i > 0 ? ", " : "", auth_mechanism_names[i]);
}

void check_logins(struct reading *reading) {
    struct config *config = reading->config;
    unsigned line = reading_line(reading, NULL, 0, "auth_mechanisms");
    struct buffer names;

    buffer_init(&names, 512);
    list_mechanisms(&names);
    config->auth_mechanisms_bits = 0;
    for (size_t i = 0; i < config->auth_mechanisms.count; i++) {
        enum auth_mechanism mechanism = auth_mechanism_find(text_of(config->auth_mechanisms.items[i]));
        if (mechanism == AUTH_MECHANISMS)
            reading_add_error(reading, line, "auth_mechanisms", buffer_string(&names), "there is no mechanism %s",
                              config->auth_mechanisms.items[i]);
        else
            config->auth_mechanisms_bits |= UINT32_C(1) << mechanism;
    }
    buffer_free(&names);
    if (config->auth_backend == AUTH_DOVECOT && (config->dovecot_auth == NULL || config->dovecot_auth[0] == '\0'))
        reading_add_error(reading, reading_line(reading, NULL, 0, "auth_backend"), "auth_backend",
                          "with dovecot_auth = \"PATH\" or \"HOST:PORT\"", "dovecot_auth is not set");
}
