/* SPDX-License-Identifier: MIT
 * Time: monotonic milliseconds for deadlines, UTC text for everything that is stored or compared. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H
#include "base/text.h"
#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#define CLOCK_TEXT_SIZE 20     /* "YYYY-MM-DD HH:MM:SS" and NUL */
#define CLOCK_INTERNET_SIZE 21 /* "YYYY-MM-DDTHH:MM:SSZ" and NUL */
#define CLOCK_MAIL_SIZE 40     /* RFC 5322 3.3 date-time and NUL */
#define CLOCK_NEVER INT64_MAX
/* CLOCK_MONOTONIC in milliseconds. */
int64_t clock_now_ms(void);
/* A deadline `milliseconds` from now, on the clock of clock_now_ms. */
int64_t clock_deadline(int64_t milliseconds);
/* Seconds since 1970 of the machine's clock at the instant when it was switched on: differs only when somebody has set
 * the clock. Time that the machine slept has passed for both. */
int64_t clock_offset(void);
/* Whether a difference of two such offsets is more than what keeps a clock right. */
static inline bool clock_was_set(int64_t difference) {
    return difference >= 60 || difference <= -60;
}
/* Milliseconds that the machine has slept since it was switched on; clock_now_ms does not know of them. */
int64_t clock_slept_ms(void);
/* Milliseconds left for poll(2): 0 when past, -1 for CLOCK_NEVER. */
int clock_remaining(int64_t deadline);
/* "YYYY-MM-DD HH:MM:SS" in UTC; string order is time order. */
void clock_text(time_t seconds, char text[CLOCK_TEXT_SIZE]);
/* The reverse; false when the text has another form. */
bool clock_parse(const char *text, time_t *seconds);
/* RFC 3339 date-time: written in UTC; read with any offset, the fraction of a second left out. */
void clock_internet_text(time_t seconds, char text[CLOCK_INTERNET_SIZE]);
bool clock_internet_parse(struct text text, time_t *seconds);
/* RFC 5322 3.3, local zone with numeric offset: "Sun, 22 Nov 2026 01:02:03 +0000". tzset() must have run before a
 * sandbox. */
void clock_mail_date(time_t seconds, char text[CLOCK_MAIL_SIZE]);
#endif
