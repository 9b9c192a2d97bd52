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

/* ---- RFC 6533 3 ---- */

/* The code point of the first character; text is UTF-8. */
static unsigned long first_character(struct text text, size_t *length) {
    unsigned char lead = (unsigned char)text.data[0];
    *length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    unsigned long point = lead < 0x80 ? lead : lead & (0x7fu >> *length);
    for (size_t i = 1; i < *length && i < text.length; i++) {
        point = point << 6 | ((unsigned char)text.data[i] & 0x3f);
    }
    return point;
}

bool dsn_utf8_encode(struct text plain, char *encoded, size_t size) {
    size_t length = 0, step;
    if (!text_is_utf8(plain)) {
        return false;
    }
    for (; plain.length > 0; plain = text_from(plain, step)) {
        unsigned long point = first_character(plain, &step);
        bool same = point > ' ' && point < 0x7f && strchr("\\+=", (int)point) == NULL;
        if (length + sizeof "\\x{10FFFF}" > size) {
            return false;
        }
        length += same ? (size_t)snprintf(encoded + length, size - length, "%c", (int)point)
                       : (size_t)snprintf(encoded + length, size - length, "\\x{%02lX}", point);
    }
    encoded[length] = '\0';
    return true;
}

/* EmbeddedUnicodeChar = "\x{" HEXPOINT "}"; how long it is, or 0. */
static size_t embedded(struct text text, unsigned long *point) {
    static const char digits[] = "0123456789ABCDEF";
    size_t length = 3;
    *point = 0;
    if (!text_equal(text_first(text, 3), TEXT("\\x{"))) {
        return 0;
    }
    for (; length < text.length && length < 9 && text.data[length] != '}'; length++) {
        const char *at = memchr(digits, text.data[length], 16);
        if (at == NULL) {
            return 0;
        }
        *point = *point * 16 + (unsigned long)(at - digits);
    }
    return length >= 5 && length < text.length && text.data[length] == '}' ? length + 1 : 0;
}

static size_t put_character(unsigned long point, char bytes[4]) {
    size_t length = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const unsigned char leads[] = {0, 0x00, 0xc0, 0xe0, 0xf0};
    for (size_t i = length; i-- > 1; point >>= 6) {
        bytes[i] = (char)(0x80 | (point & 0x3f));
    }
    bytes[0] = (char)(leads[length] | point);
    return length;
}

bool dsn_utf8_decode(struct text encoded, char *plain, size_t size) {
    size_t length = 0;
    while (encoded.length > 0 && length + 4 < size) {
        unsigned long point = 0;
        unsigned char byte = (unsigned char)encoded.data[0];
        size_t step = byte == '\\' ? embedded(encoded, &point) : 1;
        if (step == 0 || byte <= ' ' || byte == 0x7f || byte == '+' || byte == '=' || point > 0x10ffff) {
            return false;
        }
        if (step == 1) {
            plain[length++] = encoded.data[0];
        } else {
            length += put_character(point, plain + length);
        }
        encoded = text_from(encoded, step);
    }
    plain[length] = '\0';
    return encoded.length == 0 && strlen(plain) == length && text_is_utf8((struct text){plain, length});
}

static bool is_utf8_type(struct text value) {
    return text_starts_nocase(value, TEXT("utf-8;"));
}

bool dsn_orcpt_address(struct text value, char *plain, size_t size) {
    struct text address = text_from(value, text_find(value, ';') + 1);
    return is_utf8_type(value) ? dsn_utf8_decode(address, plain, size) : dsn_xtext_decode(address, plain, size);
}

bool dsn_orcpt_is_valid(struct text value) {
    char plain[DSN_ORCPT_MAXIMUM + 5];
    return value.length <= DSN_ORCPT_MAXIMUM && is_atom(text_first(value, text_find(value, ';'))) &&
           dsn_orcpt_address(value, plain, sizeof plain) && plain[0] != '\0';
}

/* "utf-8;" and the address. */
static bool put_utf8(const char *address, char orcpt[DSN_ORCPT_MAXIMUM + 1]) {
    const size_t start = sizeof "utf-8;" - 1;
    (void)text_copy(orcpt, DSN_ORCPT_MAXIMUM + 1, TEXT("utf-8;"));
    return dsn_utf8_encode(text_of(address), orcpt + start, DSN_ORCPT_MAXIMUM + 1 - start);
}

const char *dsn_orcpt_ascii(struct text value, char orcpt[DSN_ORCPT_MAXIMUM + 1]) {
    char plain[DSN_ORCPT_MAXIMUM + 5];
    bool ascii = !text_has_eight_bit(value);
    if (ascii ? !text_copy(orcpt, DSN_ORCPT_MAXIMUM + 1, value)
              : !dsn_orcpt_address(value, plain, sizeof plain) || !put_utf8(plain, orcpt)) {
        orcpt[0] = '\0';
    }
    return orcpt;
}

const char *dsn_orcpt_of(const char *address, char orcpt[DSN_ORCPT_MAXIMUM + 1]) {
    const size_t start = sizeof "rfc822;" - 1;
    (void)text_copy(orcpt, DSN_ORCPT_MAXIMUM + 1, TEXT("rfc822;"));
    bool put = text_is_printable(text_of(address))
                   ? dsn_xtext_encode(text_of(address), orcpt + start, DSN_ORCPT_MAXIMUM + 1 - start)
                   : text_has_eight_bit(text_of(address)) && put_utf8(address, orcpt);
    if (!put) {
        orcpt[0] = '\0';
    }
    return orcpt;
}
