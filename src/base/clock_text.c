/* SPDX-License-Identifier: MIT
 * Dates, written and read. Called by any process, also inside the sandbox: UTC dates are computed here, without the C
 * library's time zone files; the local date relies on an earlier tzset(). Fails only by return value. */
#include "base/clock.h"
#include "base/text.h"
#include <string.h>

struct civil_date {
    int64_t year;
    int month, day;
};

/* The proleptic Gregorian calendar in eras of 400 years beginning in March (Howard Hinnant, "chrono-compatible
 * low-level date algorithms"). */
static struct civil_date date_of_day(int64_t day) {
    int64_t shifted = day + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t of_era = shifted - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int month = (int)((5 * of_year + 2) / 153);
    struct civil_date date;
    date.day = (int)(of_year - (153 * month + 2) / 5 + 1);
    date.month = month < 10 ? month + 3 : month - 9;
    date.year = year + era * 400 + (date.month <= 2);
    return date;
}

static int64_t day_of_date(struct civil_date date) {
    int64_t year = date.year - (date.month <= 2);
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (date.month + (date.month > 2 ? -3 : 9)) + 2) / 5 + date.day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static char *put_number(char *at, unsigned number, unsigned digits, char behind) {
    for (unsigned i = digits; i-- > 0; number /= 10) {
        at[i] = (char)('0' + number % 10);
    }
    at[digits] = behind;
    return at + digits + 1;
}

void clock_text(time_t seconds, char text[CLOCK_TEXT_SIZE]) {
    /* Only years of four digits keep the string order; what lies outside becomes the nearest. */
    static const int64_t first = -62135596800; /* 0001-01-01 00:00:00 */
    static const int64_t last = 253402300799;  /* 9999-12-31 23:59:59 */
    int64_t time = seconds < first ? first : seconds > last ? last : seconds;
    int64_t day = (time >= 0 ? time : time - 86399) / 86400;
    unsigned second = (unsigned)(time - day * 86400);
    struct civil_date date = date_of_day(day);
    char *at = put_number(text, (unsigned)date.year, 4, '-');
    at = put_number(at, (unsigned)date.month, 2, '-');
    at = put_number(at, (unsigned)date.day, 2, ' ');
    at = put_number(at, second / 3600, 2, ':');
    at = put_number(at, second / 60 % 60, 2, ':');
    (void)put_number(at, second % 60, 2, '\0');
}

static bool take_number(const char **text, size_t digits, char after, int *number) {
    uint64_t value;
    for (size_t i = 0; i < digits; i++) {
        if ((*text)[i] == '\0') {
            return false;
        }
    }
    if (!text_number((struct text){*text, digits}, 9999, &value) || (*text)[digits] != after) {
        return false;
    }
    *number = (int)value;
    *text += digits + 1;
    return true;
}

bool clock_parse(const char *text, time_t *seconds) {
    int year, month, day, hour, minute, second;
    if (!take_number(&text, 4, '-', &year) || !take_number(&text, 2, '-', &month) ||
        !take_number(&text, 2, ' ', &day) || !take_number(&text, 2, ':', &hour) ||
        !take_number(&text, 2, ':', &minute) || !take_number(&text, 2, '\0', &second)) {
        return false;
    }
    struct civil_date date = {year, month, day};
    if (year < 1 || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59) {
        return false;
    }
    int64_t number = day_of_date(date);
    struct civil_date back = date_of_day(number);
    if (back.month != month || back.day != day) { /* 30 February */
        return false;
    }
    *seconds = (time_t)(number * 86400 + hour * 3600 + minute * 60 + second);
    return true;
}

void clock_internet_text(time_t seconds, char text[CLOCK_INTERNET_SIZE]) {
    clock_text(seconds, text);
    text[10] = 'T';
    text[CLOCK_TEXT_SIZE - 1] = 'Z';
    text[CLOCK_TEXT_SIZE] = '\0';
}

/* time-offset = "Z" / ("+" / "-") time-hour ":" time-minute; seconds east of UTC. */
static bool take_offset(struct text text, long *east) {
    uint64_t hours, minutes;
    if (text_equal_nocase(text, TEXT("Z"))) {
        *east = 0;
        return true;
    }
    if (text.length != 6 || (text.data[0] != '+' && text.data[0] != '-') || text.data[3] != ':' ||
        !text_number(text_first(text_from(text, 1), 2), 23, &hours) || !text_number(text_from(text, 4), 59, &minutes)) {
        return false;
    }
    *east = (text.data[0] == '+' ? 1 : -1) * (long)(hours * 3600 + minutes * 60);
    return true;
}

bool clock_internet_parse(struct text text, time_t *seconds) {
    char date[CLOCK_TEXT_SIZE];
    struct text rest = text_from(text, CLOCK_TEXT_SIZE - 1);
    size_t digits = 0;
    long east;
    if (text.length < CLOCK_INTERNET_SIZE - 1 || !text_copy(date, sizeof date, text_first(text, CLOCK_TEXT_SIZE - 1)) ||
        (date[10] != 'T' && date[10] != 't')) {
        return false;
    }
    date[10] = ' ';
    if (rest.data[0] == '.') {
        for (rest = text_from(rest, 1); digits < rest.length && rest.data[digits] >= '0' && rest.data[digits] <= '9';) {
            digits++;
        }
        if (digits == 0) {
            return false;
        }
        rest = text_from(rest, digits);
    }
    if (!clock_parse(date, seconds) || !take_offset(rest, &east)) {
        return false;
    }
    *seconds -= east;
    return true;
}

void clock_mail_date(time_t seconds, char text[CLOCK_MAIL_SIZE]) {
    static const char days[] = "Sun, Mon, Tue, Wed, Thu, Fri, Sat, ";
    static const char months[] = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec ";
    struct tm local = {0};
    if (localtime_r(&seconds, &local) == NULL) {
        local = (struct tm){.tm_mday = 1, .tm_year = 70, .tm_wday = 4};
    }
    long offset = local.tm_gmtoff / 60;
    unsigned minutes = (unsigned)(offset < 0 ? -offset : offset);
    memcpy(text, days + 5 * (size_t)local.tm_wday, 5);
    char *at = put_number(text + 5, (unsigned)local.tm_mday, 2, ' ');
    memcpy(at, months + 4 * (size_t)local.tm_mon, 4);
    at = put_number(at + 4, (unsigned)(local.tm_year + 1900), 4, ' ');
    at = put_number(at, (unsigned)local.tm_hour, 2, ':');
    at = put_number(at, (unsigned)local.tm_min, 2, ':');
    at = put_number(at, (unsigned)local.tm_sec, 2, ' ');
    *at = offset < 0 ? '-' : '+';
    (void)put_number(at + 1, minutes / 60 * 100 + minutes % 60, 4, '\0');
}
