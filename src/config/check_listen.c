/* SPDX-License-Identifier: MIT
 * The modes of a listen block: TLS, AUTH and networks. Called by check.c for each block once role and address are
 * known; defaults follow from the role, and what contradicts itself becomes a line of the report. */
#include "config/reading.h"
#include "mail/extension.h"
#include <sys/socket.h>

enum listen_auth check_listen_auth_of(enum listen_role role) {
    static const enum listen_auth usual[] = {
        [ROLE_MX] = LISTEN_AUTH_FORBIDDEN,        [ROLE_INTERNAL] = LISTEN_AUTH_OPTIONAL,
        [ROLE_SUBMISSION] = LISTEN_AUTH_REQUIRED, [ROLE_SENDMAIL] = LISTEN_AUTH_FORBIDDEN,
        [ROLE_LMTP] = LISTEN_AUTH_FORBIDDEN,
    };
    return usual[role];
}

static bool is_submissions_port(const struct config *config, const struct config_listen *listen) {
    return listen->parsed[0].storage.ss_family != AF_UNIX && config->submissions_port != 0 &&
           network_port(&listen->parsed[0]) == (unsigned long)config->submissions_port;
}

static bool is_off(const struct config *config, enum extension extension) {
    for (size_t i = 0; i < config->extensions_off.count; i++)
        if (extension_find(text_of(config->extensions_off.items[i])) == extension)
            return true;
    return false;
}

static void complain(struct reading *reading, size_t index, const char *key, const char *label, const char *accepted,
                     const char *sentence) {
    unsigned line = reading_line(reading, "listen", index, key);

    if (line == 0)
        line = reading_line(reading, "listen", index, NULL);
    reading_add_error(reading, line, label, accepted, "%s", sentence);
}

static void check_tls(struct reading *reading, size_t index, const char *label) {
    const struct config_listen *listen = &reading->config->listens[index];

    if (listen->tls == LISTEN_TLS_IMPLICIT && listen->parsed[0].storage.ss_family == AF_UNIX)
        complain(reading, index, "tls", label, "tls = optional", "a Unix socket begins in plain text");
    if (listen->tls == LISTEN_TLS_REQUIRED && is_off(reading->config, EXTENSION_STARTTLS))
        complain(reading, index, "tls", label, "tls = implicit, or STARTTLS not in extensions_off",
                 "requires STARTTLS, which is switched off");
}

/* Mail of members comes in by a login or from who is trusted, and a password only within TLS. */
static void check_auth(struct reading *reading, size_t index, const char *label) {
    const struct config_listen *listen = &reading->config->listens[index];

    if (listen->role == ROLE_SENDMAIL && listen->auth != LISTEN_AUTH_FORBIDDEN)
        complain(reading, index, "auth", label, "auth = forbidden", "the role sendmail knows users by their id");
    else if (listen->role == ROLE_SUBMISSION && listen->auth != LISTEN_AUTH_REQUIRED)
        complain(reading, index, "auth", label, "auth = required, or another role",
                 "the role submission is for who has logged in");
    else if (listen->tls == LISTEN_TLS_FORBIDDEN && listen->auth != LISTEN_AUTH_FORBIDDEN)
        complain(reading, index, "tls", label, "tls = optional, required or implicit; or auth = forbidden",
                 "nobody can log in without TLS");
}

void check_listen_modes(struct reading *reading, size_t index, const char *label) {
    struct config_listen *listen = &reading->config->listens[index];

    if (reading_line(reading, "listen", index, "tls") == 0 && is_submissions_port(reading->config, listen))
        listen->tls = LISTEN_TLS_IMPLICIT;
    if (reading_line(reading, "listen", index, "auth") == 0)
        listen->auth = check_listen_auth_of(listen->role);
    if (listen->role == ROLE_INTERNAL && listen->tls == LISTEN_TLS_FORBIDDEN &&
        reading_line(reading, "listen", index, "auth") == 0)
        listen->auth = LISTEN_AUTH_FORBIDDEN; /* trusted networks are left */
    check_tls(reading, index, label);
    check_auth(reading, index, label);
    if (listen->xclient_networks.count > 0 && listen->parsed[0].storage.ss_family == AF_UNIX)
        complain(reading, index, "xclient_networks", label, "a port of 127.0.0.1",
                 "a Unix socket is not reached through a network");
    if (listen->networks.count > 0 && listen->parsed[0].storage.ss_family == AF_UNIX)
        complain(reading, index, "networks", label, "mode and owner", "a Unix socket is not reached through a network");
}
