/* SPDX-License-Identifier: MIT
 * What EHLO and LHLO announce. Called by them, the dispatcher and the parameters, confined; cannot fail. An extension
 * that is switched off is unknown: not listed, its command and its parameters refused. */
#include "receiver/commands/extension.h"
#include "base/clock.h"
#include "receiver/commands/command.h"
#include "receiver/login/mechanism.h"

struct extension_row {
    const char *words;                                                /* behind the keyword, or NULL */
    void (*tell)(const struct session *session, struct buffer *text); /* and behind those, or NULL */
    enum extension needs;                                             /* another one, without which it is off too */
    bool (*known)(const struct session *session); /* false: this client cannot use it now; NULL: it can */
};

static void tell_message_maximum(const struct session *session, struct buffer *text) {
    (void)buffer_format(text, "%ld", session->config->message_maximum);
}

static void tell_recipient_maximum(const struct session *session, struct buffer *text) {
    (void)buffer_format(text, "%ld", session->config->recipient_maximum);
}

/* RFC 3030 3: it is a value of the parameter that 8BITMIME brings. */
static bool has_body_parameter(const struct session *session) {
    return extension_is_on(session->config, EXTENSION_8BITMIME);
}

/* RFC 8689 4.1 */
static bool is_within_tls(const struct session *session) {
    return session->tls;
}

static bool refuses_solicitations(const struct session *session) {
    return session->config->no_soliciting.count > 0;
}

/* RFC 3865 2.1 */
static void tell_solicitations(const struct session *session, struct buffer *text) {
    const struct config_strings *refused = &session->config->no_soliciting;

    for (size_t i = 0; i < refused->count; i++)
        (void)buffer_format(text, "%s%s", i > 0 ? "," : "", refused->items[i]);
}

/* RFC 4865 3: for members, on the ports where they log in. */
static bool may_release_later(const struct session *session) {
    bool members = session->client.role == ROLE_SUBMISSION || session->client.role == ROLE_INTERNAL;

    return (members || session->account[0] != '\0') && session->config->future_release_maximum > 0;
}

static void tell_future_release(const struct session *session, struct buffer *text) {
    char latest[CLOCK_INTERNET_SIZE];

    clock_internet_text(time(NULL) + session->config->future_release_maximum, latest);
    (void)buffer_format(text, "%ld %s", session->config->future_release_maximum, latest);
}

/* MAILMAX and RCPTDOMAINMAX are not among the limits that there are. */
static const struct extension_row rows[EXTENSIONS] = {
    [EXTENSION_AUTH] = {.tell = mechanism_list},
    [EXTENSION_SIZE] = {.words = " ", .tell = tell_message_maximum},
    [EXTENSION_LIMITS] = {.words = " RCPTMAX=", .tell = tell_recipient_maximum},
    [EXTENSION_BINARYMIME] = {.needs = EXTENSION_CHUNKING, .known = has_body_parameter},
    [EXTENSION_REQUIRETLS] = {.known = is_within_tls},
    [EXTENSION_XCLIENT] = {.words = " NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"},
    [EXTENSION_NO_SOLICITING] = {.words = " ", .tell = tell_solicitations, .known = refuses_solicitations},
    [EXTENSION_FUTURERELEASE] = {.words = " ", .tell = tell_future_release, .known = may_release_later},
};

bool extension_is_on(const struct config *config, enum extension extension) {
    for (; extension != EXTENSION_NONE; extension = rows[extension].needs)
        if (config->extensions_off_bits & 1u << extension)
            return false;
    return true;
}

bool extension_is_known(const struct session *session, enum extension extension) {
    return extension_is_on(session->config, extension) &&
           (rows[extension].known == NULL || rows[extension].known(session));
}

/* Also the command that it adds can be used. */
static bool is_offered(const struct session *session, enum extension extension) {
    if (!extension_is_known(session, extension))
        return false;
    for (size_t i = 0; i < command_count; i++)
        if (commands[i].extension == extension)
            return command_is_offered(session, &commands[i]);
    return true;
}

void extension_list(const struct session *session, struct buffer *text) {
    const struct config_strings *own = &session->config->ehlo_keywords;

    for (size_t i = EXTENSION_NONE + 1; i < EXTENSIONS; i++) {
        if (!is_offered(session, (enum extension)i))
            continue;
        (void)buffer_format(text, "\n%s%s", extension_names[i], rows[i].words != NULL ? rows[i].words : "");
        if (rows[i].tell != NULL)
            rows[i].tell(session, text);
    }
    for (size_t i = 0; i < own->count; i++)
        (void)buffer_format(text, "\n%s", own->items[i]);
}
