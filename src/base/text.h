/* SPDX-License-Identifier: MIT
 * Text views and small conversions. A struct text is a borrowed run of bytes, not NUL-terminated, possibly
 * holding any byte. Nothing here allocates unless it says so; nothing here fails but by its return value. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    const char *data;
    size_t length;
};

#define TEXT(literal) ((struct text){(literal), sizeof(literal) - 1})
#define TEXT_NONE ((struct text){"", 0})
/* For printf: "%.*s" with TEXT_ARGS(view). */
#define TEXT_ARGS(view) (int)(view).length, (view).data

/* A view of a NUL-terminated string; NULL gives an empty view. Borrowed. */
struct text text_of(const char *string);
bool text_equal(struct text a, struct text b);
/* ASCII case-insensitive comparison, independent of the locale. */
bool text_equal_nocase(struct text a, struct text b);
bool text_starts_nocase(struct text whole, struct text start);
bool text_ends_nocase(struct text whole, struct text end);
/* Position of the byte, or length when absent. */
size_t text_find(struct text whole, char byte);
/* The part from `from` on (empty when past the end); the first `count` bytes at most. */
struct text text_from(struct text whole, size_t from);
struct text text_first(struct text whole, size_t count);
/* Without blanks (space, tab) at both ends. */
struct text text_trim(struct text whole);
/* Takes the part before `separator` off the front of *rest; the separator goes too. False when *rest is empty. */
bool text_split(struct text *rest, char separator, struct text *part);
/* Copies at most size-1 bytes and terminates; false when it had to cut. size > 0. */
bool text_copy(char *destination, size_t size, struct text source);
/* ASCII lower case in place. */
void text_lower(char *string);
/* Parses a whole decimal number without sign; false on any other byte, emptiness or overflow past maximum. */
bool text_number(struct text digits, uint64_t maximum, uint64_t *value);
/* True when every byte is printable US-ASCII (0x20..0x7e) . */
bool text_is_printable(struct text whole);
bool text_has_eight_bit(struct text whole);
/* Valid UTF-8 without overlong forms, surrogates or values past U+10FFFF (RFC 3629). */
bool text_is_utf8(struct text whole);
/* Copies for a log line: bytes outside printable ASCII become \xNN; cut with "..." when long. Returns destination. */
const char *text_printable(char *destination, size_t size, struct text source);
/* snprintf and vsnprintf, by the same rules, faster for what is plain; 0 to size bytes are written, with the NUL. */
int text_format(char *destination, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
int text_format_list(char *destination, size_t size, const char *format, va_list list)
    __attribute__((format(printf, 3, 0)));
/* RFC 4648 base64 with padding, '+' and '/'. Decode refuses any other byte; false when the result does not fit. */
bool text_base64_decode(struct text encoded, char *destination, size_t size, size_t *length);
/* Terminates the result; false when it does not fit. */
bool text_base64_encode(struct text plain, char *destination, size_t size);
#endif
