/* SPDX-License-Identifier: MIT
 * The growable byte buffer. Called everywhere, any privilege, on untrusted bytes; passing the maximum is a false
 * return, out of memory ends the process. One byte past the maximum is kept for buffer_string's NUL. */
#include "base/buffer.h"
#include "base/log.h"
#include "base/memory.h"
#include <stdlib.h>
#include <string.h>

#define SMALLEST_CAPACITY 64

static char *block_of(const struct buffer *buffer) {
    return buffer->data == NULL ? NULL : buffer->data - buffer->offset;
}

void buffer_init(struct buffer *buffer, size_t maximum) {
    *buffer = (struct buffer){.maximum = maximum};
}

void buffer_init_wiped(struct buffer *buffer, size_t maximum) {
    *buffer = (struct buffer){.maximum = maximum, .wiped = true};
}

static bool needs_wiping(const struct buffer *buffer) {
    return buffer->wiped && buffer->data != NULL;
}

/* Large ones, too: where the heap has room for one, it is not mapped apart. The content is all there is: what was
 * before it is zeros by now, and pages behind it may never have been touched. */
static void release(const struct buffer *buffer) {
    if (needs_wiping(buffer)) {
        explicit_bzero(buffer->data, buffer->length);
    }
    free(block_of(buffer));
}

struct buffer buffer_take(struct buffer *buffer) {
    struct buffer taken = *buffer;
    *buffer = (struct buffer){.maximum = taken.maximum, .wiped = taken.wiped};
    return taken;
}

void buffer_free(struct buffer *buffer) {
    const struct buffer taken = buffer_take(buffer);
    release(&taken);
}

void buffer_truncate(struct buffer *buffer, size_t length) {
    if (length > buffer->length) {
        die_panic("buffer_truncate: to %zu of %zu bytes", length, buffer->length);
    }
    if (buffer->wiped && length < buffer->length) {
        explicit_bzero(buffer->data + length, buffer->length - length);
    }
    buffer->length = length;
}

void buffer_clear(struct buffer *buffer) {
    buffer_truncate(buffer, 0);
    buffer->data = block_of(buffer);
    buffer->offset = 0;
}

static void move_to_front(struct buffer *buffer) {
    char *block = block_of(buffer);
    if (buffer->offset > 0) {
        memmove(block, buffer->data, buffer->length);
        if (buffer->wiped) {
            size_t from = buffer->length > buffer->offset ? buffer->length : buffer->offset;
            explicit_bzero(block + from, buffer->offset + buffer->length - from);
        }
        buffer->data = block;
        buffer->offset = 0;
    }
}

/* realloc(3) might leave the content where it was. */
static char *moved(const struct buffer *buffer, size_t capacity) {
    char *block = memory_resize(NULL, capacity, 1);
    if (buffer->length > 0) {
        memcpy(block, buffer->data, buffer->length);
    }
    release(buffer);
    return block;
}

/* Room for `needed` bytes of content and a NUL. needed <= maximum. */
static void make_room(struct buffer *buffer, size_t needed) {
    if (buffer->offset + needed < buffer->capacity) {
        return;
    }
    move_to_front(buffer);
    if (needed < buffer->capacity) {
        return;
    }
    size_t capacity = buffer->capacity < SMALLEST_CAPACITY ? SMALLEST_CAPACITY : buffer->capacity;
    while (capacity <= needed && capacity <= buffer->maximum / 2) {
        capacity *= 2;
    }
    if (capacity <= needed) {
        capacity = buffer->maximum / 2 < needed ? buffer->maximum + 1 : needed + 1;
    }
    buffer->data = needs_wiping(buffer) ? moved(buffer, capacity) : memory_resize(buffer->data, capacity, 1);
    buffer->capacity = capacity;
}

char *buffer_reserve(struct buffer *buffer, size_t length) {
    if (length > buffer->maximum - buffer->length) {
        return NULL;
    }
    make_room(buffer, buffer->length + length);
    return buffer->data + buffer->length;
}

void buffer_advance(struct buffer *buffer, size_t length) {
    if (length > buffer->capacity - buffer->offset - buffer->length) {
        die_panic("buffer_advance: %zu bytes were never reserved", length);
    }
    buffer->length += length;
}

bool buffer_append(struct buffer *buffer, const void *bytes, size_t length) {
    char *room = buffer_reserve(buffer, length);
    if (room == NULL) {
        return false;
    }
    if (length > 0) {
        memcpy(room, bytes, length);
        buffer->length += length;
    }
    return true;
}

bool buffer_append_text(struct buffer *buffer, struct text text) {
    return buffer_append(buffer, text.data, text.length);
}

bool buffer_append_string(struct buffer *buffer, const char *string) {
    return buffer_append(buffer, string, strlen(string));
}

bool buffer_append_byte(struct buffer *buffer, char byte) {
    return buffer_append(buffer, &byte, 1);
}

bool buffer_append_number(struct buffer *buffer, uint64_t number) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return buffer_append(buffer, digits + at, sizeof digits - at);
}

bool buffer_format(struct buffer *buffer, const char *format, ...) {
    va_list list;
    va_start(list, format);
    bool fits = buffer_format_list(buffer, format, list);
    va_end(list);
    return fits;
}

/* Written where there is room already; what needs more is written again. */
bool buffer_format_list(struct buffer *buffer, const char *format, va_list list) {
    va_list tried;
    size_t left = buffer->data == NULL ? 0 : buffer->capacity - buffer->offset - buffer->length;
    va_copy(tried, list);
    int length = text_format_list(left > 0 ? buffer->data + buffer->length : NULL, left, format, tried);
    va_end(tried);
    if (length < 0) {
        return false;
    }
    if ((size_t)length < left && (size_t)length <= buffer->maximum - buffer->length) {
        buffer->length += (size_t)length;
        return true;
    }
    if (buffer->wiped && left > 0) { /* its beginning */
        explicit_bzero(buffer->data + buffer->length, left < (size_t)length ? left : (size_t)length);
    }
    char *room = buffer_reserve(buffer, (size_t)length);
    if (room == NULL) {
        return false;
    }
    text_format_list(room, (size_t)length + 1, format, list);
    buffer->length += (size_t)length;
    return true;
}

void buffer_consume(struct buffer *buffer, size_t length) {
    if (length > buffer->length) {
        die_panic("buffer_consume: %zu of %zu bytes", length, buffer->length);
    }
    if (length == 0) {
        return;
    }
    if (buffer->wiped) {
        explicit_bzero(buffer->data, length);
    }
    buffer->data += length;
    buffer->offset += length;
    buffer->length -= length;
    if (buffer->length == 0) {
        buffer_clear(buffer);
    }
}

struct text buffer_text(const struct buffer *buffer) {
    return buffer->length > 0 ? (struct text){buffer->data, buffer->length} : TEXT_NONE;
}

const char *buffer_string(struct buffer *buffer) {
    make_room(buffer, buffer->length);
    buffer->data[buffer->length] = '\0';
    return buffer->data;
}
