/* SPDX-License-Identifier: MIT
 * Fuzz target: DKIM signatures of strangers and the keys that their DNS gives: a library's code, with our own allocator
 * around its known faults. The first piece is the key record, the rest the message. */
#include "dkim/dkim.h"
#include "fuzz.h"
#include "mail/header.h"

static void fuzz_start(void) {
    dkim_prepare();
}

static enum dkim_dns give_key(void *context, const char *name, struct buffer *record) {
    const struct text *key = context;

    (void)name;
    if (key->length == 0)
        return DKIM_DNS_NONE;
    return buffer_append_text(record, *key) ? DKIM_DNS_FOUND : DKIM_DNS_TEMPFAIL;
}

static void fuzz_one(struct text input) {
    struct text key = fuzz_piece(&input);
    size_t header = header_section_length(input);
    struct text body = text_from(input, header);
    struct buffer results;

    if (text_starts_nocase(body, TEXT("\r\n")))
        body = text_from(body, 2);
    const struct dkim_source source = {
        .headers = text_first(input, header), .fd = -1, .body = body, .length = body.length};
    buffer_init(&results, 24u * 1024);
    if (dkim_verify_message(&source, give_key, &key, &results))
        FUZZ_CHECK(results.length > 0 && memchr(results.data, '\n', results.length) == NULL);
    buffer_free(&results);
}
