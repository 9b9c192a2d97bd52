/* SPDX-License-Identifier: MIT
 * Writing JSON, see json.h. Called by the subcommands that take --json. */
#include "control/json.h"
#include <string.h>

/* The UTF-8 sequence that begins here: its length and code point; 0 when it is none (RFC 3629). */
static size_t decode(struct text rest, uint32_t *point) {
    unsigned char first = (unsigned char)rest.data[0];
    size_t length = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf8 ? 4 : 0;
    if (length == 0 || length > rest.length || !text_is_utf8(text_first(rest, length))) {
        return 0;
    }
    *point = length == 1 ? first : first & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        *point = *point << 6 | ((unsigned char)rest.data[i] & 0x3fu);
    }
    return length;
}

static void put_point(FILE *out, uint32_t point) {
    if (point == '"' || point == '\\') {
        fprintf(out, "\\%c", (int)point);
    } else if (point >= 0x20 && point < 0x7f) {
        fputc((int)point, out);
    } else if (point < 0x10000) {
        fprintf(out, "\\u%04x", (unsigned)point);
    } else {
        fprintf(out, "\\u%04x\\u%04x", (unsigned)(0xd800 + ((point - 0x10000) >> 10)),
                (unsigned)(0xdc00 + ((point - 0x10000) & 0x3ff)));
    }
}

void json_string(FILE *out, struct text value) {
    fputc('"', out);
    while (value.length > 0) {
        uint32_t point = 0xfffd;
        size_t length = decode(value, &point);
        put_point(out, point);
        value = text_from(value, length > 0 ? length : 1);
    }
    fputc('"', out);
}

void json_row(FILE *out, const struct report_row *row) {
    fputc('{', out);
    for (size_t i = 0; i < row->count; i++) {
        fputs(i > 0 ? ", " : "", out);
        json_string(out, text_of(row->names[i]));
        fputs(": ", out);
        if (row->kinds[i] == REPORT_TEXT) {
            json_string(out, text_of(row->values[i]));
        } else {
            fputs(row->kinds[i] == REPORT_NULL ? "null" : row->values[i], out);
        }
    }
    fputc('}', out);
}

void json_array_begin(struct json_array *array, FILE *out) {
    *array = (struct json_array){.out = out};
    fputc('[', out);
}

bool json_array_row(void *context, const struct report_row *row) {
    struct json_array *array = context;
    fputs(array->count++ > 0 ? ",\n " : "\n ", array->out);
    json_row(array->out, row);
    return true;
}

void json_array_end(struct json_array *array) {
    fputs(array->count > 0 ? "\n]" : "]", array->out);
}
