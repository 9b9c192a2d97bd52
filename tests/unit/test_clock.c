/* SPDX-License-Identifier: MIT
 * Deadlines, and dates in both directions. */
#include "base/clock.h"
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

static void dates_become_text_and_back(void **state) {
    static const struct {
        const char *sentence;
        time_t seconds;
        const char *text;
    } rows[] = {
        {"the epoch", 0, "1970-01-01 00:00:00"},
        {"the second before it", -1, "1969-12-31 23:59:59"},
        {"a leap day", 951782400, "2000-02-29 00:00:00"},
        {"the day after a leap day", 951868800, "2000-03-01 00:00:00"},
        {"no leap day in 2100", 4107542400, "2100-03-01 00:00:00"},
        {"past 32 bits", 4294967296, "2106-02-07 06:28:16"},
        {"an afternoon", 1795309323, "2026-11-22 01:02:03"},
        {"the last second of four digits", 253402300799, "9999-12-31 23:59:59"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[CLOCK_TEXT_SIZE];
        time_t seconds = 7;
        print_message("%s\n", rows[i].sentence);
        clock_text(rows[i].seconds, text);
        assert_string_equal(text, rows[i].text);
        assert_true(clock_parse(text, &seconds));
        assert_true(seconds == rows[i].seconds);
    }
}

static void dates_agree_with_the_c_library(void **state) {
    (void)state;
    for (time_t day = -200000; day < 400000; day += 13) {
        time_t seconds = day * 86400 + (day % 1000 + 1000) * 40;
        struct tm utc;
        char ours[CLOCK_TEXT_SIZE], theirs[64];
        gmtime_r(&seconds, &utc);
        strftime(theirs, sizeof theirs, "%Y-%m-%d %H:%M:%S", &utc);
        clock_text(seconds, ours);
        assert_string_equal(ours, theirs);
    }
}

static void other_forms_are_refused(void **state) {
    static const char *const rows[] = {
        "",
        "2026-11-22",
        "2026-11-22 01:02",
        "2026-11-22T01:02:03",
        "2026-11-22 01:02:03 ",
        "2026-11-22 01:02:03Z",
        "2026-13-01 00:00:00",
        "2026-00-01 00:00:00",
        "2026-02-30 00:00:00",
        "2025-02-29 00:00:00",
        "2026-01-00 00:00:00",
        "2026-01-01 24:00:00",
        "2026-01-01 00:60:00",
        "2026-01-01 00:00:60",
        "-026-01-01 00:00:00",
        "2026-1-01 00:00:00",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        time_t seconds;
        print_message("'%s' is refused\n", rows[i]);
        assert_false(clock_parse(rows[i], &seconds));
    }
}

static void internet_dates_have_any_offset(void **state) {
    static const struct {
        const char *text;
        time_t seconds; /* -1: refused */
    } rows[] = {
        {"1970-01-02T00:00:00Z", 86400},      {"1970-01-02t00:00:00z", 86400},      {"1970-01-02T00:00:00.125Z", 86400},
        {"1970-01-02T01:30:00+01:30", 86400}, {"1970-01-01T22:00:00-02:00", 86400}, {"1970-01-02T00:00:00", -1},
        {"1970-01-02 00:00:00Z", -1},         {"1970-01-02T00:00:00.Z", -1},        {"1970-01-02T00:00:00+1:30", -1},
        {"1970-01-02T00:00:00+01:60", -1},    {"1970-01-02T00:00:00+24:00", -1},    {"1970-01-02T00:00:00+0100", -1},
        {"1970-01-02T00:00:00Zulu", -1},      {"1970-13-02T00:00:00Z", -1},         {"", -1},
    };
    char text[CLOCK_INTERNET_SIZE];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        time_t seconds = -1;
        print_message("%s\n", rows[i].text);
        assert_int_equal(clock_internet_parse(text_of(rows[i].text), &seconds), rows[i].seconds >= 0);
        assert_true(rows[i].seconds < 0 || seconds == rows[i].seconds);
    }
    clock_internet_text(86400, text);
    assert_string_equal(text, "1970-01-02T00:00:00Z");
}

static void years_past_four_digits_become_the_last(void **state) {
    char text[CLOCK_TEXT_SIZE];
    (void)state;
    clock_text(253402300800, text);
    assert_string_equal(text, "9999-12-31 23:59:59");
    clock_text((time_t)INT64_MIN, text);
    assert_string_equal(text, "0001-01-01 00:00:00");
}

static void mail_dates_carry_the_zone(void **state) {
    char text[CLOCK_MAIL_SIZE];
    (void)state;
    setenv("TZ", "UTC0", 1);
    tzset();
    clock_mail_date(1795309323, text);
    assert_string_equal(text, "Sun, 22 Nov 2026 01:02:03 +0000");
    setenv("TZ", "XXX-5:30", 1);
    tzset();
    clock_mail_date(0, text);
    assert_string_equal(text, "Thu, 01 Jan 1970 05:30:00 +0530");
    setenv("TZ", "YYY3:30", 1);
    tzset();
    clock_mail_date(0, text);
    assert_string_equal(text, "Wed, 31 Dec 1969 20:30:00 -0330");
}

static void deadlines_pass_and_never_does_not(void **state) {
    (void)state;
    assert_int_equal(clock_remaining(CLOCK_NEVER), -1);
    assert_int_equal(clock_remaining(clock_now_ms() - 5), 0);
    assert_true(clock_deadline(CLOCK_NEVER) == CLOCK_NEVER);
    int left = clock_remaining(clock_deadline(60000));
    assert_true(left > 59000 && left <= 60000);
    assert_int_equal(clock_remaining(CLOCK_NEVER - 1), INT_MAX);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_become_text_and_back),
        cmocka_unit_test(dates_agree_with_the_c_library),
        cmocka_unit_test(other_forms_are_refused),
        cmocka_unit_test(internet_dates_have_any_offset),
        cmocka_unit_test(years_past_four_digits_become_the_last),
        cmocka_unit_test(mail_dates_carry_the_zone),
        cmocka_unit_test(deadlines_pass_and_never_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
