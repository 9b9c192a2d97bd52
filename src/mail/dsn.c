/* SPDX-License-Identifier: MIT
 * Reading and writing the values of RFC 3461; see dsn.h. Called by receivers on bytes from anybody, after privileges
 * are gone, and by the runner; fails by return value only. */
#include "mail/dsn.h"
#include <stdio.h>
#include <string.h>

static const struct {
    const char *word;
    unsigned bit;
} words[] = {{"NEVER", DSN_NEVER}, {"SUCCESS", DSN_SUCCESS}, {"FAILURE", DSN_FAILURE}, {"DELAY", DSN_DELAY}};

static unsigned bit_of(struct text word) {
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (text_equal_nocase(word, text_of(words[i].word))) {
            return words[i].bit;
        }
    }
    return 0;
}

/* notify-value = "NEVER" / 1#( "SUCCESS" / "FAILURE" / "DELAY" ) */
bool dsn_notify_parse(struct text value, unsigned *notify) {
    struct text word;
    *notify = 0;
    if (value.length == 0 || value.data[value.length - 1] == ',') {
        return false;
    }
    while (text_split(&value, ',', &word)) {
        unsigned bit = bit_of(word);
        if (bit == 0) {
            return false;
        }
        *notify |= bit;
    }
    return (*notify & DSN_NEVER) == 0 || *notify == DSN_NEVER;
}

const char *dsn_notify_text(unsigned notify) {
    static const char *const texts[] = {
        "", "SUCCESS", "FAILURE", "SUCCESS,FAILURE", "DELAY", "SUCCESS,DELAY", "FAILURE,DELAY", "SUCCESS,FAILURE,DELAY",
    };
    return (notify & DSN_NEVER) != 0 ? "NEVER" : texts[notify / DSN_SUCCESS % (sizeof texts / sizeof texts[0])];
}

/* Two upper case digits; -1 otherwise. */
static int hex_value(struct text digits) {
    static const char all[] = "0123456789ABCDEF";
    int value = 0;
    for (size_t i = 0; i < 2; i++) {
        const char *at = i < digits.length ? memchr(all, digits.data[i], 16) : NULL;
        if (at == NULL) {
            return -1;
        }
        value = value * 16 + (int)(at - all);
    }
    return value;
}

/* xtext = *( xchar / hexchar ); xchar = any CHAR from "!" to "~" but "+" and "="; hexchar = "+" and two digits */
bool dsn_xtext_decode(struct text xtext, char *plain, size_t size) {
    size_t length = 0;
    while (xtext.length > 0 && length + 1 < size) {
        bool escaped = xtext.data[0] == '+';
        int value = escaped ? hex_value(text_from(xtext, 1)) : (unsigned char)xtext.data[0];
        if (value < ' ' || value > '~' || (!escaped && (value == ' ' || value == '='))) {
            return false;
        }
        plain[length++] = (char)value;
        xtext = text_from(xtext, escaped ? 3 : 1);
    }
    plain[length] = '\0';
    return xtext.length == 0;
}

bool dsn_xtext_encode(struct text plain, char *xtext, size_t size) {
    size_t length = 0;
    for (size_t i = 0; i < plain.length; i++) {
        unsigned char byte = (unsigned char)plain.data[i];
        bool escape = byte < '!' || byte > '~' || byte == '+' || byte == '=';
        if (length + (escape ? 3 : 1) >= size) {
            return false;
        }
        length += (size_t)snprintf(xtext + length, size - length, escape ? "+%02X" : "%c", byte);
    }
    xtext[length] = '\0';
    return true;
}

bool dsn_envid_is_valid(struct text value) {
    char plain[DSN_ENVID_MAXIMUM + 1];
    return value.length > 0 && dsn_xtext_decode(value, plain, sizeof plain);
}

/* RFC 822 3.3 */
static bool is_atom(struct text word) {
    for (size_t i = 0; i < word.length; i++) {
        if (word.data[i] <= ' ' || word.data[i] > '~' || strchr("()<>@,;:\\\".[]", word.data[i]) != NULL) {
            return false;
        }
    }
    return word.length > 0;
}

bool dsn_orcpt_is_valid(struct text value) {
    char plain[DSN_ORCPT_MAXIMUM + 1];
    size_t separator = text_find(value, ';');
    struct text address = text_from(value, separator + 1);
    return value.length <= DSN_ORCPT_MAXIMUM && is_atom(text_first(value, separator)) && address.length > 0 &&
           dsn_xtext_decode(address, plain, sizeof plain);
}

const char *dsn_orcpt_of(const char *address, char orcpt[DSN_ORCPT_MAXIMUM + 1]) {
    int start = snprintf(orcpt, DSN_ORCPT_MAXIMUM + 1, "rfc822;");
    if (!text_is_printable(text_of(address)) ||
        !dsn_xtext_encode(text_of(address), orcpt + start, DSN_ORCPT_MAXIMUM + 1 - (size_t)start)) {
        orcpt[0] = '\0';
    }
    return orcpt;
}
