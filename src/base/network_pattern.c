/* SPDX-License-Identifier: MIT
 * IPv4 addresses whose numbers may be choices, as DNS lists answer them: "127.0.0.[2..4;9]". Called by the
 * configuration's check, and by receivers on answers from DNS; no I/O; fails only by return value. */
#include "base/network.h"

#define NUMBERS 4
#define BYTE_MAXIMUM 255u

/* Takes digits off the front. */
static bool take_number(struct text *rest, uint64_t *number) {
    size_t length = 0;
    while (length < rest->length && rest->data[length] >= '0' && rest->data[length] <= '9') {
        length++;
    }
    if (length == 0 || !text_number(text_first(*rest, length), BYTE_MAXIMUM, number)) {
        return false;
    }
    *rest = text_from(*rest, length);
    return true;
}

static bool take(struct text *rest, struct text what) {
    bool there = text_starts_nocase(*rest, what);
    *rest = text_from(*rest, there ? what.length : 0);
    return there;
}

/* NUMBER or NUMBER..NUMBER */
static bool take_range(struct text *rest, unsigned value, bool *found) {
    uint64_t low, high;
    if (!take_number(rest, &low)) {
        return false;
    }
    high = low;
    if (take(rest, TEXT("..")) && (!take_number(rest, &high) || high < low)) {
        return false;
    }
    *found = *found || (value >= low && value <= high);
    return true;
}

/* One of the four: a number, or [RANGE;RANGE]. */
static bool take_choice(struct text *rest, unsigned value, bool *found) {
    uint64_t number;
    *found = false;
    if (!take(rest, TEXT("["))) {
        bool good = take_number(rest, &number);
        *found = good && number == value;
        return good;
    }
    do {
        if (!take_range(rest, value, found)) {
            return false;
        }
    } while (take(rest, TEXT(";")));
    return take(rest, TEXT("]"));
}

static bool read_pattern(struct text rest, const uint64_t values[NUMBERS], bool *matches) {
    *matches = true;
    for (size_t i = 0; i < NUMBERS; i++) {
        bool found;
        if ((i > 0 && !take(&rest, TEXT("."))) || !take_choice(&rest, (unsigned)values[i], &found)) {
            return false;
        }
        *matches = *matches && found;
    }
    return rest.length == 0;
}

bool network_pattern_is_valid(struct text pattern) {
    static const uint64_t any[NUMBERS] = {0};
    bool matches;
    return read_pattern(pattern, any, &matches);
}

bool network_pattern_matches(struct text pattern, struct text ip) {
    uint64_t values[NUMBERS];
    bool matches;
    for (size_t i = 0; i < NUMBERS; i++) {
        if ((i > 0 && !take(&ip, TEXT("."))) || !take_number(&ip, &values[i])) {
            return false;
        }
    }
    return ip.length == 0 && read_pattern(pattern, values, &matches) && matches;
}
