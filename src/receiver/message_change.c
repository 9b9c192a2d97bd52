/* SPDX-License-Identifier: MIT
 * Changing a message that has come: another header section, another body. Called by change.c in a confined receiver.
 * The header section is in memory anyway; a body that lies in a file behind the former one is moved once, when the
 * message is stored, a piece at a time. A file that cannot be read or written is remembered in message->problem. */
#include "base/file.h"
#include "base/log.h"
#include "receiver/message.h"
#include <errno.h>
#include <string.h>

#define MOVED_AT_ONCE (64u * 1024)

bool message_set_header(struct message *message, struct text section) {
    struct text memory = buffer_text(&message->memory);
    size_t behind = message->fd < 0 ? message->header_length : memory.length;
    size_t blank_line = message->body_offset - message->header_length;
    struct buffer changed;

    if (section.length > MESSAGE_HEADER_MAXIMUM || message->problem != MESSAGE_OK)
        return false;
    buffer_init_wiped(&changed, message->memory.maximum);
    (void)buffer_append_text(&changed, section);
    (void)buffer_append_text(&changed, text_from(memory, behind));
    message->length = message->length - message->header_length + section.length;
    message->header_length = section.length;
    message->body_offset = section.length + blank_line;
    message->header_moved = message->fd >= 0;
    buffer_free(&message->memory);
    message->memory = changed;
    return true;
}

void message_drop_body(struct message *message) {
    if (message->problem != MESSAGE_OK)
        return; /* it is gone already */
    message->length = message->header_length;
    message->received = message->header_length; /* the new one has room up to the maximum too */
    message->body_offset = message->header_length;
    message->stored_body = message->header_length;
    message->header_moved = message->fd >= 0;
    if (message->fd < 0)
        buffer_truncate(&message->memory, message->header_length);
    message_write(message, TEXT("\r\n"), 0);
    message->body_offset = message->header_length + 2;
    message->stored_body = message->body_offset;
}

static bool move_piece(struct message *message, uint64_t from, uint64_t to, size_t length) {
    static char piece[MOVED_AT_ONCE];

    if (!file_pread_all(message->fd, piece, length, (off_t)from)) {
        log_error("the message cannot be read again: %s", strerror(errno));
        message_fail(message, MESSAGE_NOT_SAVED);
        return false;
    }
    bool written = message_write_at(message, (struct text){piece, length}, to);
    explicit_bzero(piece, length); /* the next client may have the same receiver */
    return written;
}

/* Down from its beginning, up from its end: no byte is overwritten before it was moved. */
static bool move_body(struct message *message) {
    uint64_t from = message->stored_body, to = message->body_offset, left = message->length - to, moved = 0;

    while (moved < left) {
        size_t length = left - moved < MOVED_AT_ONCE ? (size_t)(left - moved) : MOVED_AT_ONCE;
        uint64_t at = to < from ? moved : left - moved - length;
        if (!move_piece(message, from + at, to + at, length))
            return false;
        moved += length;
    }
    return true;
}

bool message_settle(struct message *message) {
    if (message->fd < 0 || !message->header_moved)
        return true;
    if (message->stored_body != message->body_offset && !move_body(message))
        return false;
    message->stored_body = message->body_offset;
    message->header_moved = false;
    return message_write_at(message, message_header(message), 0) &&
           (message->body_offset == message->header_length ||
            message_write_at(message, TEXT("\r\n"), message->header_length));
}
