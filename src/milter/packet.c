/* SPDX-License-Identifier: MIT
 * Writing and reading packets of the milter protocol. Called by receivers, confined, on bytes from programs that the
 * operator named and nobody proved right. No I/O; fails by return value. */
#include "milter/packet.h"
#include <string.h>

static uint32_t read_number(const char *bytes) {
    const unsigned char *at = (const unsigned char *)bytes;
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put_number(char *bytes, uint32_t number) {
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (char)(number >> (24 - 8 * i));
}

/* ---- reading ---- */

enum milter_result milter_packet_next(struct text bytes, struct milter_packet *packet, size_t *used) {
    if (bytes.length < 4)
        return MILTER_MORE;
    uint32_t length = read_number(bytes.data);
    if (length == 0 || length > MILTER_PACKET_MAXIMUM)
        return MILTER_BAD;
    if (bytes.length - 4 < length)
        return MILTER_MORE;
    packet->command = bytes.data[4];
    packet->data = (struct text){bytes.data + MILTER_HEAD_SIZE, length - 1};
    *used = 4 + (size_t)length;
    return MILTER_PACKET;
}

static bool take_number(struct text *rest, uint32_t *number) {
    if (rest->length < 4)
        return false;
    *number = read_number(rest->data);
    *rest = text_from(*rest, 4);
    return true;
}

/* Ended by NUL. */
static bool take_string(struct text *rest, struct text *string) {
    size_t end = text_find(*rest, '\0');

    if (end == rest->length)
        return false;
    *string = text_first(*rest, end);
    *rest = text_from(*rest, end + 1);
    return true;
}

bool milter_options_parse(const struct milter_packet *packet, const struct milter_options *offered,
                          struct milter_options *options) {
    struct text rest = packet->data;

    *options = (struct milter_options){.version = 0};
    if (packet->command != MILTER_OPTNEG || !take_number(&rest, &options->version) ||
        !take_number(&rest, &options->actions) || !take_number(&rest, &options->steps))
        return false;
    if (options->version < 2 || options->version > offered->version || (options->actions & ~offered->actions) != 0 ||
        (options->steps & ~offered->steps) != 0)
        return false;
    while (rest.length > 0) {
        uint32_t stage;
        struct text names;
        if (!take_number(&rest, &stage) || stage >= MILTER_MACRO_STAGES || !take_string(&rest, &names))
            return false;
        options->named[stage] = true;
        options->macros[stage] = names;
    }
    return true;
}

/* What stands in an answer's data. */
enum form { FORM_NOTHING, FORM_STRING, FORM_PAIR, FORM_PAIR_OPTIONAL, FORM_NUMBERED_PAIR, FORM_BYTES };
static const struct answer_row {
    enum milter_answer_kind kind;
    enum form form;
    uint32_t action; /* 0: a verdict */
} rows[] = {
    {MILTER_CONTINUE, FORM_NOTHING, 0},
    {MILTER_ACCEPT, FORM_NOTHING, 0},
    {MILTER_REJECT, FORM_NOTHING, 0},
    {MILTER_TEMPFAIL, FORM_NOTHING, 0},
    {MILTER_DISCARD, FORM_NOTHING, 0},
    {MILTER_REPLY, FORM_STRING, 0},
    {MILTER_SKIP, FORM_NOTHING, 0},
    {MILTER_PROGRESS, FORM_NOTHING, 0},
    {MILTER_CONN_FAIL, FORM_NOTHING, 0},
    {MILTER_SHUTDOWN, FORM_NOTHING, 0},
    {MILTER_ADD_HEADER, FORM_PAIR, MILTER_MAY_ADD_HEADERS},
    {MILTER_INSERT_HEADER, FORM_NUMBERED_PAIR, MILTER_MAY_ADD_HEADERS},
    {MILTER_CHANGE_HEADER, FORM_NUMBERED_PAIR, MILTER_MAY_CHANGE_HEADERS},
    {MILTER_CHANGE_SENDER, FORM_PAIR_OPTIONAL, MILTER_MAY_CHANGE_SENDER},
    {MILTER_ADD_RECIPIENT, FORM_STRING, MILTER_MAY_ADD_RECIPIENTS},
    {MILTER_ADD_RECIPIENT_ARGUMENTS, FORM_PAIR_OPTIONAL, MILTER_MAY_ADD_RECIPIENTS_ARGUMENTS},
    {MILTER_REMOVE_RECIPIENT, FORM_STRING, MILTER_MAY_REMOVE_RECIPIENTS},
    {MILTER_REPLACE_BODY, FORM_BYTES, MILTER_MAY_CHANGE_BODY},
    {MILTER_QUARANTINE, FORM_STRING, MILTER_MAY_QUARANTINE},
};

static const struct answer_row *find_row(char command) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].kind == (unsigned char)command)
            return &rows[i];
    return NULL;
}

static bool take_data(enum form form, struct text rest, struct milter_answer *answer) {
    switch (form) {
    case FORM_NOTHING:
        return true; /* some send a NUL */
    case FORM_BYTES:
        answer->first = rest;
        return true;
    case FORM_STRING:
        return take_string(&rest, &answer->first);
    case FORM_NUMBERED_PAIR:
        return take_number(&rest, &answer->number) && take_string(&rest, &answer->first) &&
               take_string(&rest, &answer->second);
    case FORM_PAIR:
        return take_string(&rest, &answer->first) && take_string(&rest, &answer->second);
    case FORM_PAIR_OPTIONAL:
        return take_string(&rest, &answer->first) && (rest.length == 0 || take_string(&rest, &answer->second));
    }
    return false;
}

bool milter_answer_parse(const struct milter_packet *packet, struct milter_answer *answer) {
    const struct answer_row *row = find_row(packet->command);

    if (row == NULL)
        return false;
    *answer = (struct milter_answer){.kind = row->kind, .first = TEXT_NONE, .second = TEXT_NONE};
    return take_data(row->form, packet->data, answer);
}

uint32_t milter_action_of(enum milter_answer_kind kind) {
    const struct answer_row *row = find_row((char)kind);

    return row != NULL ? row->action : 0;
}

bool milter_is_modification(enum milter_answer_kind kind) {
    return kind == MILTER_PROGRESS || milter_action_of(kind) != 0;
}

/* One line without what Sendmail doubles, as it takes the text for a format. */
static void append_line(struct buffer *text, struct text line) {
    for (size_t i = 0; i < line.length && buffer_append_byte(text, line.data[i]); i++)
        if (line.data[i] == '%' && i + 1 < line.length && line.data[i + 1] == '%')
            i++;
}

static bool take_reply_line(struct text *wire, bool *more, unsigned *code, struct text *text) {
    size_t end = text_find(*wire, '\n');
    struct text line = text_first(*wire, end);

    *wire = text_from(*wire, end + 1);
    if (line.length > 0 && line.data[line.length - 1] == '\r')
        line.length--;
    return reply_parse_line(line, code, more, text) && (*code / 100 == 4 || *code / 100 == 5);
}

bool milter_reply_parse(struct text wire, struct reply *reply) {
    struct buffer lines;
    struct text text;
    unsigned code, first = 0;
    bool good = true, more = true;

    buffer_init(&lines, REPLY_TEXT_SIZE - 1);
    reply_set(reply, 0, "", "%s", "");
    while (good && wire.length > 0 && lines.length + 1 < REPLY_TEXT_SIZE) { /* a longer one is cut */
        char enhanced[12];
        good = take_reply_line(&wire, &more, &code, &text) && (first == 0 || code == first);
        if (!good)
            break;
        reply_split_enhanced(&text, enhanced);
        if (first == 0)
            (void)text_copy(reply->enhanced, sizeof reply->enhanced, text_of(enhanced));
        if (first == 0 || buffer_append_byte(&lines, '\n'))
            append_line(&lines, text);
        first = code;
    }
    reply->code = first;
    if (reply->enhanced[0] != '\0' && reply->enhanced[0] != (char)('0' + first / 100))
        good = false; /* RFC 3463 2: they say the same */
    good = good && first != 0;
    (void)text_copy(reply->text, sizeof reply->text, buffer_text(&lines));
    buffer_free(&lines);
    return good;
}

/* ---- writing ---- */

static char *begin(struct buffer *out, enum milter_command command, size_t length) {
    char *at = buffer_reserve(out, MILTER_HEAD_SIZE + length);

    if (at == NULL)
        return NULL;
    put_number(at, (uint32_t)length + 1);
    at[4] = (char)command;
    buffer_advance(out, MILTER_HEAD_SIZE + length);
    return at + MILTER_HEAD_SIZE;
}

bool milter_write(struct buffer *out, enum milter_command command, struct text data) {
    char *at = begin(out, command, data.length);

    if (at != NULL)
        memcpy(at, data.data, data.length);
    return at != NULL;
}

bool milter_write_strings(struct buffer *out, enum milter_command command, const struct text *strings, size_t count) {
    size_t length = 0;

    for (size_t i = 0; i < count; i++)
        length += text_find(strings[i], '\0') + 1;
    char *at = begin(out, command, length);
    for (size_t i = 0; at != NULL && i < count; i++) {
        size_t part = text_find(strings[i], '\0');
        memcpy(at, strings[i].data, part);
        at[part] = '\0';
        at += part + 1;
    }
    return at != NULL;
}

bool milter_write_options(struct buffer *out, const struct milter_options *options) {
    char *at = begin(out, MILTER_OPTNEG, 12);

    if (at == NULL)
        return false;
    put_number(at, options->version);
    put_number(at + 4, options->actions);
    put_number(at + 8, options->steps);
    return true;
}

bool milter_write_connect(struct buffer *out, struct text name, char family, unsigned port, struct text ip) {
    bool known = family != 'U';
    char *at = begin(out, MILTER_CONNECT, name.length + 2 + (known ? 2 + ip.length + 1 : 0));

    if (at == NULL)
        return false;
    memcpy(at, name.data, name.length);
    at += name.length;
    *at++ = '\0';
    *at++ = family;
    if (!known)
        return true;
    *at++ = (char)(port >> 8);
    *at++ = (char)port;
    memcpy(at, ip.data, ip.length);
    at[ip.length] = '\0';
    return true;
}

bool milter_write_macros(struct buffer *out, enum milter_command command, struct text pairs) {
    char *at = begin(out, MILTER_MACRO, 1 + pairs.length);

    if (at == NULL)
        return false;
    at[0] = (char)command;
    memcpy(at + 1, pairs.data, pairs.length);
    return true;
}
