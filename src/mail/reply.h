/* SPDX-License-Identifier: MIT
 * A reply's three things: code, enhanced code (RFC 3463), text. Every reply site gives all three. */
#ifndef MAIL_REPLY_H
#define MAIL_REPLY_H
#include "base/buffer.h"
#include "base/text.h"
#include <stdarg.h>
#include <stdbool.h>
#define REPLY_TEXT_SIZE 1024
struct reply { /* text may hold several lines, separated by '\n' */
    unsigned code;
    char enhanced[12]; /* "5.7.1", "" for 220, 354, EHLO */
    char text[REPLY_TEXT_SIZE];
};
void reply_set(struct reply *reply, unsigned code, const char *enhanced, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void reply_set_list(struct reply *reply, unsigned code, const char *enhanced, const char *format, va_list list)
    __attribute__((format(printf, 4, 0)));
/* Appends the wire form, "250-2.1.0 first\r\n250 2.1.0 last\r\n". Bytes that would end a line become '?'. */
bool reply_format(const struct reply *reply, struct buffer *wire);
/* One line "550 5.1.1 text" for logs and rows; returns destination. */
const char *reply_line(const struct reply *reply, char *destination, size_t size);
/* Takes one line of a reply as a client reads it: its code, whether more follow, its text (with enhanced code).
 * False unless RFC 5321 4.2: three digits 2-5/0-5/0-9, then blank, '-' or the end. */
bool reply_parse_line(struct text line, unsigned *code, bool *more, struct text *text);
/* Splits a leading enhanced code "d.ddd.ddd " off; enhanced gets "" when there is none. */
void reply_split_enhanced(struct text *text, char enhanced[12]);
#endif
