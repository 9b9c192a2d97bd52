/* SPDX-License-Identifier: MIT
 * Replies of SMTP and LMTP (RFC 5321 4.2), made and read. Called by receivers and agents, on untrusted replies of other
 * servers too; no I/O; fails only by return value. */
#include "mail/reply.h"
#include <string.h>

#define REPLY_LINE_MAXIMUM 512 /* RFC 5321 4.5.3.1.5, with CRLF */

void reply_set(struct reply *reply, unsigned code, const char *enhanced, const char *format, ...) {
    va_list list;
    va_start(list, format);
    reply_set_list(reply, code, enhanced, format, list);
    va_end(list);
}

void reply_set_list(struct reply *reply, unsigned code, const char *enhanced, const char *format, va_list list) {
    reply->code = code;
    text_copy(reply->enhanced, sizeof reply->enhanced, text_of(enhanced));
    (void)text_format_list(reply->text, sizeof reply->text, format, list);
}

/* Copies with what would end or garble a line shown as '?'; tabs and bytes of UTF-8 stay. */
static bool append_harmless(struct buffer *wire, struct text line) {
    char *at = buffer_reserve(wire, line.length);
    if (at == NULL) {
        return false;
    }
    for (size_t i = 0; i < line.length; i++) {
        unsigned char byte = (unsigned char)line.data[i];
        at[i] = (byte < 0x20 && byte != '\t') || byte == 0x7f ? '?' : line.data[i];
    }
    buffer_advance(wire, line.length);
    return true;
}

static bool append_line(const struct reply *reply, struct text line, bool more, struct buffer *wire) {
    const char code[] = {(char)('0' + reply->code / 100 % 10), (char)('0' + reply->code / 10 % 10),
                         (char)('0' + reply->code % 10), more ? '-' : ' '};
    bool fits = buffer_append(wire, code, sizeof code);
    if (reply->enhanced[0] != '\0') {
        fits = fits && buffer_append_string(wire, reply->enhanced) && buffer_append_byte(wire, ' ');
    }
    return fits && append_harmless(wire, line) && buffer_append_text(wire, TEXT("\r\n"));
}

/* Takes the next line's text off *rest; one that is too long goes on in the next line. */
static struct text take_line(struct text *rest, size_t room) {
    size_t end = text_find(*rest, '\n');
    struct text line = text_first(*rest, end < room ? end : room);
    *rest = text_from(*rest, line.length < end ? line.length : end + 1);
    return line;
}

bool reply_format(const struct reply *reply, struct buffer *wire) {
    struct text rest = text_of(reply->text);
    size_t before = wire->length;
    size_t room = REPLY_LINE_MAXIMUM - strlen("250-") - strlen(reply->enhanced) - strlen(" \r\n");
    do {
        struct text line = take_line(&rest, room);
        if (!append_line(reply, line, rest.length > 0, wire)) {
            wire->length = before; /* all or nothing */
            return false;
        }
    } while (rest.length > 0);
    return true;
}

const char *reply_line(const struct reply *reply, char *destination, size_t size) {
    const char *gap = reply->enhanced[0] != '\0' ? " " : "";
    text_format(destination, size, "%03u %s%s%s", reply->code % 1000, reply->enhanced, gap, reply->text);
    for (char *at = destination; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f) {
            *at = ' ';
        }
    }
    return destination;
}

static bool is_digit(char byte, char low, char high) {
    return byte >= low && byte <= high;
}

/* RFC 5321 4.2: Reply-code = %x32-35 %x30-35 %x30-39, then "-", SP, or the end of the line. */
bool reply_parse_line(struct text line, unsigned *code, bool *more, struct text *text) {
    if (line.length < 3 || !is_digit(line.data[0], '2', '5') || !is_digit(line.data[1], '0', '5') ||
        !is_digit(line.data[2], '0', '9')) {
        return false;
    }
    if (line.length > 3 && line.data[3] != ' ' && line.data[3] != '-') {
        return false;
    }
    *code = (unsigned)(line.data[0] - '0') * 100 + (unsigned)(line.data[1] - '0') * 10 + (unsigned)(line.data[2] - '0');
    *more = line.length > 3 && line.data[3] == '-';
    *text = text_from(line, 4);
    return true;
}

/* One to three digits at `at`; the position behind them, or 0 when there are none. */
static size_t skip_number(struct text text, size_t at) {
    size_t end = at;
    while (end < text.length && end - at < 3 && is_digit(text.data[end], '0', '9')) {
        end++;
    }
    return end > at ? end : 0;
}

/* RFC 3463 2: class "." subject "." detail, class 2, 4 or 5; the length, or 0. */
static size_t enhanced_length(struct text text) {
    if (text.length < 5 || (text.data[0] != '2' && text.data[0] != '4' && text.data[0] != '5') || text.data[1] != '.') {
        return 0;
    }
    size_t subject = skip_number(text, 2);
    if (subject == 0 || subject >= text.length || text.data[subject] != '.') {
        return 0;
    }
    size_t detail = skip_number(text, subject + 1);
    return detail == text.length || (detail > 0 && text.data[detail] == ' ') ? detail : 0;
}

void reply_split_enhanced(struct text *text, char enhanced[12]) {
    size_t length = enhanced_length(*text);
    text_copy(enhanced, 12, text_first(*text, length));
    if (length > 0) {
        *text = text_from(*text, length + 1);
    }
}
