/* SPDX-License-Identifier: MIT
 * What kind of bytes a text holds (printable ASCII, UTF-8), showing any bytes safely, base64. Called everywhere, any
 * privilege, on untrusted bytes; no allocation; fails only by return value. */
#include "base/text.h"
#include <string.h>

static bool is_printable(unsigned char byte) {
    return byte >= 0x20 && byte <= 0x7e;
}

bool text_is_printable(struct text whole) {
    for (size_t i = 0; i < whole.length; i++) {
        if (!is_printable((unsigned char)whole.data[i])) {
            return false;
        }
    }
    return true;
}

bool text_has_eight_bit(struct text whole) {
    for (size_t i = 0; i < whole.length; i++) {
        if ((unsigned char)whole.data[i] >= 0x80) {
            return true;
        }
    }
    return false;
}

/* RFC 3629 4: lengths, and what the second byte may be so that nothing is overlong, a surrogate or past U+10FFFF. */
static const struct utf8_row {
    unsigned char first_low, first_high, second_low, second_high;
    size_t length;
} utf8_rows[] = {
    {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
    {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
    {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

/* Length of the character at the start, 0 when it is none. */
static size_t utf8_character(const unsigned char *bytes, size_t room) {
    for (size_t r = 0; r < sizeof(utf8_rows) / sizeof(utf8_rows[0]); r++) {
        const struct utf8_row *row = &utf8_rows[r];
        if (bytes[0] < row->first_low || bytes[0] > row->first_high) {
            continue;
        }
        if (row->length > room) {
            return 0;
        }
        if (row->length > 1 && (bytes[1] < row->second_low || bytes[1] > row->second_high)) {
            return 0;
        }
        for (size_t i = 2; i < row->length; i++) {
            if ((bytes[i] & 0xc0) != 0x80) {
                return 0;
            }
        }
        return row->length;
    }
    return 0;
}

bool text_is_utf8(struct text whole) {
    for (size_t i = 0; i < whole.length;) {
        size_t length = utf8_character((const unsigned char *)whole.data + i, whole.length - i);
        if (length == 0) {
            return false;
        }
        i += length;
    }
    return true;
}

/* Writes one byte as it is or as \xNN; the count written, 0 when there is no room for it. */
static size_t put_printable(char *at, size_t room, unsigned char byte) {
    static const char hex[] = "0123456789abcdef";
    if (is_printable(byte)) {
        if (room < 1) {
            return 0;
        }
        *at = (char)byte;
        return 1;
    }
    if (room < 4) {
        return 0;
    }
    at[0] = '\\';
    at[1] = 'x';
    at[2] = hex[byte >> 4];
    at[3] = hex[byte & 15];
    return 4;
}

const char *text_printable(char *destination, size_t size, struct text source) {
    size_t room = size - 1; /* for the NUL */
    size_t used = 0;
    size_t cut = 0; /* the longest prefix behind which "..." still fits */
    for (size_t i = 0; i < source.length; i++) {
        if (used + 3 <= room) {
            cut = used;
        }
        size_t put = put_printable(destination + used, room - used, (unsigned char)source.data[i]);
        if (put == 0) {
            size_t dots = room - cut < 3 ? room - cut : 3;
            memset(destination + cut, '.', dots);
            used = cut + dots;
            break;
        }
        used += put;
    }
    destination[used] = '\0';
    return destination;
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int base64_value(char byte) {
    const char *found = byte != '\0' ? strchr(base64_digits, byte) : NULL;
    return found == NULL ? -1 : (int)(found - base64_digits);
}

/* Four characters give one to three bytes; 0 when they are not base64. Padding only where `last`. */
static size_t base64_quantum(const char *four, bool last, unsigned char three[3]) {
    size_t digits = 4;
    if (last && four[3] == '=') {
        digits = four[2] == '=' ? 2 : 3;
    }
    uint32_t bits = 0;
    for (size_t i = 0; i < 4; i++) {
        int value = i < digits ? base64_value(four[i]) : 0;
        if (value < 0) {
            return 0;
        }
        bits = bits << 6 | (uint32_t)value;
    }
    three[0] = (unsigned char)(bits >> 16);
    three[1] = (unsigned char)(bits >> 8);
    three[2] = (unsigned char)bits;
    /* RFC 4648 3.5: pad bits that are not zero would give one value two spellings. */
    if ((digits == 2 && three[1] != 0) || (digits == 3 && three[2] != 0)) {
        return 0;
    }
    return digits - 1;
}

bool text_base64_decode(struct text encoded, char *destination, size_t size, size_t *length) {
    size_t used = 0;
    if (encoded.length % 4 != 0) {
        return false;
    }
    for (size_t i = 0; i < encoded.length; i += 4) {
        unsigned char three[3];
        size_t count = base64_quantum(encoded.data + i, i + 4 == encoded.length, three);
        if (count == 0 || count > size - used) {
            return false;
        }
        memcpy(destination + used, three, count);
        used += count;
    }
    *length = used;
    return true;
}

bool text_base64_encode(struct text plain, char *destination, size_t size) {
    const unsigned char *bytes = (const unsigned char *)plain.data;
    size_t at = 0;
    if (size == 0 || plain.length / 3 + (plain.length % 3 != 0) > (size - 1) / 4) {
        return false;
    }
    for (size_t i = 0; i < plain.length; i += 3) {
        size_t count = plain.length - i < 3 ? plain.length - i : 3;
        uint32_t bits = (uint32_t)bytes[i] << 16;
        bits |= count > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
        bits |= count > 2 ? bytes[i + 2] : 0;
        destination[at++] = base64_digits[bits >> 18];
        destination[at++] = base64_digits[bits >> 12 & 63];
        destination[at++] = count > 1 ? base64_digits[bits >> 6 & 63] : '=';
        destination[at++] = count > 2 ? base64_digits[bits & 63] : '=';
    }
    destination[at] = '\0';
    return true;
}
