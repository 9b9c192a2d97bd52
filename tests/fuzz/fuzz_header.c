/* SPDX-License-Identifier: MIT
 * Fuzz target: header sections. The fields are the section, byte for byte. */
#include "fuzz.h"
#include "mail/header.h"

static void fuzz_start(void) {
}

static void fuzz_one(struct text input) {
    size_t length = header_section_length(input), seen = 0;
    struct text rest = text_first(input, length);
    struct header_field field;
    char value[128];

    FUZZ_CHECK(length <= input.length);
    while (header_next(&rest, &field)) {
        FUZZ_CHECK(field.whole.data == input.data + seen);
        FUZZ_CHECK(field.name.length + field.value.length < field.whole.length);
        seen += field.whole.length;
        (void)header_value(&field, value, sizeof value);
        (void)header_claims_our_results(&field, "mail.example.test");
    }
    FUZZ_CHECK(seen <= length);
    (void)header_find(input, "Subject", &field);
    (void)header_count(input, "Received");
}
