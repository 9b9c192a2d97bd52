/* SPDX-License-Identifier: MIT
 * Text views: comparison, cutting, copying, numbers. Called everywhere, any privilege, on untrusted bytes too; no
 * allocation; fails only by return value. Character checks are ASCII and independent of the locale. */
#include "base/text.h"
#include <string.h>

static char lower(char byte) {
    return (char)(byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte);
}

static bool same_nocase(const char *a, const char *b, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (lower(a[i]) != lower(b[i])) {
            return false;
        }
    }
    return true;
}

struct text text_of(const char *string) {
    return string == NULL ? TEXT_NONE : (struct text){string, strlen(string)};
}

bool text_equal(struct text a, struct text b) {
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

bool text_equal_nocase(struct text a, struct text b) {
    return a.length == b.length && same_nocase(a.data, b.data, a.length);
}

bool text_starts_nocase(struct text whole, struct text start) {
    return whole.length >= start.length && same_nocase(whole.data, start.data, start.length);
}

bool text_ends_nocase(struct text whole, struct text end) {
    return whole.length >= end.length && same_nocase(whole.data + (whole.length - end.length), end.data, end.length);
}

size_t text_find(struct text whole, char byte) {
    const char *found = whole.length > 0 ? memchr(whole.data, byte, whole.length) : NULL;
    return found == NULL ? whole.length : (size_t)(found - whole.data);
}

struct text text_from(struct text whole, size_t from) {
    if (from >= whole.length) {
        return (struct text){whole.data + whole.length, 0};
    }
    return (struct text){whole.data + from, whole.length - from};
}

struct text text_first(struct text whole, size_t count) {
    return (struct text){whole.data, count < whole.length ? count : whole.length};
}

static bool is_blank(char byte) {
    return byte == ' ' || byte == '\t';
}

struct text text_trim(struct text whole) {
    while (whole.length > 0 && is_blank(whole.data[0])) {
        whole.data++;
        whole.length--;
    }
    while (whole.length > 0 && is_blank(whole.data[whole.length - 1])) {
        whole.length--;
    }
    return whole;
}

bool text_split(struct text *rest, char separator, struct text *part) {
    if (rest->length == 0) {
        return false;
    }
    size_t end = text_find(*rest, separator);
    *part = text_first(*rest, end);
    *rest = text_from(*rest, end + 1);
    return true;
}

bool text_copy(char *destination, size_t size, struct text source) {
    size_t length = source.length < size ? source.length : size - 1;
    if (length > 0) {
        memcpy(destination, source.data, length);
    }
    destination[length] = '\0';
    return length == source.length;
}

void text_lower(char *string) {
    for (; *string != '\0'; string++) {
        *string = lower(*string);
    }
}

bool text_number(struct text digits, uint64_t maximum, uint64_t *value) {
    uint64_t number = 0;
    if (digits.length == 0) {
        return false;
    }
    for (size_t i = 0; i < digits.length; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9') {
            return false;
        }
        uint64_t digit = (uint64_t)(digits.data[i] - '0');
        if (digit > maximum || number > (maximum - digit) / 10) {
            return false;
        }
        number = number * 10 + digit;
    }
    *value = number;
    return true;
}
