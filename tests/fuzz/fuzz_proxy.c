/* SPDX-License-Identifier: MIT
 * Fuzz target: the header of a proxy, version 1 and 2. More bytes never change what a whole header says. */
#include "fuzz.h"
#include "smtp/proxy_header.h"

static void fuzz_start(void) {
}

static void fuzz_one(struct text input) {
    struct proxy_header header, again;
    size_t consumed, short_of;

    if (proxy_header_parse(input, &header, &consumed) != PROXY_HEADER_ITEM)
        return;
    FUZZ_CHECK(consumed > 0 && consumed <= input.length && consumed <= PROXY_HEADER_MAXIMUM);
    FUZZ_CHECK(proxy_header_parse(text_first(input, consumed), &again, &short_of) == PROXY_HEADER_ITEM);
    FUZZ_CHECK(short_of == consumed && again.proxied == header.proxied);
    FUZZ_CHECK(proxy_header_parse(text_first(input, consumed - 1), &again, &short_of) == PROXY_HEADER_MORE);
}
