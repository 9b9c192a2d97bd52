/* SPDX-License-Identifier: MIT
 * The keywords of the extensions, and what such a line may be made of. Called by the configuration and receivers; no
 * I/O; fails only by return value. */
#include "mail/extension.h"

const char *const extension_names[EXTENSIONS] = {
    [EXTENSION_NONE] = "",
    [EXTENSION_PIPELINING] = "PIPELINING",
    [EXTENSION_ENHANCEDSTATUSCODES] = "ENHANCEDSTATUSCODES",
    [EXTENSION_STARTTLS] = "STARTTLS",
    [EXTENSION_AUTH] = "AUTH",
    [EXTENSION_SIZE] = "SIZE",
    [EXTENSION_8BITMIME] = "8BITMIME",
    [EXTENSION_SMTPUTF8] = "SMTPUTF8",
    [EXTENSION_DSN] = "DSN",
    [EXTENSION_LIMITS] = "LIMITS",
    [EXTENSION_CHUNKING] = "CHUNKING",
    [EXTENSION_BINARYMIME] = "BINARYMIME",
    [EXTENSION_REQUIRETLS] = "REQUIRETLS",
    [EXTENSION_XCLIENT] = "XCLIENT",
    [EXTENSION_NO_SOLICITING] = "NO-SOLICITING",
    [EXTENSION_FUTURERELEASE] = "FUTURERELEASE",
    [EXTENSION_HELP] = "HELP",
};

enum extension extension_find(struct text name) {
    for (size_t i = EXTENSION_NONE + 1; i < EXTENSIONS; i++)
        if (text_equal_nocase(name, text_of(extension_names[i])))
            return (enum extension)i;
    return EXTENSION_NONE;
}

static bool is_alphanumeric(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9');
}

static bool is_keyword(struct text word) {
    for (size_t i = 0; i < word.length; i++)
        if (!is_alphanumeric(word.data[i]) && (i == 0 || word.data[i] != '-'))
            return false;
    return word.length > 0;
}

static bool is_parameter(struct text word) {
    for (size_t i = 0; i < word.length; i++)
        if (word.data[i] < '!' || word.data[i] > '~')
            return false;
    return word.length > 0;
}

bool extension_line_is_valid(struct text line) {
    struct text word;
    bool valid = !text_ends_nocase(line, TEXT(" ")) && text_split(&line, ' ', &word) && is_keyword(word);

    while (valid && text_split(&line, ' ', &word))
        valid = is_parameter(word);
    return valid;
}
