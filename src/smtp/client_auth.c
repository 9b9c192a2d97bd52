/* SPDX-License-Identifier: MIT
 * What a configured route asks for beyond plain SMTP: TLS, and a login with AUTH PLAIN or LOGIN (RFC 4954, RFC 4616).
 * Runs in delivery agents. A server that cannot or will not do it is CLIENT_UNMET, never permanent: the operator's
 * password may be wrong, the sender's message is not. No secret reaches the trace. */
#include "smtp/client_private.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SECRET_SIZE 1024 /* two strings of 255 bytes in base64 */

/* Our own words in place of a reply. */
static enum client_opening deny(struct client *client, const char *format, ...) __attribute__((format(printf, 2, 3)));
static enum client_opening deny(struct client *client, const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(client->reply, sizeof client->reply, format, list);
    va_end(list);
    client->code = 0;
    return CLIENT_UNMET;
}

/* One line with base64 in it; the trace sees `shown`. */
static bool perform_secret(struct client *client, const char *shown, const char *before, struct text plain) {
    char encoded[SECRET_SIZE];
    bool sent = text_base64_encode(plain, encoded, sizeof encoded) &&
                client_secret(client, PHASE_AUTH, shown, text_of(before), text_of(encoded)) &&
                client_flush(client, PHASE_AUTH) && client_read_reply(client, PHASE_AUTH, NULL);
    explicit_bzero(encoded, sizeof encoded);
    return sent;
}

/* RFC 4616: no authorization identity, the user, the password. */
static bool perform_plain(struct client *client) {
    char plain[SECRET_SIZE];
    const struct client_settings *settings = &client->settings;
    int length = snprintf(plain, sizeof plain, "%c%s%c%s", '\0', settings->user, '\0', settings->password);
    bool fits = length > 0 && (size_t)length < sizeof plain;
    bool sent = fits && perform_secret(client, "AUTH PLAIN ***", "AUTH PLAIN ", (struct text){plain, (size_t)length});
    explicit_bzero(plain, sizeof plain);
    return sent;
}

/* Two challenges, whatever they say, for the user and the password. */
static bool perform_login(struct client *client) {
    if (!client_command(client, PHASE_AUTH, "AUTH LOGIN") || !client_flush(client, PHASE_AUTH) ||
        !client_read_reply(client, PHASE_AUTH, NULL)) {
        return false;
    }
    if (client->code == 334 && !perform_secret(client, "***", "", text_of(client->settings.user))) {
        return false;
    }
    return client->code != 334 || perform_secret(client, "***", "", text_of(client->settings.password));
}

static enum client_opening authenticate(struct client *client) {
    const struct client_settings *settings = &client->settings;
    char said[CLIENT_REPLY_SIZE - 64];
    if (settings->password == NULL) {
        return deny(client, "454 4.7.0 the password of %.100s could not be read", settings->user);
    }
    if ((client->keywords & (CLIENT_AUTH_PLAIN | CLIENT_AUTH_LOGIN)) == 0) {
        return deny(client, "454 4.7.0 the server offers neither AUTH PLAIN nor AUTH LOGIN");
    }
    bool plain = (client->keywords & CLIENT_AUTH_PLAIN) != 0;
    if (!(plain ? perform_plain(client) : perform_login(client)) || !client->open) {
        return CLIENT_TEMPORARY;
    }
    if (client->code == 235) {
        return CLIENT_OPEN;
    }
    text_copy(said, sizeof said, text_of(client->reply));
    return deny(client, "454 4.7.0 the login as %.100s was refused: %s", settings->user, said);
}

enum client_opening client_meet_route(struct client *client) {
    if ((client->settings.tls_required || client->settings.user != NULL) && !client->tls) {
        return deny(client, "454 4.7.0 this route wants TLS, and the server does not offer it");
    }
    return client->settings.user != NULL ? authenticate(client) : CLIENT_OPEN;
}
