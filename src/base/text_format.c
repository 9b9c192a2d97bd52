/* SPDX-License-Identifier: MIT
 * snprintf for what this program writes over and over: replies, log lines, header fields. Called everywhere, any
 * privilege; allocates nothing. The C library's would be a third of what a receiver computes, and touches a dozen pages
 * that nothing else in a session does; it still writes whatever this one does not know. */
#include "base/text.h"
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NUMBER_SIZE 24 /* 64 bits in decimal, with a sign */
#define WIDTH_MAXIMUM 64

struct written {
    char *bytes;
    size_t size;   /* with the NUL */
    size_t length; /* as it would be with room for all */
};

struct conversion {
    char fill; /* ' ' or '0' */
    size_t width, precision;
    bool precision_follows; /* ".*": an int of its own */
    unsigned longs;         /* of "l", "ll"; "z" is one */
};

static void put(struct written *written, const char *bytes, size_t length) {
    if (written->length < written->size) {
        size_t room = written->size - written->length;
        memcpy(written->bytes + written->length, bytes, length < room ? length : room);
    }
    written->length += length;
}

static void put_number(struct written *written, const struct conversion *how, uint64_t number, unsigned base,
                       bool negative) {
    char digits[WIDTH_MAXIMUM + NUMBER_SIZE];
    size_t at = sizeof digits, least = sizeof digits - how->width;
    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0);
    while (how->fill == '0' && at > least + negative) {
        digits[--at] = '0';
    }
    if (negative) {
        digits[--at] = '-';
    }
    while (at > least) {
        digits[--at] = ' ';
    }
    put(written, digits + at, sizeof digits - at);
}

/* Reads "[0][width][.precision][l|ll|z]"; the position of the letter behind it. A width that is too large for
 * put_number, and flags, leave a letter that nobody knows. */
static const char *read_conversion(const char *at, struct conversion *how) {
    *how = (struct conversion){.fill = *at == '0' ? '0' : ' ', .precision = SIZE_MAX};
    for (; *at >= '0' && *at <= '9' && how->width < WIDTH_MAXIMUM / 10; at++) {
        how->width = how->width * 10 + (size_t)(*at - '0');
    }
    how->precision_follows = at[0] == '.' && at[1] == '*';
    if (how->precision_follows) {
        at += 2;
    } else if (*at == '.') {
        how->precision = 0;
        for (at++; *at >= '0' && *at <= '9'; at++) {
            how->precision = how->precision * 10 + (size_t)(*at - '0');
        }
    }
    for (; *at == 'l' || *at == 'z'; at++) {
        how->longs++;
    }
    return at;
}

static bool put_string(struct written *written, const struct conversion *how, const char *string) {
    const char *shown = string != NULL ? string : "(null)";
    put(written, shown, strnlen(shown, how->precision));
    return how->width == 0 && how->longs == 0;
}

static bool put_signed(struct written *written, const struct conversion *how, long long number) {
    put_number(written, how, number < 0 ? -(uint64_t)number : (uint64_t)number, 10, number < 0);
    return how->precision == SIZE_MAX;
}

static bool put_unsigned(struct written *written, const struct conversion *how, unsigned long long number,
                         unsigned base) {
    put_number(written, how, number, base, false);
    return how->precision == SIZE_MAX;
}

/* Up to the first conversion that is not known: false. */
static bool write_all(struct written *written, const char *format, va_list list) {
    bool known = true;
    for (const char *mark; known && (mark = strchr(format, '%')) != NULL;) {
        struct conversion how;
        put(written, format, (size_t)(mark - format));
        format = read_conversion(mark + 1, &how);
        if (how.precision_follows) {
            int precision = va_arg(list, int);
            how.precision = precision < 0 ? SIZE_MAX : (size_t)precision;
        }
        switch (*format++) {
        case 's':
            known = put_string(written, &how, va_arg(list, const char *));
            break;
        case 'd':
            known = put_signed(written, &how,
                               how.longs == 0   ? va_arg(list, int)
                               : how.longs == 1 ? va_arg(list, long)
                                                : va_arg(list, long long));
            break;
        case 'u':
        case 'x':
            known = put_unsigned(written, &how,
                                 how.longs == 0   ? va_arg(list, unsigned)
                                 : how.longs == 1 ? va_arg(list, unsigned long)
                                                  : va_arg(list, unsigned long long),
                                 format[-1] == 'x' ? 16 : 10);
            break;
        case '%':
            put(written, "%", 1);
            break;
        default:
            return false;
        }
    }
    if (known) {
        put(written, format, strlen(format));
    }
    return known;
}

int text_format_list(char *destination, size_t size, const char *format, va_list list) {
    struct written written = {destination, size, 0};
    va_list copy;
    va_copy(copy, list);
    bool known = write_all(&written, format, copy);
    va_end(copy);
    if (!known || written.length > INT_MAX) {
        return vsnprintf(destination, size, format, list);
    }
    if (size > 0) {
        destination[written.length < size ? written.length : size - 1] = '\0';
    }
    return (int)written.length;
}

int text_format(char *destination, size_t size, const char *format, ...) {
    va_list list;
    va_start(list, format);
    int length = text_format_list(destination, size, format, list);
    va_end(list);
    return length;
}
