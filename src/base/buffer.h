/* SPDX-License-Identifier: MIT
 * A growable byte buffer that gets its maximum at birth. Appending past the maximum fails and leaves the buffer
 * as it was; out of memory ends the process (die_out_of_memory). */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H
#include "base/text.h"
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buffer {
    char *data; /* the first byte of the content */
    size_t length;
    size_t capacity; /* of the whole allocation, which begins at data - offset */
    size_t maximum;
    size_t offset; /* bytes already consumed before data */
    bool wiped;    /* nothing that was consumed, moved or freed is left in this process's memory */
};

/* Allocates nothing yet. maximum: bytes the buffer may ever hold. */
void buffer_init(struct buffer *buffer, size_t maximum);
/* For what strangers must not find behind its owner: passwords, mail. What is consumed is gone at once. */
void buffer_init_wiped(struct buffer *buffer, size_t maximum);
void buffer_free(struct buffer *buffer);
/* The buffer as it is, now the caller's; an empty one of the same kind stays. */
struct buffer buffer_take(struct buffer *buffer);
/* Forgets the content, keeps the memory. */
void buffer_clear(struct buffer *buffer);
/* Forgets what is behind the first `length` bytes, of which there must be as many. */
void buffer_truncate(struct buffer *buffer, size_t length);
/* All append functions: false when the result would pass the maximum; then nothing was appended. */
bool buffer_append(struct buffer *buffer, const void *bytes, size_t length);
bool buffer_append_text(struct buffer *buffer, struct text text);
bool buffer_append_string(struct buffer *buffer, const char *string);
bool buffer_append_number(struct buffer *buffer, uint64_t number); /* decimal */
bool buffer_append_byte(struct buffer *buffer, char byte);
bool buffer_format(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool buffer_format_list(struct buffer *buffer, const char *format, va_list list) __attribute__((format(printf, 2, 0)));
/* Makes room for `length` more bytes and returns where they go (NULL past the maximum); buffer_advance counts them. */
char *buffer_reserve(struct buffer *buffer, size_t length);
void buffer_advance(struct buffer *buffer, size_t length);
/* Removes `length` bytes from the front; unless wiped they stay readable until the next append or reserve. Costs no
 * copy. */
void buffer_consume(struct buffer *buffer, size_t length);
/* The content as a view, borrowed until the next change. */
struct text buffer_text(const struct buffer *buffer);
/* The content NUL-terminated (the NUL is not counted); borrowed. */
const char *buffer_string(struct buffer *buffer);
#endif
