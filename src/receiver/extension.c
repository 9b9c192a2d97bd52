/* SPDX-License-Identifier: MIT
 * What EHLO and LHLO announce. Called by them, the dispatcher and the parameters, confined; cannot fail. An extension
 * that is switched off is unknown: not listed, its command and its parameters refused. */
#include "receiver/extension.h"
#include "receiver/command.h"
#include "receiver/mechanism.h"

struct extension_row {
    const char *words;                                                /* behind the keyword, or NULL */
    long (*number)(const struct config *config);                      /* and behind those, or NULL */
    void (*list)(const struct session *session, struct buffer *text); /* likewise */
    enum extension needs;                                             /* another one, without which it is off too */
    bool (*known)(const struct session *session); /* false: this client cannot use it now; NULL: it can */
};

static long message_maximum(const struct config *config) {
    return config->message_maximum;
}

static long recipient_maximum(const struct config *config) {
    return config->recipient_maximum;
}

/* RFC 8689 4.1 */
static bool is_within_tls(const struct session *session) {
    return session->tls;
}

/* MAILMAX and RCPTDOMAINMAX are not among the limits that there are. */
static const struct extension_row rows[EXTENSIONS] = {
    [EXTENSION_AUTH] = {.list = mechanism_list},
    [EXTENSION_SIZE] = {.words = " ", .number = message_maximum},
    [EXTENSION_BINARYMIME] = {.needs = EXTENSION_CHUNKING},
    [EXTENSION_REQUIRETLS] = {.known = is_within_tls},
    [EXTENSION_XCLIENT] = {.words = " NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"},
    [EXTENSION_LIMITS] = {.words = " RCPTMAX=", .number = recipient_maximum},
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
        if (rows[i].number != NULL)
            (void)buffer_format(text, "%ld", rows[i].number(session->config));
        if (rows[i].list != NULL)
            rows[i].list(session, text);
    }
    for (size_t i = 0; i < own->count; i++)
        (void)buffer_format(text, "\n%s", own->items[i]);
}
