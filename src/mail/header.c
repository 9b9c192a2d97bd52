/* SPDX-License-Identifier: MIT
 * The header section of a message (RFC 5322 2.2), read in place. Called by receivers, ledger and agents on untrusted
 * messages; no I/O; fails only by return value. Lines end at LF, as ours all end in CRLF. */
#include "mail/header.h"
#include <string.h>

static bool is_blank(char byte) {
    return byte == ' ' || byte == '\t';
}

/* Length of the first line with its end; everything when the last line has none. */
static size_t line_length(struct text text) {
    size_t end = text_find(text, '\n');
    return end < text.length ? end + 1 : end;
}

/* Position of the colon when the line begins a field: RFC 5322 2.2 ftext, with the blanks before the colon that its 4.5
 * still has to be read with. 0 otherwise. */
static size_t find_colon(struct text line, size_t *name_length) {
    size_t at = 0;
    while (at < line.length && line.data[at] > 32 && line.data[at] < 127 && line.data[at] != ':') {
        at++;
    }
    *name_length = at;
    while (at < line.length && is_blank(line.data[at])) {
        at++;
    }
    return *name_length > 0 && at < line.length && line.data[at] == ':' ? at : 0;
}

/* Length of the field at the start with its continuation lines; 0 when there is none. */
static size_t field_length(struct text text, size_t *name_length, size_t *colon) {
    size_t length = line_length(text);
    *colon = find_colon(text_first(text, length), name_length);
    if (*colon == 0) {
        return 0;
    }
    while (length < text.length && is_blank(text.data[length])) {
        length += line_length(text_from(text, length));
    }
    return length;
}

size_t header_section_length(struct text message) {
    size_t total = 0;
    for (;;) {
        size_t name_length, colon;
        size_t length = field_length(text_from(message, total), &name_length, &colon);
        if (length == 0) {
            return total;
        }
        total += length;
    }
}

static struct text without_line_end(struct text text) {
    if (text.length > 0 && text.data[text.length - 1] == '\n') {
        text.length--;
    }
    if (text.length > 0 && text.data[text.length - 1] == '\r') {
        text.length--;
    }
    return text;
}

bool header_next(struct text *section, struct header_field *field) {
    size_t name_length, colon;
    size_t length = field_length(*section, &name_length, &colon);
    if (length == 0) {
        return false;
    }
    field->whole = text_first(*section, length);
    field->name = text_first(*section, name_length);
    field->value = without_line_end(text_from(field->whole, colon + 1));
    while (field->value.length > 0 && is_blank(field->value.data[0])) {
        field->value = text_from(field->value, 1);
    }
    *section = text_from(*section, length);
    return true;
}

bool header_find(struct text section, const char *name, struct header_field *field) {
    while (header_next(&section, field)) {
        if (text_equal_nocase(field->name, text_of(name))) {
            return true;
        }
    }
    return false;
}

unsigned header_count(struct text section, const char *name) {
    struct header_field field;
    unsigned count = 0;
    while (header_next(&section, &field)) {
        count += text_equal_nocase(field.name, text_of(name));
    }
    return count;
}

/* RFC 5322 2.2.3: unfolding removes any CRLF that is followed by a blank, and nothing else. */
bool header_value(const struct header_field *field, char *value, size_t size) {
    struct text raw = field->value;
    size_t used = 0;
    bool whole = true;
    for (size_t i = 0; i < raw.length; i++) {
        char byte = raw.data[i];
        bool line_end = byte == '\n' || (byte == '\r' && i + 1 < raw.length && raw.data[i + 1] == '\n');
        if (line_end || (used == 0 && is_blank(byte))) {
            continue;
        }
        if (used + 1 >= size) {
            whole = false;
            break;
        }
        value[used++] = byte;
    }
    while (used > 0 && is_blank(value[used - 1])) {
        used--;
    }
    value[used] = '\0';
    return whole;
}
