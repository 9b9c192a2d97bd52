/* SPDX-License-Identifier: MIT
 * Numbers and names of a DNS message, and names as they are asked. Called by message.c and dns.c with bytes from the
 * network or from strangers. Every read is checked against the message's end; a name's pointers must lead backwards, so
 * that it ends. */
#include "dns/name.h"

#define LABEL_MAXIMUM 63u
#define NAME_TEXT_MAXIMUM 253u

bool reader_take(struct reader *reader, size_t count) {
    if (count > reader->length - reader->at) {
        return false;
    }
    reader->at += count;
    return true;
}

unsigned reader_number16(const struct reader *reader, size_t at) {
    return (unsigned)reader->bytes[at] << 8 | reader->bytes[at + 1];
}

uint32_t reader_number32(const struct reader *reader, size_t at) {
    return (uint32_t)reader_number16(reader, at) << 16 | reader_number16(reader, at + 2);
}

/* A byte that would make a label ambiguous in text form; no mail name has it. */
static bool is_odd(unsigned char byte) {
    return byte <= ' ' || byte > '~' || byte == '.' || byte == '\\';
}

/* Copies one label as lower or given case; false when the name gets too long. odd bytes become '?'. */
static bool append_label(const struct reader *reader, size_t at, size_t length, char *name, size_t *used, bool *odd) {
    if (*used + (*used > 0) + length > NAME_TEXT_MAXIMUM) {
        return false;
    }
    if (*used > 0) {
        name[(*used)++] = '.';
    }
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = reader->bytes[at + i];
        *odd = *odd || is_odd(byte);
        name[(*used)++] = is_odd(byte) ? '?' : (char)byte;
    }
    return true;
}

/* RFC 1035 4.1.4. The reader goes past the name as it stands here; *odd is set for names that text cannot show. */
bool reader_name(struct reader *reader, char name[DNS_NAME_SIZE], bool *odd) {
    size_t at = reader->at, used = 0, lowest = reader->at;
    bool jumped = false;
    *odd = false;
    for (;;) {
        if (at >= reader->length) {
            return false;
        }
        unsigned length = reader->bytes[at];
        if ((length & 0xc0u) == 0xc0u) {
            if (reader->length - at < 2) {
                return false;
            }
            size_t target = reader_number16(reader, at) & 0x3fffu;
            reader->at = jumped ? reader->at : at + 2;
            jumped = true;
            if (target >= lowest) {
                return false;
            }
            at = lowest = target;
            continue;
        }
        if (length > LABEL_MAXIMUM || length > reader->length - at - 1) {
            return false;
        }
        at++;
        if (length == 0) {
            break;
        }
        if (!append_label(reader, at, length, name, &used, odd)) {
            return false;
        }
        at += length;
    }
    reader->at = jumped ? reader->at : at;
    if (used == 0) {
        name[used++] = '.';
    }
    name[used] = '\0';
    return true;
}

bool dns_name_prepare(struct text name, char prepared[DNS_NAME_SIZE]) {
    if (name.length > 1 && name.data[name.length - 1] == '.') {
        name.length--;
    }
    if (name.length == 0 || name.length > NAME_TEXT_MAXIMUM) {
        return false;
    }
    size_t label = 0;
    for (size_t i = 0; i < name.length; i++) {
        label = name.data[i] == '.' ? 0 : label + 1;
        bool empty = name.data[i] == '.' && (i == 0 || name.data[i - 1] == '.' || i + 1 == name.length);
        if (empty || label > LABEL_MAXIMUM || (name.data[i] != '.' && is_odd((unsigned char)name.data[i]))) {
            return false;
        }
    }
    (void)text_copy(prepared, DNS_NAME_SIZE, name);
    text_lower(prepared);
    return true;
}
