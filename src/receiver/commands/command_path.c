/* SPDX-License-Identifier: MIT
 * What MAIL and RCPT have in common: their path and their ESMTP parameters (RFC 5321 4.1.1.2, 4.1.1.3, 4.1.1.11).
 * Called by their handlers, confined; fails with the reply to send. */
#include "receiver/commands/command.h"
#include "receiver/commands/extension.h"
#include <string.h>

/* Which words and codes an objection to a path has. */
struct path_words {
    const char *keyword, *what, *verb, *enhanced;
};
static const struct path_words path_words[] = {
    {"FROM:", "sender", "MAIL FROM", "5.1.7"},
    {"TO:", "recipient", "RCPT TO", "5.1.3"},
};

static const struct path_words *words_of(const char *keyword) {
    return strcmp(keyword, path_words[0].keyword) == 0 ? &path_words[0] : &path_words[1];
}

static void set_problem(enum address_problem problem, const struct path_words *words, struct text path,
                        const char *local, struct reply *reply) {
    char shown[ADDRESS_SIZE];

    (void)text_printable(shown, sizeof shown, problem == ADDRESS_UNPARSABLE ? path : text_of(local));
    switch (problem) {
    case ADDRESS_BAD_DOTS:
        reply_set(reply, 550, words->enhanced,
                  "local part \"%s\" cannot contain\nbeginning or ending '.' or 2 or more '.'s in a row", shown);
        break;
    case ADDRESS_BAD_CHARACTERS:
        reply_set(reply, 550, words->enhanced,
                  "\"%s\" can only\ncontain a-z, A-Z, 0-9, and !#$%%&'*+-/=?^_`{|}~. unless it is quoted", shown);
        break;
    case ADDRESS_TOO_LONG:
        reply_set(reply, 501, words->enhanced, "the local part or the domain of the %s is too long", words->what);
        break;
    case ADDRESS_OK:
    case ADDRESS_UNPARSABLE:
        reply_set(reply, 501, words->enhanced, "'%s' No proper %s (<...>) on the %s line", shown, words->what,
                  words->verb);
        break;
    }
}

bool command_take_path(struct text argument, const char *keyword, bool utf8, struct address *address, struct text *rest,
                       struct reply *reply) {
    const struct path_words *words = words_of(keyword);
    struct text path = argument;
    enum address_problem problem = ADDRESS_UNPARSABLE;

    *address = (struct address){.local = ""};
    if (text_starts_nocase(argument, text_of(keyword))) {
        path = text_trim(text_from(argument, strlen(keyword)));
        problem = address_parse_path(path, utf8, address, rest);
    }
    if (problem == ADDRESS_OK)
        return true;
    if (!utf8 && text_has_eight_bit(path) && text_is_utf8(path)) /* RFC 6531 3.5 */
        reply_set(reply, 553, "5.6.7", "the %s is not ASCII, and SMTPUTF8 was not asked for", words->what);
    else
        set_problem(problem, words, path, address->local, reply);
    return false;
}

bool command_take_parameters(const struct session *session, struct text rest, const struct parameter_row *rows,
                             size_t count, void *target, struct reply *reply) {
    struct command_parameter parameter;
    enum command_parameter_result result;
    unsigned given = 0; /* bits of rows */
    char shown[128];

    while ((result = command_parameter_next(&rest, &parameter)) == COMMAND_PARAMETER_ITEM) {
        size_t row = 0;
        while (row < count && !text_equal_nocase(parameter.keyword, text_of(rows[row].keyword)))
            row++;
        if (row == count || !extension_is_known(session, rows[row].extension)) {
            (void)text_printable(shown, sizeof shown, parameter.keyword);
            reply_set(reply, 555, "5.5.4", "parameter %s is not recognized or not implemented", shown);
            return false;
        }
        if (given & 1u << row) {
            reply_set(reply, 501, "5.5.4", "%s may be given once", rows[row].keyword);
            return false;
        }
        given |= 1u << row;
        if (!rows[row].take(target, parameter.value, reply))
            return false;
    }
    if (result == COMMAND_PARAMETER_END)
        return true;
    reply_set(reply, 501, "5.5.4", "malformed parameters behind the path");
    return false;
}

bool command_string_is_understood(struct session *session, struct text argument) {
    bool announced = extension_is_on(session->config, EXTENSION_SMTPUTF8) && text_is_utf8(argument) &&
                     text_ends_nocase(argument, TEXT(" SMTPUTF8"));

    if (announced || !text_has_eight_bit(argument))
        return true;
    session_reply(session, 553, "5.6.7", "a name that is not ASCII needs SMTPUTF8 behind it");
    return false;
}
