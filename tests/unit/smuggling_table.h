/* SPDX-License-Identifier: MIT
 * For the tests of smuggling: every string over CR, LF, NUL, '.' and 'x', and an independent reading of mail data: RFC
 * 5321 4.1.1.4 and 4.5.2 as a search for CRLF.CRLF and a split into lines, with everything there at once. */
#ifndef TESTS_SMUGGLING_TABLE_H
#define TESTS_SMUGGLING_TABLE_H
#include "smtp/data_decoder.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALGRIND_MAXIMUM 3
#define ROOM 512
#define END "\r\n.\r\n"

static const char alphabet[] = {'\r', '\n', '\0', '.', 'x'};

struct bytes {
    char data[ROOM];
    size_t length;
};

static void put(struct bytes *bytes, const char *data, size_t length) {
    if (length > ROOM - bytes->length)
        abort();
    memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
}

/* ---- the independent reading ---- */

struct reading {
    size_t end;            /* of the data, behind CRLF.CRLF */
    enum data_fault fault; /* in the data: the first */
    struct bytes message;  /* dots taken away; with normalise: every line end CRLF */
};

static enum data_fault first_fault(const char *data, size_t length) {
    for (size_t i = 0; i < length; i++) {
        bool pair = data[i] == '\r' && i + 1 < length && data[i + 1] == '\n';
        if (data[i] == '\0')
            return DATA_FAULT_NUL;
        if (data[i] == '\n')
            return DATA_FAULT_BARE_LF;
        if (data[i] == '\r' && !pair)
            return DATA_FAULT_BARE_CR;
        i += pair;
    }
    return DATA_FAULT_NONE;
}

/* One line without its CRLF: a leading dot goes, bare CR and LF become CRLF. */
static void put_line(struct bytes *message, const char *line, size_t length, bool normalise) {
    size_t from = length > 0 && line[0] == '.' ? 1 : 0;

    for (size_t i = from; i < length; i++) {
        if (normalise && (line[i] == '\r' || line[i] == '\n'))
            put(message, "\r\n", 2);
        else
            put(message, line + i, 1);
    }
    put(message, "\r\n", 2);
}

/* The data as if a CRLF stood before it: RFC 5321 4.1.1.4, the first line may be the end. */
static struct reading read_whole(const char *data, size_t length, bool normalise) {
    struct reading reading;
    char whole[ROOM + 2];

    reading.message.length = 0;
    memcpy(whole, "\r\n", 2);
    memcpy(whole + 2, data, length);
    const char *found = memmem(whole, length + 2, END, sizeof END - 1);
    assert_non_null(found);
    reading.end = (size_t)(found - whole) + sizeof END - 1 - 2;
    size_t content = reading.end - 3; /* less ".CRLF" */
    reading.fault = first_fault(data, content);
    if (normalise && reading.fault != DATA_FAULT_NONE)
        reading.fault = memchr(data, '\0', content) == NULL ? DATA_FAULT_NONE : DATA_FAULT_NUL;
    for (size_t at = 0; at < content;) {
        const char *line_end = memmem(data + at, content - at, "\r\n", 2);
        assert_non_null(line_end);
        put_line(&reading.message, data + at, (size_t)(line_end - data) - at, normalise);
        at = (size_t)(line_end - data) + 2;
    }
    return reading;
}

/* ---- every string ---- */

/* The number-th string of this length. */
static void make_string(size_t number, size_t length, struct bytes *string) {
    string->length = 0;
    for (size_t i = 0; i < length; i++, number /= sizeof alphabet)
        put(string, &alphabet[number % sizeof alphabet], 1);
}

static size_t count_strings(size_t length) {
    size_t count = 1;

    while (length-- > 0)
        count *= sizeof alphabet;
    return count;
}

static void for_each_string(size_t maximum, void (*check)(const struct bytes *string)) {
    struct bytes string;

    if (getenv("PARCELPOST_VALGRIND") != NULL && maximum > VALGRIND_MAXIMUM)
        maximum = VALGRIND_MAXIMUM;
    for (size_t length = 0; length <= maximum; length++)
        for (size_t number = 0; number < count_strings(length); number++) {
            make_string(number, length, &string);
            check(&string);
        }
}

static _Noreturn void tell(const struct bytes *string, size_t splits, const char *what) {
    char shown[4 * ROOM + 1];
    size_t at = 0;

    for (size_t i = 0; i < string->length; i++)
        at += (size_t)snprintf(shown + at, sizeof shown - at, "\\x%02x", (unsigned char)string->data[i]);
    fail_msg("%s: %s, splits %zx", shown, what, splits);
    abort();
}

#endif
