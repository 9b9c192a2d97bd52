/* SPDX-License-Identifier: MIT
 * Reading a job's content in the order it is delivered: a trace field of this delivery, the added headers, which stand
 * behind the message in the cargo, and the message. Called by transports; a short or failing read is told, never
 * papered over, and so is the runner's end at the last moment where a delivery can still be left undone. */
#include "agent/delivery.h"
#include "base/file.h"
#include <poll.h>
#include <stdio.h>

uint64_t delivery_content_size(const struct delivery_content *content) {
    return content->trace_length + content->headers_length + content->message_length;
}

void delivery_content_rewind(struct delivery_content *content) {
    content->position = 0;
}

bool delivery_content_trace(struct delivery_content *content, const char *name, const char *address) {
    int length = snprintf(content->trace, sizeof content->trace, "%s: %s\r\n", name, address);
    bool fits = length > 0 && (size_t)length < sizeof content->trace && !text_has_eight_bit(text_of(address));
    content->trace_length = fits ? (size_t)length : 0;
    return fits;
}

/* Where the byte at the delivery position lies in the cargo, and how many follow it there. */
static uint64_t place_of(const struct delivery_content *content, uint64_t *left) {
    uint64_t position = content->position - content->trace_length;
    if (position < content->headers_length) {
        *left = content->headers_length - position;
        return content->message_length + position;
    }
    uint64_t within = position - content->headers_length;
    *left = content->message_length - within;
    return within;
}

static bool runner_is_gone(const struct delivery_content *content) {
    struct pollfd ready = {.fd = content->job, .events = 0}; /* a hangup is told unasked */
    return content->job > 0 && poll(&ready, 1, 0) > 0;
}

bool delivery_content_next(struct delivery_content *content, struct text *piece) {
    if (content->position < content->trace_length) {
        *piece = (struct text){content->trace, content->trace_length};
        content->position = content->trace_length;
        return true;
    }
    uint64_t left, at = place_of(content, &left);
    size_t length = left < DELIVERY_PIECE ? (size_t)left : DELIVERY_PIECE;
    *piece = (struct text){content->piece, length};
    if (length == 0) {
        return !runner_is_gone(content);
    }
    if (content->fd < 0) {
        piece->data = content->cargo.data + at;
    } else if (!file_pread_all(content->fd, content->piece, length, (off_t)(content->offset + at))) {
        return false;
    }
    content->position += length;
    return true;
}

bool delivery_content_has_eight_bit(struct delivery_content *content, bool *eight_bit) {
    struct text piece;
    *eight_bit = false;
    delivery_content_rewind(content);
    do {
        if (!delivery_content_next(content, &piece)) {
            return false;
        }
        *eight_bit = *eight_bit || text_has_eight_bit(piece);
    } while (piece.length > 0 && !*eight_bit);
    delivery_content_rewind(content);
    return true;
}
