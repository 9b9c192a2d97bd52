/* SPDX-License-Identifier: MIT
 * Command lines as a server reads them. Called by receivers on bytes from anybody, after privileges are gone; fails by
 * return value only. Memory: a line that is too long is consumed as it comes, never kept. */
#include "smtp/command_line.h"

void command_line_reader_init(struct command_line_reader *reader, size_t maximum) {
    *reader = (struct command_line_reader){.maximum = maximum, .fault = COMMAND_LINE_ITEM};
}

static void note_fault(struct command_line_reader *reader, enum command_line_result fault) {
    if (reader->fault == COMMAND_LINE_ITEM)
        reader->fault = fault;
}

/* One byte; true when it ends the line. */
static bool take_byte(struct command_line_reader *reader, char byte, char previous, bool last) {
    if (byte == '\n' && previous == '\r')
        return true;
    if (previous == '\r')
        note_fault(reader, COMMAND_LINE_BARE_CR);
    if (byte == '\0')
        note_fault(reader, COMMAND_LINE_NUL);
    if (byte == '\n') {
        note_fault(reader, COMMAND_LINE_BARE_LF);
        return last;
    }
    return false;
}

static enum command_line_result end_line(struct command_line_reader *reader, struct text input, size_t end,
                                         struct text *line, size_t *consumed) {
    enum command_line_result result = reader->fault;

    *consumed = end;
    *line = result == COMMAND_LINE_ITEM ? text_first(input, end - 2) : TEXT_NONE;
    command_line_reader_init(reader, reader->maximum);
    return result;
}

enum command_line_result command_line_next(struct command_line_reader *reader, struct text input, struct text *line,
                                           size_t *consumed) {
    char previous = reader->previous;

    for (size_t i = 0; i < input.length; i++) {
        if (reader->length + i + 1 > reader->maximum)
            note_fault(reader, COMMAND_LINE_TOO_LONG);
        if (take_byte(reader, input.data[i], previous, i + 1 == input.length))
            return end_line(reader, input, i + 1, line, consumed);
        previous = input.data[i];
    }
    *line = TEXT_NONE;
    *consumed = 0;
    if (reader->fault != COMMAND_LINE_ITEM) {
        reader->previous = previous;
        reader->length += input.length;
        *consumed = input.length;
    }
    return COMMAND_LINE_MORE;
}

static size_t find_blank(struct text text) {
    size_t end = 0;

    while (end < text.length && text.data[end] != ' ' && text.data[end] != '\t')
        end++;
    return end;
}

void command_line_split(struct text line, struct text *verb, struct text *argument) {
    struct text trimmed = text_trim(line);
    size_t end = find_blank(trimmed);

    *verb = text_first(trimmed, end);
    *argument = text_trim(text_from(trimmed, end));
}

static bool is_keyword(struct text keyword) {
    for (size_t i = 0; i < keyword.length; i++) {
        char byte = keyword.data[i];
        bool alphanumeric =
            (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9');
        if (!alphanumeric && !(byte == '-' && i > 0))
            return false;
    }
    return keyword.length > 0;
}

/* "any CHAR excluding '=', SP, and control characters"; RFC 6531 3.3 adds UTF-8. */
static bool is_value(struct text value) {
    for (size_t i = 0; i < value.length; i++) {
        unsigned char byte = (unsigned char)value.data[i];
        if (byte <= ' ' || byte == '=' || byte == 0x7f)
            return false;
    }
    return value.length > 0 && text_is_utf8(value);
}

enum command_parameter_result command_parameter_next(struct text *rest, struct command_parameter *parameter) {
    struct text trimmed = text_trim(*rest);

    if (trimmed.length == 0) {
        *rest = trimmed;
        return COMMAND_PARAMETER_END;
    }
    if (trimmed.data == rest->data) /* no blank before it */
        return COMMAND_PARAMETER_BAD;
    size_t end = find_blank(trimmed);
    struct text item = text_first(trimmed, end);
    size_t equals = text_find(item, '=');
    parameter->keyword = text_first(item, equals);
    parameter->has_value = equals < item.length;
    parameter->value = text_from(item, equals + 1);
    *rest = text_from(trimmed, end);
    if (!is_keyword(parameter->keyword) || (parameter->has_value && !is_value(parameter->value)))
        return COMMAND_PARAMETER_BAD;
    return COMMAND_PARAMETER_ITEM;
}
