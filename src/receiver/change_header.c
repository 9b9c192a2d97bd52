/* SPDX-License-Identifier: MIT
 * Changes to header and body of the message in hand. Called by change.c and by those who join in, confined. Values come
 * from other programs: they become fields and lines of RFC 5322, or are refused and logged. */
#include "base/log.h"
#include "mail/header.h"
#include "receiver/change_private.h"
#include <string.h>

#define NAME_MAXIMUM 128
#define VALUE_MAXIMUM (64u * 1024)
#define LINES_AT_ONCE (16u * 1024)

static enum change_outcome refuse(const char *what, struct text name) {
    char shown[256];

    log_error("the header is not changed: %s: %s", what, text_printable(shown, sizeof shown, name));
    return CHANGE_REFUSED;
}

static bool is_name(struct text name) {
    for (size_t i = 0; i < name.length; i++)
        if (name.data[i] <= 32 || name.data[i] >= 127 || name.data[i] == ':') /* RFC 5322 2.2 */
            return false;
    return name.length > 0 && name.length <= NAME_MAXIMUM;
}

static bool is_blank(struct text line) {
    return text_trim(line).length == 0;
}

/* Off the front of *rest, ended by CR LF, LF or CR. */
static struct text take_line(struct text *rest) {
    size_t cr = text_find(*rest, '\r'), lf = text_find(*rest, '\n');
    struct text line = text_first(*rest, cr < lf ? cr : lf);

    *rest = text_from(*rest, line.length + (cr + 1 == lf ? 2 : 1));
    return line;
}

/* "Name: value" with the lines of a folded value; one without anything in it would end the header. */
static bool append_field(struct buffer *section, struct text name, struct text value) {
    bool fits = buffer_append_text(section, name) && buffer_append_byte(section, ':');
    bool first = true;

    do {
        struct text line = take_line(&value);
        if (!first && is_blank(line))
            continue;
        bool blank_first = line.length > 0 && (line.data[0] == ' ' || line.data[0] == '\t');
        fits = fits &&
               buffer_append_string(section, blank_first ? ""
                                             : first     ? " "
                                                         : "\t") &&
               buffer_append_text(section, line) && buffer_append_string(section, "\r\n");
        first = false;
    } while (value.length > 0);
    return fits;
}

/* The section with the change made. *found: the field that is meant is there. */
static bool rewrite(struct text section, const struct change *change, struct buffer *changed, bool *found) {
    struct header_field field;
    uint32_t before = 0;
    bool fits = true;

    while (fits && header_next(&section, &field)) {
        bool counts = change->place == CHANGE_AT_PLACE ||
                      (change->place == CHANGE_NTH_OF_NAME && text_equal_nocase(field.name, change->first));
        bool here = counts && !*found && before == change->number;
        before += counts;
        *found = *found || here;
        if (here && (change->place == CHANGE_AT_PLACE || change->second.length > 0))
            fits = append_field(changed, change->first, change->second);
        if (!here || change->place == CHANGE_AT_PLACE)
            fits = fits && buffer_append_text(changed, field.whole);
    }
    return fits;
}

/* The last chunk of a BDAT may end within the header: what follows it begins a line of its own. */
static bool end_last_line(struct message *message) {
    struct text section = message_header(message);
    struct buffer ended;

    if (section.length == 0 || section.data[section.length - 1] == '\n')
        return true;
    buffer_init_wiped(&ended, MESSAGE_HEADER_MAXIMUM);
    bool fits = buffer_append_text(&ended, section) && buffer_append_string(&ended, "\r\n") &&
                message_set_header(message, buffer_text(&ended));
    buffer_free(&ended);
    return fits;
}

enum change_outcome change_header_make(struct session *session, const struct change *change) {
    struct message *message = &session->transaction.message;
    bool removes = change->place == CHANGE_NTH_OF_NAME && change->second.length == 0, found = false;
    struct buffer changed;

    buffer_init_wiped(&changed, MESSAGE_HEADER_MAXIMUM);
    bool fits = end_last_line(message) && rewrite(message_header(message), change, &changed, &found);
    if (!found && !removes)
        fits = fits && append_field(&changed, change->first, change->second);
    fits = fits && message_set_header(message, buffer_text(&changed));
    if (text_has_eight_bit(change->second) && session->transaction.envelope.body < BODY_8BITMIME)
        session->transaction.envelope.body = BODY_8BITMIME; /* a binary body stays one */
    buffer_free(&changed);
    if (!fits)
        return refuse("it would be too large", change->first);
    log_debug("header changed: %.*s", TEXT_ARGS(change->first));
    return CHANGE_DONE;
}

static enum change_outcome change_field(struct session *session, enum change_place place, uint32_t number,
                                        struct text name, struct text value) {
    if (!is_name(name))
        return refuse("no name of a field", name);
    if (value.length > VALUE_MAXIMUM || text_find(value, '\0') < value.length)
        return refuse("the value is too long, or holds a NUL", name);
    return change_make(session, &(struct change){CHANGE_HEADER, place, number, name, value});
}

enum change_outcome change_add_header(struct session *session, struct text name, struct text value) {
    return change_field(session, CHANGE_AT_END, 0, name, value);
}

bool change_has_header(const struct session *session, struct text name, struct text value) {
    const struct changes *waiting = session->changes;
    struct text section = message_header(&session->transaction.message);
    struct header_field field;

    for (size_t i = 0; waiting != NULL && i < waiting->count; i++) {
        const struct change *change = &waiting->items[i];
        if (change->kind == CHANGE_HEADER && text_equal_nocase(change->first, name) &&
            text_equal(change->second, value))
            return true;
    }
    while (session->transaction.open && header_next(&section, &field))
        if (text_equal_nocase(field.name, name) && text_equal(text_trim(field.value), value))
            return true;
    return false;
}

enum change_outcome change_insert_header(struct session *session, uint32_t place, struct text name, struct text value) {
    return change_field(session, CHANGE_AT_PLACE, place, name, value);
}

enum change_outcome change_replace_header(struct session *session, uint32_t nth, struct text name, struct text value) {
    return change_field(session, CHANGE_NTH_OF_NAME, nth > 0 ? nth - 1 : 0, name, value);
}

/* ---- the body ---- */

static enum change_outcome outcome_of(const struct message *message) {
    return message->problem == MESSAGE_OK ? CHANGE_DONE : CHANGE_TEMPFAIL;
}

enum change_outcome change_begin_body(struct session *session) {
    if (!session->transaction.changeable)
        return refuse("the body has not come yet", TEXT_NONE);
    if (!end_last_line(&session->transaction.message))
        return CHANGE_TEMPFAIL;
    message_drop_body(&session->transaction.message);
    change_list(session)->body_end = '\n';
    return outcome_of(&session->transaction.message);
}

/* A lone CR or LF becomes the CR LF that it stands for: nothing else may leave this server. */
enum change_outcome change_body(struct session *session, struct text piece) {
    struct transaction *transaction = &session->transaction;
    char last = change_list(session)->body_end;
    struct buffer lines;

    if (text_find(piece, '\0') < piece.length)
        return refuse("the new body holds a NUL", TEXT_NONE);
    if (text_has_eight_bit(piece))
        transaction->envelope.body = BODY_8BITMIME;
    buffer_init(&lines, 2 * LINES_AT_ONCE);
    for (size_t i = 0; i < piece.length; i++) {
        char byte = piece.data[i];
        if (last == '\r' ? byte != '\n' : byte == '\n')
            (void)buffer_append_byte(&lines, last == '\r' ? '\n' : '\r');
        (void)buffer_append_byte(&lines, byte);
        last = byte;
        if (lines.length >= LINES_AT_ONCE || i + 1 == piece.length) {
            message_write(&transaction->message, buffer_text(&lines), 0);
            buffer_clear(&lines);
        }
    }
    buffer_free(&lines);
    change_list(session)->body_end = last;
    return outcome_of(&transaction->message);
}

enum change_outcome change_end_body(struct session *session) {
    struct message *message = &session->transaction.message;
    char last = change_list(session)->body_end;

    if (last != '\n')
        message_write(message, last == '\r' ? TEXT("\n") : TEXT("\r\n"), 0);
    return outcome_of(message);
}
