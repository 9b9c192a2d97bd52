/* SPDX-License-Identifier: MIT
 * Text views: comparing, cutting, numbers, UTF-8, showing bytes, base64. */
#include "base/text.h"
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

static void numbers_are_whole_decimal_and_bounded(void **state) {
    static const struct {
        const char *sentence, *digits;
        uint64_t maximum;
        bool accepted;
        uint64_t value;
    } rows[] = {
        {"zero is a number", "0", 9, true, 0},
        {"the maximum is accepted", "65535", 65535, true, 65535},
        {"one past the maximum is refused", "65536", 65535, false, 0},
        {"the greatest of 64 bits is accepted", "18446744073709551615", UINT64_MAX, true, UINT64_MAX},
        {"an overflow of 64 bits is refused", "18446744073709551616", UINT64_MAX, false, 0},
        {"nothing is no number", "", 9, false, 0},
        {"a sign is refused", "+1", 9, false, 0},
        {"a blank is refused", "1 ", 9, false, 0},
        {"a single digit past a small maximum is refused", "7", 5, false, 0},
        {"leading zeros are harmless", "0007", 9, true, 7},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t value = 0;
        print_message("%s\n", rows[i].sentence);
        assert_int_equal(text_number(text_of(rows[i].digits), rows[i].maximum, &value), rows[i].accepted);
        assert_true(value == rows[i].value);
    }
}

static void utf8_is_checked_strictly(void **state) {
    static const struct {
        const char *sentence, *bytes;
        bool valid;
    } rows[] = {
        {"ASCII is valid", "plain", true},
        {"nothing is valid", "", true},
        {"two bytes are valid", "\xc3\xa4", true},
        {"three bytes are valid", "\xe2\x82\xac", true},
        {"four bytes are valid", "\xf0\x9f\x93\xa7", true},
        {"the last code point is valid", "\xf4\x8f\xbf\xbf", true},
        {"past U+10FFFF is refused", "\xf4\x90\x80\x80", false},
        {"an overlong slash is refused", "\xc0\xaf", false},
        {"an overlong form of three bytes is refused", "\xe0\x80\xaf", false},
        {"an overlong form of four bytes is refused", "\xf0\x80\x80\xaf", false},
        {"a surrogate is refused", "\xed\xa0\x80", false},
        {"a lone continuation is refused", "\x80", false},
        {"a cut character is refused", "a\xe2\x82", false},
        {"a wrong third byte is refused", "\xe2\x82z", false},
        {"the byte FF is refused", "\xff", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        print_message("%s\n", rows[i].sentence);
        assert_int_equal(text_is_utf8(text_of(rows[i].bytes)), rows[i].valid);
    }
}

static void bytes_are_shown_safely(void **state) {
    static const struct {
        const char *sentence;
        size_t size;
        const char *source, *shown;
    } rows[] = {
        {"printable bytes stay", 32, "a b~", "a b~"},
        {"a line end is shown as hex", 32, "a\r\nb", "a\\x0d\\x0ab"},
        {"eight bits are shown as hex", 32, "\xc3\xa4", "\\xc3\\xa4"},
        {"what just fits is not cut", 5, "abcd", "abcd"},
        {"what is too long is cut with dots", 8, "abcdefghij", "abcd..."},
        {"an escape is never cut in two", 8, "abcd\n\n", "abcd..."},
        {"dots replace text when hardly anything fits", 3, "abc", ".."},
        {"no room gives nothing", 1, "abc", ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char shown[64];
        print_message("%s\n", rows[i].sentence);
        assert_string_equal(text_printable(shown, rows[i].size, text_of(rows[i].source)), rows[i].shown);
    }
}

static void base64_decodes_exactly_its_alphabet(void **state) {
    static const struct {
        const char *sentence, *encoded;
        size_t size;
        bool accepted;
        const char *plain;
    } rows[] = {
        {"nothing gives nothing", "", 8, true, ""},
        {"one byte", "Zg==", 8, true, "f"},
        {"two bytes", "Zm8=", 8, true, "fo"},
        {"three bytes fill exactly", "Zm9v", 3, true, "foo"},
        {"plus and slash belong to it", "+/+/", 8, true, "\xfb\xff\xbf"},
        {"a result too large is refused", "Zm9v", 2, false, ""},
        {"a missing pad is refused", "Zm8", 8, false, ""},
        {"padding in the middle is refused", "Zg==Zm9v", 16, false, ""},
        {"padding alone is refused", "====", 8, false, ""},
        {"three pads are refused", "Z===", 8, false, ""},
        {"pad bits that are not zero are refused", "Zh==", 8, false, ""},
        {"a blank is refused", "Zm 9v", 8, false, ""},
        {"the URL alphabet is refused", "-_-_", 8, false, ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char plain[16];
        size_t length = 0;
        print_message("%s\n", rows[i].sentence);
        assert_int_equal(text_base64_decode(text_of(rows[i].encoded), plain, rows[i].size, &length), rows[i].accepted);
        assert_int_equal(length, strlen(rows[i].plain));
        assert_memory_equal(plain, rows[i].plain, length);
    }
}

static void base64_encodes_and_refuses_what_does_not_fit(void **state) {
    char encoded[16];
    (void)state;
    assert_true(text_base64_encode(TEXT("foob"), encoded, 9));
    assert_string_equal(encoded, "Zm9vYg==");
    assert_false(text_base64_encode(TEXT("foob"), encoded, 8));
    assert_true(text_base64_encode(TEXT("\0\xff\xfe"), encoded, 5));
    assert_string_equal(encoded, "AP/+");
    assert_true(text_base64_encode(TEXT_NONE, encoded, 1));
    assert_string_equal(encoded, "");
    assert_false(text_base64_encode(TEXT_NONE, encoded, 0));
}

static void comparisons_ignore_ascii_case_only(void **state) {
    (void)state;
    assert_true(text_equal_nocase(TEXT("EHLO"), TEXT("ehlo")));
    assert_false(text_equal(TEXT("EHLO"), TEXT("ehlo")));
    assert_false(text_equal_nocase(TEXT("\xc4"), TEXT("\xe4")));
    assert_false(text_equal_nocase(TEXT("@"), TEXT("`"))); /* 0x40 and 0x60 differ by the case bit alone */
    assert_true(text_starts_nocase(TEXT("From:<>"), TEXT("FROM:")));
    assert_false(text_starts_nocase(TEXT("FRO"), TEXT("FROM:")));
    assert_true(text_ends_nocase(TEXT("a.EXAMPLE"), TEXT(".example")));
    assert_false(text_ends_nocase(TEXT("example"), TEXT(".example")));
    assert_true(text_equal(TEXT_NONE, text_of(NULL)));
}

static void cutting_never_passes_the_end(void **state) {
    struct text rest = TEXT("a,,b,");
    struct text part;
    (void)state;
    assert_int_equal(text_from(TEXT("abc"), 7).length, 0);
    assert_int_equal(text_first(TEXT("abc"), 7).length, 3);
    assert_int_equal(text_find(TEXT("abc"), 'z'), 3);
    assert_true(text_equal(text_trim(TEXT(" \t a b \t")), TEXT("a b")));
    assert_int_equal(text_trim(TEXT(" \t ")).length, 0);
    assert_true(text_split(&rest, ',', &part) && text_equal(part, TEXT("a")));
    assert_true(text_split(&rest, ',', &part) && part.length == 0);
    assert_true(text_split(&rest, ',', &part) && text_equal(part, TEXT("b")));
    assert_false(text_split(&rest, ',', &part));
}

static void copies_are_terminated_and_report_a_cut(void **state) {
    char small[4];
    char word[] = "MiXeD\xc4";
    (void)state;
    assert_true(text_copy(small, sizeof small, TEXT("abc")));
    assert_string_equal(small, "abc");
    assert_false(text_copy(small, sizeof small, TEXT("abcd")));
    assert_string_equal(small, "abc");
    text_lower(word);
    assert_string_equal(word, "mixed\xc4");
    assert_true(text_is_printable(TEXT(" ~")));
    assert_false(text_is_printable(TEXT("\x7f")));
    assert_true(text_has_eight_bit(TEXT("a\x80")));
    assert_false(text_has_eight_bit(TEXT("a\x7f")));
}

#define SAME(...)                                                                                                      \
    do {                                                                                                               \
        for (size_t size = 0; size <= sizeof ours; size++) {                                                           \
            memset(ours, '#', sizeof ours);                                                                            \
            memset(theirs, '#', sizeof theirs);                                                                        \
            assert_int_equal(text_format(ours, size, __VA_ARGS__), snprintf(theirs, size, __VA_ARGS__));               \
            assert_memory_equal(ours, theirs, sizeof ours);                                                            \
        }                                                                                                              \
    } while (0)

static void formats_are_those_of_the_c_library_at_every_size(void **state) {
    char ours[48], theirs[48];
    struct text view = text_first(TEXT("coco@example.test"), 4);
    (void)state;
    SAME("nothing to convert");
    SAME("%s", "");
    SAME("<%s> and %s%s", "one", "two", "");
    SAME("%.*s|%.3s|%.0s|", TEXT_ARGS(view), "abcdef", "x");
    SAME("%d %d %d", 0, INT_MAX, INT_MIN);
    SAME("%ld %lld", LONG_MIN, LLONG_MAX);
    SAME("%u %lu", UINT_MAX, ULONG_MAX);
    SAME("%llu", ULLONG_MAX);
    SAME("%zu %zd", sizeof ours, (ssize_t)-7);
    SAME("%03u %3u %05d %5d", 7u, 7u, -7, -7);
    SAME("%02u%04u", 123u, 12345u);
    SAME("%x.%x %02x", 0u, 0xbeefu, 10u);
    SAME("100%% of %s", "it");
    SAME("%s %c %02X %s", "a", 'b', 0xabu, "c"); /* what it leaves to the C library */
    SAME("%-6s|%6s|%+d", "ab", "cd", 5);
    SAME("%.3d %10u %.2f", 5, 6u, 1.5);
    SAME("%s %.*d", "precision before a number", 3, 5);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_whole_decimal_and_bounded),
        cmocka_unit_test(utf8_is_checked_strictly),
        cmocka_unit_test(bytes_are_shown_safely),
        cmocka_unit_test(base64_decodes_exactly_its_alphabet),
        cmocka_unit_test(base64_encodes_and_refuses_what_does_not_fit),
        cmocka_unit_test(comparisons_ignore_ascii_case_only),
        cmocka_unit_test(cutting_never_passes_the_end),
        cmocka_unit_test(formats_are_those_of_the_c_library_at_every_size),
        cmocka_unit_test(copies_are_terminated_and_report_a_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
